"""A limit on the memory of running work: acquired first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MemoryBudget:
    """A number of bytes, acquired and released by tasks, first come, first served. It belongs to one event loop."""

    def __init__(self, nbytes: int) -> None:
        self._capacity = self._free = nbytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def acquire(self, nbytes: int) -> AsyncIterator[None]:
        """Wait until so many bytes are free, and hold them for a `with` block. At most the whole budget is held."""
        nbytes = min(nbytes, self._capacity)
        await self._take(nbytes)
        try:
            yield
        finally:
            self._free += nbytes
            self._admit()

    async def _take(self, nbytes: int) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((nbytes, granted))
        self._admit()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():  # granted and cancelled at the same time
                self._free += nbytes
            self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free):
            nbytes, granted = self._waiting.popleft()
            if not granted.done():
                self._free -= nbytes
                granted.set_result(None)
