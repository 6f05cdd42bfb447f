"""Computations that can be stopped: schedules compute in blocks, and look up between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

UNINTERRUPTED = 2**20
"""Steps of one schedule that are filled between two checks for cancellation: a few milliseconds for most kinds."""

_stopped: ContextVar[Callable[[], bool] | None] = ContextVar("stopped", default=None)


class ComputationStoppedError(Exception):
    """A computation ended before its result was whole, because it was told to."""


@contextmanager
def cancellable(stopped: Callable[[], bool]) -> Iterator[None]:
    """Let the schedules computed inside end with `ComputationStoppedError` soon after `stopped()` becomes true.

    It is asked before each schedule, and each member of a composition, fills at most `UNINTERRUPTED` steps. It holds
    for the thread or task that entered.
    """
    token = _stopped.set(stopped)
    try:
        yield
    finally:
        _stopped.reset(token)


def check_cancelled() -> None:
    """Raise `ComputationStoppedError` where the computation has been told to stop."""
    stopped = _stopped.get()
    if stopped is not None and stopped():
        raise ComputationStoppedError("the computation was stopped")


def windows(out: NDArray[np.float64], start: int) -> Iterator[tuple[NDArray[np.float64], int]]:
    """`out` in windows of at most `UNINTERRUPTED` steps, each with the step that it begins at; none where it is empty.

    Raises `ComputationStoppedError` before a window where the computation has been told to stop.
    """
    for begin in range(0, len(out), UNINTERRUPTED):
        check_cancelled()
        yield out[begin : begin + UNINTERRUPTED], start + begin
