"""What a client has done so far, counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Statistics:
    """Counters of one client. Threads add to them without a lock, so that a count may miss one of two at once.

    Args:
        requests: sent, repeated ones included.
        retries: requests that were sent again.
        received: bytes of bodies.
    """

    requests: int = 0
    retries: int = 0
    received: int = 0
