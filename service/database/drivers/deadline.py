"""Until when the database may take to answer: one deadline for all that a call asks of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_end = ContextVar("deadline of the database, on the monotonic clock", default=math.inf)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Give what happens inside, in this thread, so many seconds from now."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def extend(seconds: float) -> None:
    """Let the deadline be so many seconds from now: something has been answered."""
    _end.set(time.monotonic() + seconds)


def remaining() -> float:
    """Seconds until the deadline: 0 when it has passed, infinite where there is none."""
    return max(0.0, _end.get() - time.monotonic())
