"""Turns at something that one should use at a time, and a few may where that one is slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Turns, in the order of asking. An instance belongs to one event loop.

    Args:
        most: turns at the same time.
        patience: seconds that a turn has to last until the next one begins beside it.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._most = most
        self._patience = patience
        self._begun: list[float] = []  # the earliest first
        self._waiting: deque[asyncio.Future[float]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def longest(self) -> float:
        """Seconds since the turn began that has lasted longest; 0 where there is none."""
        return asyncio.get_running_loop().time() - self._begun[0] if self._begun else 0.0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn, which lasts as long as the `with` block."""
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._begun.remove(turn.result())
            self._admit()

    def _admit(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._waiting and (self._waiting[0].done() or self._has_room(now)):
            turn = self._waiting.popleft()
            if not turn.done():
                self._begun.append(now)
                turn.set_result(now)
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting and len(self._begun) < self._most:
            self._timer = asyncio.get_running_loop().call_at(self._begun[-1] + self._patience, self._admit)

    def _has_room(self, now: float) -> bool:
        if not self._begun:
            return True
        return len(self._begun) < self._most and now - self._begun[-1] >= self._patience
