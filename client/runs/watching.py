"""A run watched: its changes as they come, through restarts of the service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from client.errors import ClientError, DeadlineExceededError, RequestRefusedError, ServiceUnreachableError
from client.http.retries import full_jitter
from client.runs.calls import Changes
from client.runs.documents import Change

_WAIT = 30.0  # seconds that one request waits for a change
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds after a failure, and after many
_PASSING = (429, 500, 502, 503, 504)


class ReadChanges(Protocol):
    """Reads a part of the feed of changes."""

    def __call__(self, since: int, *, wait: float, run: str) -> Changes:
        """The changes of a run after a number, at once or within `wait` seconds."""


def watch(read: ReadChanges, newest: Callable[[], int], name: str, since: int | None) -> Iterator[Change]:
    """Yield each change of a run after a number of the feed, for ever; without a number, from now on.

    A service that cannot be reached when the watch begins raises its error; one that is away later is waited for.

    Args:
        read: reads a part of the feed.
        newest: gives the number of the newest change.
        name: of the run.
        since: the number.
    """
    position = newest() if since is None else since
    found = read(position, wait=0.0, run=name)
    while True:
        yield from found.changes
        position = found.next
        found = _patiently(read, position, name)


def _patiently(read: ReadChanges, position: int, name: str) -> Changes:
    failures = 0
    while True:
        try:
            return read(position, wait=_WAIT, run=name)
        except ClientError as error:
            if not _passes(error):
                raise
            time.sleep(full_jitter(failures, _FIRST_PAUSE, _LONGEST_PAUSE))
            failures += 1


def _passes(error: ClientError) -> bool:
    """Whether a failure may pass by waiting."""
    if isinstance(error, RequestRefusedError):
        return error.status in _PASSING
    return isinstance(error, (ServiceUnreachableError, DeadlineExceededError))
