"""One piece of work for all who want its result at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs the work for a key once while anyone waits for it. `waits` counts those who joined work under way.

    Work goes on when those who wait are cancelled. Where it fails, it fails for all who wait, and is tried anew for
    the next one.
    """

    def __init__(self) -> None:
        self.waits = 0
        self._flights: dict[str, asyncio.Task[T]] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """The result of the work for this key, and whether this call started it."""
        flight = self._flights.get(key)
        leads = flight is None
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(work())
            flight.add_done_callback(lambda done: self._land(key, done))
        else:
            self.waits += 1
        return await asyncio.shield(flight), leads

    def _land(self, key: str, flight: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, even where nobody waits any more
