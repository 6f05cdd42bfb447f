"""Looks at all connections of a server from time to time, so that a request itself pays next to nothing for it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from service.server.deadlines import Deadlines, SweepClock

_AT_ONCE = 16  # connections: a look takes some microseconds, and no request waits for many of them


class Watched(Protocol):
    """A connection with a deadline."""

    def check_deadline(self, elapsed: float) -> None:
        """Count these seconds, and end the connection where its client is too late."""

    def abort(self) -> None:
        """End the connection at once."""


class DeadlineMonitor:
    """Looks at all connections of a server, again and again while there are any.

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
        """End what is left once `drain_seconds` are nearly over."""
        self._clock.drain(now)

    def _schedule(self, connections: Collection[Watched], loop: asyncio.AbstractEventLoop) -> None:
        loop.call_at(self._clock.next_at, self._sweep, connections, loop)

    def _sweep(self, connections: Collection[Watched], loop: asyncio.AbstractEventLoop) -> None:
        elapsed = self._clock.sweep(loop.time())
        self._look(list(connections), connections, elapsed, loop)

    def _look(
        self,
        left: list[Watched],
        connections: Collection[Watched],
        elapsed: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Look at some of those that are left, then let requests have their turn."""
        is_over = self._clock.is_over(loop.time())
        for connection in filter(connections.__contains__, left[-_AT_ONCE:]):
            if is_over:
                connection.abort()
            else:
                connection.check_deadline(elapsed)
        del left[-_AT_ONCE:]
        if left:
            loop.call_soon(self._look, left, connections, elapsed, loop)
        elif connections:
            self._schedule(connections, loop)
        else:
            self._sweeping = False
