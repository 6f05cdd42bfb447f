"""How the thread of rank 0 waits for a change of its run: for the feed of changes, or for the next poll."""

from __future__ import annotations

import threading
from typing import Any

from client.errors import ClientError

_LONGEST = 1.0  # seconds that one request waits: as long as it takes at most to end the thread


class Feed:
    """Waits for changes of a run.

    Args:
        client: has `newest_change` and `changes`, as a `client.Client`; without them every wait is a poll.
        name: the run's.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name
        self._has_feed = hasattr(client, "changes") and hasattr(client, "newest_change")
        self._position: int | None = None  # None: the next wait begins with the newest change
        self._version = 0  # the newest that the feed has told of

    def wait(self, ends: threading.Event, version: int, poll: float, *, is_away: bool) -> None:
        """Wait until the run may have a version that is not known, until `poll` seconds are over, or the end.

        Args:
            ends: set when the thread is to end.
            version: the newest version that is known.
            poll: seconds.
            is_away: whether the service could not be asked just now: then the feed is left alone.
        """
        if is_away or not self._has_feed or not self._listen(ends, version, poll):
            self._position = None  # what comes meanwhile is found by asking for the run
            ends.wait(poll)

    def _listen(self, ends: threading.Event, version: int, poll: float) -> bool:
        """Wait for the feed. Returns False where it is not to be had, or the service is behind it."""
        try:
            if self._position is None:
                self._position = self._client.newest_change(self._name)
                return True  # a change before that number, and after the run was asked for, is found by asking again
            if self._version > version:
                return False  # a server of several may tell of a run as it was two seconds ago
            left = poll
            while left > 0 and not ends.is_set():
                part = min(left, _LONGEST)
                found = self._client.changes(self._position, wait=part, run=self._name)
                self._position = found.next
                if found.changes:
                    self._version = max(change.version for change in found.changes)
                    return True
                left -= part
        except ClientError:
            return False
        return True
