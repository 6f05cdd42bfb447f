"""Answers that never change: sent from memory without a copy, or written while they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.negotiation import has_already
from service.storage.store import Part

IMMUTABLE = b"public, max-age=31536000, immutable, no-transform"
_SLICE = 2**20  # bytes between two turns of other connections

Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes:
    """A request's header; several of one name are one list, none is empty."""
    return b",".join(value for key, value in scope["headers"] if key == name)


class Immutable:
    """An answer to GET and HEAD that never changes: 200 with its headers, or 304 where the client has it already.

    Args:
        content_type: of the body.
        etag: a strong entity tag.
        varies: whether the address answers with other formats too, by Accept.
    """

    def __init__(self, content_type: bytes, etag: bytes, *, varies: bool = False) -> None:
        self.etag = etag
        vary = [(b"vary", b"Accept")] if varies else []
        self._unchanged: Headers = [(b"etag", etag), (b"cache-control", IMMUTABLE), *vary]
        self._headers: Headers = [(b"content-type", content_type), (b"x-content-type-options", b"nosniff")]
        self._headers += self._unchanged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        known = header(scope, b"if-none-match")
        if known and has_already(known, self.etag):
            await send({"type": "http.response.start", "status": 304, "headers": self._unchanged})
            await send({"type": "http.response.body", "body": b""})
        elif scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._send_whole(scope, receive, send)

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


class InMemory(Immutable):
    """Bytes that lie in memory, sent as they lie there, a slice at a time so that no connection waits for another."""

    def __init__(self, content_type: bytes, etag: bytes, parts: Sequence[Part], *, varies: bool = False) -> None:
        super().__init__(content_type, etag, varies=varies)
        self._headers.append((b"content-length", str(sum(map(len, parts))).encode()))
        *self._slices, self._last = _slices(parts)

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        for body in self._slices:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.sleep(0)  # a send that finds room does not yield
        await send({"type": "http.response.body", "body": self._last})


def _slices(parts: Iterable[Part]) -> Iterator[memoryview]:
    for part in parts:
        view = memoryview(part)
        yield from (view[start : start + _SLICE] for start in range(0, len(view), _SLICE))


class Written(Immutable):
    """A body that is written block by block while it is sent: no more than one block of it is ever in memory."""

    def __init__(self, content_type: bytes, etag: bytes, blocks: AsyncIterator[bytes], *, varies: bool = False) -> None:
        super().__init__(content_type, etag, varies=varies)
        self._blocks = blocks

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = StreamingResponse(self._blocks)  # which stops when the client goes away
        response.raw_headers = self._headers
        await response(scope, receive, send)


class AnswerResponse(Response):
    """An answer as the response of a FastAPI route."""

    def __init__(self, answer: Immutable) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        await self._answer(scope, receive, send)
