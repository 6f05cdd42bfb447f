"""Periodic checks of all connections' deadlines. They cost a request nothing, unlike a timer for each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from service.server.deadlines import Deadlines, SweepClock

_BATCH = 16  # connections: a check takes some microseconds, and requests are served between batches


class Watched(Protocol):
    """A connection with a deadline."""

    def check_deadline(self, elapsed: float) -> None:
        """Add the elapsed seconds, and end the connection if its client has missed a deadline."""

    def abort(self) -> None:
        """End the connection immediately."""


class DeadlineMonitor:
    """Checks the deadlines of all connections of a server periodically, while there are any.

    A connection ends at the earliest at its deadline, and at the latest two sweeps later.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._clock = SweepClock(deadlines)
        self._sweeping = False

    def begin(self, connections: Collection[Watched], loop: asyncio.AbstractEventLoop) -> None:
        """Sweep until there are no connections left."""
        if not self._sweeping:
            self._sweeping = True
            self._clock.begin(loop.time())
            self._schedule(connections, loop)

    def drain(self, now: float) -> None:
        """End the remaining connections shortly before `drain_seconds` are over."""
        self._clock.drain(now)

    def _schedule(self, connections: Collection[Watched], loop: asyncio.AbstractEventLoop) -> None:
        loop.call_at(self._clock.next_at, self._sweep, connections, loop)

    def _sweep(self, connections: Collection[Watched], loop: asyncio.AbstractEventLoop) -> None:
        elapsed = self._clock.sweep(loop.time())
        self._check_batch(list(connections), connections, elapsed, loop)

    def _check_batch(
        self,
        left: list[Watched],
        connections: Collection[Watched],
        elapsed: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Check a batch of the remaining connections, and schedule the next batch after other callbacks."""
        is_over = self._clock.is_over(loop.time())
        for connection in filter(connections.__contains__, left[-_BATCH:]):
            if is_over:
                connection.abort()
            else:
                connection.check_deadline(elapsed)
        del left[-_BATCH:]
        if left:
            loop.call_soon(self._check_batch, left, connections, elapsed, loop)
        elif connections:
            self._schedule(connections, loop)
        else:
            self._sweeping = False
