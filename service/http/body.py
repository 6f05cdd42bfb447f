"""Request bodies: their media type is checked, and they are received up to a size limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.requests import Request

from service.errors import BodyTooLargeError, FieldError, QueueFullError, UnsupportedMediaTypeError, abbreviate
from service.strict_json import SMALL

_BODIES = 16  # bodies of the largest size in memory: the specs parsed from them may take ten times as much


class Bodies:
    """Receives JSON bodies. The bodies of all active requests share a bounded amount of memory.

    A body counts while it arrives, and until its response is sent, because the spec parsed from it takes memory too.
    Large bodies together may take 16 times `max_body_bytes`. Small ones may take as much again, so that large bodies
    never block them. An instance belongs to one event loop.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._limit = max_body_bytes
        self._held = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body of a JSON request. A body that is too large is rejected as early as possible.

        Raises `UnsupportedMediaTypeError`, `BodyTooLargeError`, and `QueueFullError` if other bodies use the memory.
        """
        check_media_type(request, ("application/json",), "JSON in UTF-8")
        body = bytearray()
        try:
            self._check(0, min(_content_length(request), self._limit))  # do not start reading what will not fit
            async for piece in pieces(request, self._limit, "max_body_bytes"):
                self._check(len(body), len(piece))
                self._held += len(piece)
                body += piece
            yield bytes(body)
        finally:
            self._held -= len(body)

    def _check(self, size: int, more: int) -> None:
        """Raise if a body of this size cannot grow by `more` bytes."""
        most = _BODIES * self._limit * (1 if size + more > SMALL else 2)
        if self._held + more > most:
            raise QueueFullError(f"request bodies already take {self._held} bytes, of at most {most}: try again later")


def check_media_type(request: Request, media_types: Sequence[str], what: str) -> None:
    """Raise `UnsupportedMediaTypeError` for another media type, a charset other than UTF-8, or a compressed body."""
    header = request.headers.get("content-type", "")
    media_type, _, parameters = header.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() not in media_types or charset not in ("", "charset=utf-8"):
        detail = f"the body must be {what}, with Content-Type: {' or '.join(media_types)}, got {abbreviate(header)!r}"
        raise UnsupportedMediaTypeError(detail, [FieldError(detail, parameter="content-type", value=header)])
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        detail = f"the body must not be compressed: send no Content-Encoding, got {abbreviate(coding)!r}"
        raise UnsupportedMediaTypeError(detail, [FieldError(detail, parameter="content-encoding", value=coding)])


async def pieces(request: Request, limit: int, setting: str) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Raises `BodyTooLargeError` beyond `limit` bytes, and names the `setting` of it."""
    _check_size(_content_length(request), limit, setting)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        _check_size(size, limit, setting)
        yield piece


def _content_length(request: Request) -> int:
    """Return the Content-Length of a request; 0 if it has none, or an invalid one."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


def _check_size(size: int, limit: int, setting: str) -> None:
    if size > limit:
        raise BodyTooLargeError(f"the body must be at most {limit} bytes ({setting}), got {size} or more")
