"""A semaphore for work that should run one at a time, unless one takes long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class StaggeredSemaphore:
    """A semaphore that admits tasks one at a time, and further ones only while the latest runs longer than a delay.

    Short tasks therefore run one after another, and do not slow each other down; a long one does not block the rest.
    Tasks are admitted in the order of their arrival. An instance belongs to one event loop.

    Args:
        limit: tasks that hold the semaphore at the same time, at most.
        delay_seconds: how long the latest task must have run before the next one is admitted beside it.
    """

    def __init__(self, limit: int, delay_seconds: float) -> None:
        self._limit = limit
        self._delay = delay_seconds
        self._admitted_at: list[float] = []  # of the tasks that hold the semaphore, the earliest first
        self._waiting: deque[asyncio.Future[float]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def longest_held(self) -> float:
        """Seconds since the earliest task that still holds the semaphore was admitted; 0 if there is none."""
        return asyncio.get_running_loop().time() - self._admitted_at[0] if self._admitted_at else 0.0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Wait to be admitted, and hold the semaphore for a `with` block."""
        admitted: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append(admitted)
        self._admit()
        try:
            await admitted
            yield
        finally:
            if admitted.done() and not admitted.cancelled():
                self._admitted_at.remove(admitted.result())
            self._admit()

    def _admit(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._waiting and (self._waiting[0].done() or self._has_room(now)):
            admitted = self._waiting.popleft()
            if not admitted.done():  # a cancelled one has left the queue already
                self._admitted_at.append(now)
                admitted.set_result(now)
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting and len(self._admitted_at) < self._limit:
            self._timer = asyncio.get_running_loop().call_at(self._admitted_at[-1] + self._delay, self._admit)

    def _has_room(self, now: float) -> bool:
        if not self._admitted_at:
            return True
        return len(self._admitted_at) < self._limit and now - self._admitted_at[-1] >= self._delay
