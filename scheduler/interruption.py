"""Computations that can be stopped: schedules compute in blocks, and look up between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_stopped: ContextVar[Callable[[], bool] | None] = ContextVar("stopped", default=None)


class ComputationStoppedError(Exception):
    """A computation ended before its result was whole, because it was told to."""


@contextmanager
def stoppable(stopped: Callable[[], bool]) -> Iterator[None]:
    """Let the schedules computed inside end with `ComputationStoppedError` soon after `stopped()` becomes true.

    It is asked before each schedule, and each member of a composition, fills an array: within one such filling, at
    most a few seconds for 20M steps, nothing stops. It holds for the thread or task that entered.
    """
    token = _stopped.set(stopped)
    try:
        yield
    finally:
        _stopped.reset(token)


def checkpoint() -> None:
    """Raise `ComputationStoppedError` where the computation has been told to stop."""
    stopped = _stopped.get()
    if stopped is not None and stopped():
        raise ComputationStoppedError("the computation was stopped")
