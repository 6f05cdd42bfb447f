"""One piece of work for all who want its result at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
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
        self._flights: dict[str, _Flight[T]] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """The result of the work for this key, and whether this call started it."""
        flight = self._flights.get(key)
        leads = flight is None
        if flight is None:
            flight = self._flights[key] = self._start(key, work)
        else:
            self.waits += 1
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task), leads
        finally:
            flight.waiting -= 1
            if not (flight.waiting or flight.task.done()):
                self._land(key, flight)  # a call from now on starts anew
                flight.task.cancel()

    def _start(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> _Flight[T]:
        flight = _Flight(work())
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    def _land(self, key: str, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # seen, even where nobody waits any more
