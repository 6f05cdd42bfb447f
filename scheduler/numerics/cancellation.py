"""Cancellation: schedules compute in blocks, and check between them whether they were cancelled."""

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
    """A computation was cancelled before its result was complete."""


@contextmanager
def cancellable(stopped: Callable[[], bool]) -> Iterator[None]:
    """Let the schedules computed inside end with `ComputationStoppedError` soon after `stopped()` becomes true.

    It is called before each schedule, and each part of a composite, fills at most `UNINTERRUPTED` steps. It applies to
    the current thread or task.
    """
    token = _stopped.set(stopped)
    try:
        yield
    finally:
        _stopped.reset(token)


def check_cancelled() -> None:
    """Raise `ComputationStoppedError` where the computation was cancelled."""
    stopped = _stopped.get()
    if stopped is not None and stopped():
        raise ComputationStoppedError("the computation was stopped")


def windows(out: NDArray[np.float64], start: int) -> Iterator[tuple[NDArray[np.float64], int]]:
    """`out` in windows of at most `UNINTERRUPTED` steps, each with the step that it begins at; none where it is empty.

    Raises `ComputationStoppedError` before a window where the computation was cancelled.
    """
    for begin in range(0, len(out), UNINTERRUPTED):
        check_cancelled()
        yield out[begin : begin + UNINTERRUPTED], start + begin
