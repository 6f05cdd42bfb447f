"""Single flight: concurrent calls for the same key share one execution of the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Run(Generic[T]):
    """Running work, and how many calls wait for it."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.task = asyncio.create_task(work)
        self.waiting = 0


class SingleFlight(Generic[T]):
    """Runs the work for a key once, however many calls wait for its result. `waits` counts calls that joined a run.

    The work is cancelled when the last call that waits for it is cancelled. If it fails, it fails for every call that
    waits, and the next call starts it again.
    """

    def __init__(self) -> None:
        self.waits = 0
        self._running: dict[str, _Run[T]] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """Return the result of the work for this key, and whether this call started it."""
        run = self._running.get(key)
        started = run is None
        if run is None:
            run = self._running[key] = self._start(key, work)
        else:
            self.waits += 1
        run.waiting += 1
        try:
            return await asyncio.shield(run.task), started
        finally:
            run.waiting -= 1
            if not (run.waiting or run.task.done()):
                self._remove(key, run)  # so that the next call starts the work again
                run.task.cancel()

    def _start(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> _Run[T]:
        run = _Run(work())
        run.task.add_done_callback(lambda _: self._remove(key, run))
        return run

    def _remove(self, key: str, run: _Run[T]) -> None:
        if self._running.get(key) is run:
            del self._running[key]
        if run.task.done() and not run.task.cancelled():
            run.task.exception()  # retrieved, so that asyncio does not warn if nobody waits any more
