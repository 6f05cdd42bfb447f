"""Learning-rate schedules as numbers: the contract, the kinds, the table. No HTTP, no torch at import."""

# package of the distribution lrtables

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scheduler.fields import share_of
from scheduler.interop.cached import CachedScheduler
from scheduler.messages.errors import ScheduleError
from scheduler.messages.warnings import ScheduleWarning
from scheduler.registry import KINDS, parse
from scheduler.schedule import Schedule
from scheduler.spec import Spec
from scheduler.table import Table
from scheduler.table_format import TableError
from scheduler.table_values import PastEndError

if TYPE_CHECKING:
    from scheduler.importing.files import import_file
    from scheduler.interop.capture import capture
    from scheduler.interop.lightning import from_lightning
    from scheduler.interop.recognise import describe
    from scheduler.interop.torch_state import from_torch_state
    from scheduler.libraries.deepspeed import from_deepspeed
    from scheduler.libraries.transformers import from_training_arguments
    from scheduler.views.compare import compare

__all__ = [
    "KINDS",
    "CachedScheduler",
    "PastEndError",
    "Schedule",
    "ScheduleError",
    "ScheduleWarning",
    "Spec",
    "Table",
    "TableError",
    "capture",
    "compare",
    "describe",
    "from_deepspeed",
    "from_lightning",
    "from_torch_state",
    "from_training_arguments",
    "import_file",
    "parse",
    "share_of",
]

_LAZY = {
    "capture": "scheduler.interop.capture",
    "compare": "scheduler.views.compare",
    "describe": "scheduler.interop.recognise",
    "from_deepspeed": "scheduler.libraries.deepspeed",
    "from_lightning": "scheduler.interop.lightning",
    "from_torch_state": "scheduler.interop.torch_state",
    "from_training_arguments": "scheduler.libraries.transformers",
    "import_file": "scheduler.importing.files",
}
"""Where a name is defined that is imported when it is first used: most jobs never do."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'scheduler' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
