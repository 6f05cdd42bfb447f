"""The time by which the database must have answered: one deadline for all queries of a call."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_end = ContextVar("deadline of the database, on the monotonic clock", default=math.inf)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Set the deadline of this thread, in seconds from now, for a `with` block."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def extend(seconds: float) -> None:
    """Move the deadline to so many seconds from now, because the database has just answered."""
    _end.set(time.monotonic() + seconds)


def remaining() -> float:
    """Return the seconds until the deadline: 0 after it, infinity if there is none."""
    return max(0.0, _end.get() - time.monotonic())
