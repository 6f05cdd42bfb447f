"""The deadlines of connections as a pure state machine: what a connection waits for, and when it has waited too long.

Nothing here reads a clock, a socket or a protocol object. The caller passes in the elapsed time and the state of the
connection, so that every transition can be tested without waiting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple, Self

from service.settings import Settings

MIN_BYTES_PER_SECOND = 4 * 2**10  # of a request's or a response's body: 10,000 clients have 12 kB/s each of a gigabit
LEAVING_SECONDS = 2.0  # how long a client may take to read the error response of a connection that ends
_SWEEPS_PER_DEADLINE = 20  # of the shortest deadline: a connection ends at most two sweeps after its deadline
_LONGEST_INTERVAL = 1.0  # seconds between two sweeps
_DRAIN_SHARE = 0.9  # of drain_seconds: the rest is for closing the store and the database


class Wait(StrEnum):
    """What a connection waits for. The value is the reason that is counted when the deadline is missed."""

    REQUEST = "idle"
    HEADERS = "headers"
    BODY = "body"
    READING = "send"
    LEAVING = "leave"


_EXTENDED = (Wait.BODY, Wait.READING)  # deadlines that transferred bytes extend


class Progress(NamedTuple):
    """The state of a connection at one moment.

    Args:
        has_unsent_bytes: the client has not read everything that was sent.
        is_responding: a request has no complete response yet, and its client is connected.
        awaits_body: the server reads the body of that request, and it is incomplete.
        is_refused: nothing more is read from the client.
        is_within_headers: the headers of a request are incomplete.
        request: identifies the last request: each has another object.
    """

    has_unsent_bytes: bool
    is_responding: bool
    awaits_body: bool
    is_refused: bool
    is_within_headers: bool
    request: object

    @property
    def wait(self) -> Wait | None:
        """What the client must do next; None while the server is working."""
        if self.has_unsent_bytes:
            return Wait.READING
        if self.is_responding:
            return Wait.BODY if self.awaits_body else None
        if self.is_refused:
            return Wait.LEAVING
        return Wait.HEADERS if self.is_within_headers else Wait.REQUEST


@dataclass(frozen=True)
class Deadlines:
    """The deadlines of a server's connections, in seconds."""

    seconds: Mapping[Wait, float]
    drain_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the deadlines of a server with these settings."""
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
        """Seconds between two checks of all connections."""
        shortest = min(seconds for wait, seconds in self.seconds.items() if wait is not Wait.LEAVING)
        return min(_LONGEST_INTERVAL, min(shortest, self.drain_seconds) / _SWEEPS_PER_DEADLINE)


class DeadlineTimer:
    """Counts how long one connection has waited for the same thing.

    Transferred bytes extend the deadlines for a body and for reading a response: each 4 KiB adds one second.
    """

    __slots__ = ("_bytes_moved", "_deadlines", "_request", "_wait", "_waited")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._wait: Wait | None = None
        self._request: object = None
        self._waited = 0.0  # seconds
        self._bytes_moved = 0

    def missed(self, progress: Progress, elapsed: float, bytes_moved: Callable[[], int]) -> Wait | None:
        """Add the seconds since the last check if the connection still waits for the same; return a missed deadline.

        Time in which the server works does not count, and does not restart a wait. `bytes_moved` returns the number of
        bytes that the client has sent or acknowledged. It is a system call, so it is called only if needed.
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
    """How to end a connection that has missed a deadline."""

    EXPLAIN = "send an error response, then close"
    CLOSE = "close without a response"
    ABORT = "drop the bytes that the client has not read"


def ending(wait: Wait, *, response_started: bool) -> Ending:
    """Return how to end a connection that has missed a deadline. After a response has started, no other can be sent."""
    if wait is Wait.HEADERS or (wait is Wait.BODY and not response_started):
        return Ending.EXPLAIN
    return Ending.CLOSE if wait is Wait.REQUEST else Ending.ABORT


class SweepClock:
    """The schedule of checks of all connections, and of their end when the server stops.

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
        """Start the clock, when the first connection opens."""
        self._last = now

    def sweep(self, now: float) -> float:
        """Start a sweep, and return the seconds that count against clients.

        They are limited to two intervals, because clients are not responsible for a stalled server.
        """
        elapsed = min(now - self._last, 2 * self._interval)
        self._last = now
        return elapsed

    def drain(self, now: float) -> None:
        """Set the end of draining to shortly before `drain_seconds` from now. Later calls do not extend it."""
        self._end = min(self._end, now + self._drain_seconds)

    def is_over(self, now: float) -> bool:
        """Whether the time for draining is over."""
        return now >= self._end
