"""Limits on connections and on headers, as a pure state machine: the caller passes in what it counts."""

from __future__ import annotations

from enum import Enum

SPARE_CONNECTIONS = 256
"""Connections beyond `max_connections` that get an error response. Any more are closed without one."""
MAX_PIPELINED = 128
"""Largest number of requests that wait on one connection. Their objects take tens of times the bytes sent."""
MAX_HEADER_BYTES = 64 * 2**10
"""Largest number of header and trailer bytes of a request. The packet with its first byte is not counted."""


class Admission(Enum):
    """What to do with a new connection."""

    ADMIT = "serve it"
    REFUSE = "send an error response, and close it"
    ABORT = "close it without a response"


def admission(connections: int, max_connections: int) -> Admission:
    """Return what to do with a new connection, which is included in `connections`."""
    if connections <= max_connections:
        return Admission.ADMIT
    return Admission.REFUSE if connections <= max_connections + SPARE_CONNECTIONS else Admission.ABORT


class HeaderLimit:
    """Counts the bytes of incomplete headers, chunk lines or trailers on one connection."""

    __slots__ = ("_nbytes", "_request")

    def __init__(self) -> None:
        self._request: object = None
        self._nbytes = 0

    def is_exceeded(self, request: object, nbytes: int) -> bool:
        """Count bytes that left a request incomplete, and return whether the limit is exceeded.

        `request` identifies the request: each has another object. The bytes with which a request starts are not
        counted, because they may include earlier requests.
        """
        if request is not self._request:
            self._request, self._nbytes = request, 0
            return False
        self._nbytes += nbytes
        return self._nbytes > MAX_HEADER_BYTES

    def restart(self) -> None:
        """Restart the count, because some of a body has arrived."""
        self._request = None
