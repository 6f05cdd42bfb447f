"""Request bodies: of the type that they have to be, received up to a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.requests import Request

from service.errors import BodyTooLargeError, FieldError, QueueFullError, UnsupportedMediaTypeError, abbreviate
from service.strict_json import SMALL

_BODIES = 16  # of the largest size at a time: their specs may take ten times their memory


class Bodies:
    """Receives JSON bodies; those of all requests under way together take a bounded amount of memory.

    A body takes its memory as it comes, and keeps it until its request is answered: the spec that was read out of it
    takes some more. Large ones may have 16 times what the largest may have; so much again is left for small ones. An
    instance belongs to one event loop.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._limit = max_body_bytes
        self._held = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a JSON request, for a `with` block: what is too large is refused before it is read, or while.

        Raises `UnsupportedMediaTypeError`, `BodyTooLargeError`, and `QueueFullError` where others have the memory.
        """
        check_media_type(request, ("application/json",), "JSON in UTF-8")
        body = bytearray()
        try:
            self._check(0, min(_announced(request), self._limit))  # one that cannot be had is not begun
            async for piece in pieces(request, self._limit, "max_body_bytes"):
                self._check(len(body), len(piece))
                self._held += len(piece)
                body += piece
            yield bytes(body)
        finally:
            self._held -= len(body)

    def _check(self, size: int, more: int) -> None:
        """Raise where a body of this size cannot have more."""
        most = _BODIES * self._limit * (1 if size + more > SMALL else 2)
        if self._held + more > most:
            raise QueueFullError(f"{self._held} bytes of requests are under way, as many as this server takes")


def check_media_type(request: Request, media_types: Sequence[str], what: str) -> None:
    """Raise `UnsupportedMediaTypeError` for a body of another type than these, in another charset, or compressed."""
    header = request.headers.get("content-type", "")
    media_type, _, parameters = header.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() not in media_types or charset not in ("", "charset=utf-8"):
        detail = f"the body must be {what}, with Content-Type: {' or '.join(media_types)}, got {abbreviate(header)!r}"
        raise UnsupportedMediaTypeError(detail, [FieldError(detail, parameter="content-type", value=header)])
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        detail = f"the body must come as it is, without Content-Encoding, got {abbreviate(coding)!r}"
        raise UnsupportedMediaTypeError(detail, [FieldError(detail, parameter="content-encoding", value=coding)])


async def pieces(request: Request, limit: int, setting: str) -> AsyncIterator[bytes]:
    """The body as it comes, at most `limit` bytes, which `setting` sets. Raises `BodyTooLargeError`."""
    _check_size(_announced(request), limit, setting)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        _check_size(size, limit, setting)
        yield piece


def _announced(request: Request) -> int:
    """How many bytes the request says that its body has; 0 where it does not say, or says nothing sensible."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


def _check_size(size: int, limit: int, setting: str) -> None:
    if size > limit:
        raise BodyTooLargeError(f"the body must be at most {limit} bytes ({setting}), got {size} or more")
