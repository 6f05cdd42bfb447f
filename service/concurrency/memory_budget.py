"""Memory for work under way: who finds none left waits for those before."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MemoryBudget:
    """So many bytes, lent in the order of asking. An instance belongs to one event loop."""

    def __init__(self, nbytes: int) -> None:
        self._all = self._left = nbytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def acquire(self, nbytes: int) -> AsyncIterator[None]:
        """Lend bytes for a `with` block, all there are where more are wanted; waits until they are free."""
        nbytes = min(nbytes, self._all)
        await self._take(nbytes)
        try:
            yield
        finally:
            self._left += nbytes
            self._admit()

    async def _take(self, nbytes: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((nbytes, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given, and nobody is there to use it
                self._left += nbytes
            self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._left):
            nbytes, turn = self._waiting.popleft()
            if not turn.done():
                self._left -= nbytes
                turn.set_result(None)
