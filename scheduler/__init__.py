"""Learning-rate schedules as numbers: the contract, the kinds, the table. No HTTP, no torch at import."""

# package of the distribution lrtables

from scheduler.cached import CachedScheduler
from scheduler.registry import KINDS, parse
from scheduler.schedule import Schedule, ScheduleWarning, share_of
from scheduler.spec import Spec
from scheduler.table import PastEndError, Table, TableError

__all__ = [
    "KINDS",
    "CachedScheduler",
    "PastEndError",
    "Schedule",
    "ScheduleWarning",
    "Spec",
    "Table",
    "TableError",
    "parse",
    "share_of",
]
