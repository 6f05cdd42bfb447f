"""Processor time of a computation, which other processes on the same core do not affect."""

from __future__ import annotations

import time
from collections.abc import Callable

from scheduler import Schedule, parse
from scheduler.numerics.grid import clear_caches


def seconds(work: Callable[[], object]) -> float:
    """The processor's time for one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def fresh(schedule: Schedule) -> Schedule:
    """The same schedule as a new object, with nothing remembered from before."""
    clear_caches()
    return parse(schedule.to_dict())
