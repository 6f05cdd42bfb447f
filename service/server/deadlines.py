"""The deadlines of connections as a state machine: what a connection waits for, and when it has waited too long.

Nothing here reads a clock, a socket or a protocol object. The caller passes in the time that has passed and what it
has seen of the connection, so that every transition can be tested without waiting for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple, Self

from service.settings import Settings

MIN_BYTES_PER_SECOND = 4 * 2**10  # of a request's or a response's body: 10,000 clients have 12 kB/s each of a gigabit
LEAVING_SECONDS = 2.0  # in which a client may read why its connection is closed
_SWEEPS_PER_DEADLINE = 20  # of the shortest one: a connection ends at most two sweeps after its deadline
_LONGEST_INTERVAL = 1.0  # seconds between two sweeps
_DRAIN_SHARE = 0.9  # of drain_seconds: the rest is for closing the store and the database


class Wait(StrEnum):
    """What a connection waits for its client to do: the reason that is counted when the deadline is missed."""

    REQUEST = "idle"
    HEADERS = "headers"
    BODY = "body"
    READING = "send"
    LEAVING = "leave"


_EXTENDED = (Wait.BODY, Wait.READING)  # by the bytes that move


class Progress(NamedTuple):
    """How far a connection is, at one moment.

    Args:
        has_unsent_bytes: the client has not taken all of what was sent to it.
        is_responding: a request has no complete response yet, and its client has not left.
        awaits_body: the server reads the body of that request, and it has not all come.
        is_refused: nothing more is read from the client.
        is_within_headers: some of a request has come, but not all of its headers.
        request: stands for the last request: another object for another one.
    """

    has_unsent_bytes: bool
    is_responding: bool
    awaits_body: bool
    is_refused: bool
    is_within_headers: bool
    request: object

    @property
    def wait(self) -> Wait | None:
        """What the client has to do next; None while it is the server's turn."""
        if self.has_unsent_bytes:
            return Wait.READING
        if self.is_responding:
            return Wait.BODY if self.awaits_body else None
        if self.is_refused:
            return Wait.LEAVING
        return Wait.HEADERS if self.is_within_headers else Wait.REQUEST


@dataclass(frozen=True)
class Deadlines:
    """How long a server waits for its clients, in seconds."""

    seconds: Mapping[Wait, float]
    drain_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The deadlines of a server with these settings."""
        seconds = {
            Wait.REQUEST: settings.idle_seconds,
            Wait.HEADERS: settings.header_seconds,
            Wait.BODY: settings.body_seconds,
            Wait.READING: settings.send_seconds,
            Wait.LEAVING: LEAVING_SECONDS,
        }
        return cls(seconds, settings.drain_seconds)

    @property
    def sweep_interval(self) -> float:
        """Seconds from one look at all connections to the next."""
        shortest = min(seconds for wait, seconds in self.seconds.items() if wait is not Wait.LEAVING)
        return min(_LONGEST_INTERVAL, min(shortest, self.drain_seconds) / _SWEEPS_PER_DEADLINE)


class DeadlineTimer:
    """Counts how long one connection has waited for the same thing.

    Bytes that moved meanwhile extend the deadlines for a body and for reading a response: each 4 KiB by a second.
    """

    __slots__ = ("_bytes_moved", "_deadlines", "_request", "_wait", "_waited")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._wait: Wait | None = None
        self._request: object = None
        self._waited = 0.0  # seconds
        self._bytes_moved = 0

    def missed(self, progress: Progress, elapsed: float, bytes_moved: Callable[[], int]) -> Wait | None:
        """Count the seconds since the last look, if the connection still waits for the same; return what is too late.

        The server's own turns do not count, and do not start a wait anew. `bytes_moved` returns how many bytes the
        other end has sent or acknowledged so far. It costs a system call, so it is only called where that matters.
        """
        wait = progress.wait
        if wait is None:
            return None
        request = None if wait in (Wait.READING, Wait.LEAVING) else progress.request
        moved = bytes_moved() if wait in _EXTENDED else 0
        if wait is not self._wait or request is not self._request:
            self._wait, self._request, self._waited = wait, request, 0.0
        else:
            self._waited = max(0.0, self._waited + elapsed - (moved - self._bytes_moved) / MIN_BYTES_PER_SECOND)
        self._bytes_moved = moved
        return wait if self._waited >= self._deadlines.seconds[wait] else None


class Ending(Enum):
    """How a connection ends that has missed its deadline."""

    EXPLAIN = "say why, then close"
    CLOSE = "close: there is nothing to say"
    ABORT = "drop what the client has not taken"


def ending(wait: Wait, *, response_started: bool) -> Ending:
    """How to end a connection that has waited too long; a response that has begun leaves no room for another."""
    if wait is Wait.HEADERS or (wait is Wait.BODY and not response_started):
        return Ending.EXPLAIN
    return Ending.CLOSE if wait is Wait.REQUEST else Ending.ABORT


class SweepClock:
    """When all connections are looked at, how much time that counts for, and when what is left of them is ended.

    Every `now` is in seconds of one monotonic clock.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._interval = deadlines.sweep_interval
        self._drain_seconds = _DRAIN_SHARE * deadlines.drain_seconds
        self._end = math.inf
        self._last = -math.inf

    @property
    def next_at(self) -> float:
        """The time of the next sweep."""
        return self._last + self._interval

    def begin(self, now: float) -> None:
        """Count from now on: there are connections, after a time without any."""
        self._last = now

    def sweep(self, now: float) -> float:
        """Begin a sweep; return the seconds since the last one that count against clients.

        Those are at most two intervals: while the server stood still, no client was late.
        """
        elapsed = min(now - self._last, 2 * self._interval)
        self._last = now
        return elapsed

    def drain(self, now: float) -> None:
        """End what is left once `drain_seconds` from now are nearly over; the first call holds."""
        self._end = min(self._end, now + self._drain_seconds)

    def is_over(self, now: float) -> bool:
        """Whether the time for draining is over."""
        return now >= self._end
