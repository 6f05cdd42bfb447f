"""What one client may send and how many may connect, as a state machine: what it counts is passed in."""

from __future__ import annotations

from enum import Enum

SPARE_CONNECTIONS = 256
"""Connections beyond `max_connections` that are told so. Any more are closed without a word."""
MAX_PIPELINED = 128
"""Requests that wait for their turn on one connection: their objects take tens of times the bytes that were sent."""
MAX_HEADER_BYTES = 64 * 2**10
"""Bytes of a request that may arrive after those that came with its first byte, those of its body not counted."""


class Admission(Enum):
    """What happens to a new connection."""

    ADMIT = "serve it"
    REFUSE = "say that there are too many, and close it"
    ABORT = "close it at once"


def admission(connections: int, max_connections: int) -> Admission:
    """What happens to the last of so many connections."""
    if connections <= max_connections:
        return Admission.ADMIT
    return Admission.REFUSE if connections <= max_connections + SPARE_CONNECTIONS else Admission.ABORT


class HeaderLimit:
    """Counts the bytes of one connection's request whose headers, chunk lines or trailers have come in part."""

    __slots__ = ("_nbytes", "_request")

    def __init__(self) -> None:
        self._request: object = None
        self._nbytes = 0

    def is_exceeded(self, request: object, nbytes: int) -> bool:
        """Whether too much has come of this request, now that these bytes have come and it is still not complete.

        `request` stands for the request: another object for another one. The bytes with which a request begins are not
        counted, for requests that came before it may be among them.
        """
        if request is not self._request:
            self._request, self._nbytes = request, 0
            return False
        self._nbytes += nbytes
        return self._nbytes > MAX_HEADER_BYTES

    def restart(self) -> None:
        """Begin anew: some of a body has come."""
        self._request = None
