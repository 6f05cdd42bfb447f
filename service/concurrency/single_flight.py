"""One piece of work for all who want its result at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Run(Generic[T]):
    """Work under way, and how many wait for it."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.task = asyncio.create_task(work)
        self.waiting = 0


class SingleFlight(Generic[T]):
    """Runs the work for a key once while anyone waits for it. `waits` counts those who joined work under way.

    Work goes on as long as one is left who waits; when the last one is cancelled, so is the work. Where it fails, it
    fails for all who wait, and is tried anew for the next one.
    """

    def __init__(self) -> None:
        self.waits = 0
        self._running: dict[str, _Run[T]] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """The result of the work for this key, and whether this call started it."""
        run = self._running.get(key)
        leads = run is None
        if run is None:
            run = self._running[key] = self._start(key, work)
        else:
            self.waits += 1
        run.waiting += 1
        try:
            return await asyncio.shield(run.task), leads
        finally:
            run.waiting -= 1
            if not (run.waiting or run.task.done()):
                self._land(key, run)  # a call from now on starts anew
                run.task.cancel()

    def _start(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> _Run[T]:
        run = _Run(work())
        run.task.add_done_callback(lambda _: self._land(key, run))
        return run

    def _land(self, key: str, run: _Run[T]) -> None:
        if self._running.get(key) is run:
            del self._running[key]
        if run.task.done() and not run.task.cancelled():
            run.task.exception()  # seen, even where nobody waits any more
