"""Responses whose body never changes: sent from memory without a copy, or read from a source while they are sent."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.errors import PreconditionFailedError, RangeNotSatisfiableError
from service.http import problems
from service.http.conditional import is_not_modified, precondition_holds
from service.http.disconnect import cancel_on_disconnect
from service.http.ranges import parse_range
from service.http.request_id import IDENTITY
from service.storage.store import Part

_PUBLIC = b"public, max-age=31536000, immutable, no-transform"
_PRIVATE = b"private, max-age=31536000, immutable, no-transform"
_REVALIDATE = b"private, no-cache, no-transform"
_CONDITIONS = frozenset((b"if-match", b"if-none-match", b"range", b"if-range"))
_BODY = frozenset((b"content-length", b"transfer-encoding"))  # the request has a body that must be read
_SPECIAL = _CONDITIONS | _BODY
_BEFORE_304 = _BODY | {b"if-match"}  # headers that matter even if If-None-Match matches
_NO_BODY = {"type": "http.response.body", "body": b""}
_SLICE = 2**19  # bytes sent before other connections are served
_SHORT = 2**14  # bytes of the largest body that is sent in one piece with its head
_LAST = 2**16  # bytes that asyncio and uvloop buffer for a client before a send waits

Fields = Sequence[tuple[bytes, bytes]]
"""The headers of a request, with names in lower case."""

Headers = tuple[tuple[bytes, bytes], ...]
"""The headers of a response. A tuple, because all clients that are sent the response share it."""


def joined_field(headers: Fields, name: bytes) -> bytes:
    """Return the value of a header. Several with one name are joined by commas. A missing one is empty."""
    return b",".join([value for key, value in headers if key == name])


def header(scope: Scope, name: bytes) -> bytes:
    """Return a header of a request, as `joined_field` does."""
    return joined_field(scope["headers"], name)


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


class HttpResponse:
    """A response to GET and HEAD whose body never changes: 200, 206 for a range, or 304 if the client has it.

    Args:
        content_type: media type of the body.
        etag: strong entity tag.
        length: bytes of the body.
        varies: whether the URL has other formats too, chosen by Accept.
        is_immutable: whether the URL always has this body. If not, caches must revalidate each time.
        sha256: SHA-256 of the body, 32 bytes, sent as Repr-Digest if known.

    `sending` counts the bodies being sent. Their memory is in use even after the cache has evicted them.
    """

    def __init__(
        self,
        content_type: bytes,
        etag: bytes,
        *,
        length: int = 0,
        varies: bool = False,
        is_immutable: bool = True,
        sha256: bytes | None = None,
    ) -> None:
        self.etag = etag
        self.sending = 0
        self.length = length
        self._if_none_match = (b"if-none-match", etag)
        self._content_type = content_type
        self._varies = varies
        self._is_immutable = is_immutable
        self._sha256 = sha256
        self._headers: dict[tuple[int, bool], Headers] = {}  # made when first needed: most tables need few of them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, as an ASGI application."""
        if scope["method"] == "HEAD" or not _CONDITIONS.isdisjoint([name for name, _ in scope["headers"]]):
            await self._send_conditional(scope, receive, send)
        else:
            await self._send(scope, receive, send, self.head(200, private=IDENTITY in scope), None)

    def head(self, status: int, *, private: bool) -> Message:
        """Return the response's start message, for status 200 or 304."""
        headers = self._headers.get((status, private))
        if headers is None:
            headers = self._headers[status, private] = self._headers_of(status, private=private)
        return _start(status, headers)

    def caching(self, *, private: bool) -> bytes:
        """Return the value of Cache-Control, for a response that only its client may keep, or for any."""
        if not self._is_immutable:
            return _REVALIDATE
        return _PRIVATE if private else _PUBLIC

    def _headers_of(self, status: int, *, private: bool) -> Headers:
        caching = (b"cache-control", self.caching(private=private))
        vary: Headers = ((b"vary", b"Accept"),) if self._varies else ()
        always: Headers = ((b"etag", self.etag), caching, *vary)
        if status == 304:
            return always
        body = _body_headers(self.length, self._sha256)
        return ((b"content-type", self._content_type), (b"x-content-type-options", b"nosniff"), *body, *always)

    async def _send_conditional(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to HEAD, or to a GET with conditions or a range, in the order of RFC 9110, section 13.2.2."""
        if_match, if_none_match = header(scope, b"if-match"), header(scope, b"if-none-match")
        private = IDENTITY in scope
        if if_match and not precondition_holds(if_match, self.etag):
            error = PreconditionFailedError(f"If-Match does not match the current entity tag, {self.etag.decode()}")
            await (await problems.problem_response(Request(scope), error))(scope, receive, send)
        elif if_none_match and is_not_modified(if_none_match, self.etag):
            await send(self.head(304, private=private))
            await send(_NO_BODY)
        elif scope["method"] == "HEAD":  # ranges do not apply to HEAD
            await send(self.head(200, private=private))
            await send(_NO_BODY)
        elif header(scope, b"if-range") not in (b"", self.etag):
            await self._send(scope, receive, send, self.head(200, private=private), None)
        else:
            await self._send_range(scope, receive, send, self.head(200, private=private))

    async def _send_range(self, scope: Scope, receive: Receive, send: Send, full: Message) -> None:
        """Send the bytes that the Range header asks for; if there are none, an error with the body's length."""
        length = self.length
        try:
            places = parse_range(header(scope, b"range"), length)
        except RangeNotSatisfiableError as error:
            response = await problems.problem_response(Request(scope), error)
            response.headers["content-range"] = f"bytes */{length}"
            await response(scope, receive, send)
            return
        head = full if places is None else _start(206, _range_headers(full["headers"], places, length))
        await self._send(scope, receive, send, head, places)

    async def _send(self, scope: Scope, receive: Receive, send: Send, head: Message, places: range | None) -> None:
        """Send the head, and the bytes of the body at these offsets; the whole body for None."""
        raise NotImplementedError


def _serialized(head: Message) -> bytes:
    """Return the head of a response as HTTP/1.1 text, without the empty line at its end."""
    status: int = head["status"]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in head["headers"])
    return b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), lines)


def _body_headers(length: int, sha256: bytes | None) -> Headers:
    ranges = ((b"content-length", b"%d" % length), (b"accept-ranges", b"bytes"))
    return ranges if sha256 is None else (*ranges, (b"repr-digest", repr_digest(sha256).encode()))


def repr_digest(sha256: bytes) -> str:
    """Return the value of a Repr-Digest header (RFC 9530) for a body of this SHA-256."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def _range_headers(headers: Headers, places: range, length: int) -> Headers:
    """Return the headers of a range response, made from those of the full response."""
    others = (pair for pair in headers if pair[0] != b"content-length")
    content_range = b"bytes %d-%d/%d" % (places.start, places.stop - 1, length)
    return (*others, (b"content-range", content_range), (b"content-length", b"%d" % len(places)))


class BufferResponse(HttpResponse):
    """A response whose body is in memory. It is sent without a copy, in slices, so that other connections progress.

    Only the last 64 KiB are sent as a copy. A connection may buffer that much for a stalled client, and a view would
    keep the memory of the whole table in use.
    """

    def __init__(
        self,
        content_type: bytes,
        etag: bytes,
        parts: Sequence[Part],
        *,
        varies: bool = False,
        is_immutable: bool = True,
        sha256: bytes | None = None,
    ) -> None:
        length = sum(map(len, parts))
        super().__init__(content_type, etag, length=length, varies=varies, is_immutable=is_immutable, sha256=sha256)
        self._parts = parts
        self._places = range(length)
        self._is_short = length <= _SHORT
        self._short: dict[tuple[int, bool], bytes] = {}

    @classmethod
    def made(
        cls, content_type: bytes, body: bytes, *, varies: bool = False, is_immutable: bool = True
    ) -> BufferResponse:
        """Return a response with this body. Its entity tag is its SHA-256, so make a long one in a thread."""
        digest = sha256(body).digest()
        etag = b'"%b"' % digest.hex().encode()
        return cls(content_type, etag, [body], varies=varies, is_immutable=is_immutable, sha256=digest)

    def short_status(self, headers: Fields) -> int | None:
        """Return 200 or 304 if that is the response to a plain GET with these headers, and it is short; else None.

        A GET is plain if it has no body, and no condition but an If-None-Match with exactly this entity tag.
        """
        if self._if_none_match in headers:
            status, not_plain = 304, _BEFORE_304
        elif self._is_short:
            status, not_plain = 200, _SPECIAL
        else:
            return None
        for name, _ in headers:  # a loop, not a comprehension: it costs less, and every short response pays it
            if name in not_plain:
                return None
        return status

    def short(self, status: int, *, private: bool, request_id: bytes = b"") -> tuple[bytes, bytes]:
        """Return the response with a status from `short_status` as HTTP/1.1 for a kept-alive connection.

        The result is the head, without the server's own headers and the empty line, and the body.
        """
        found = self._short.get((status, private))
        if found is None:
            found = self._short[status, private] = _serialized(self.head(status, private=private))
        if request_id:
            found += b"x-request-id: %b\r\n" % request_id
        return found, b"".join(self._parts) if status == 200 else b""

    async def _send(self, scope: Scope, receive: Receive, send: Send, head: Message, places: range | None) -> None:
        await send(head)
        await self._send_places(send, self._places if places is None else places)

    async def _send_places(self, send: Send, places: range) -> None:
        pinned, last = places[:-_LAST], places[-_LAST:]
        self.sending += 1
        try:
            for body in _slices(self._parts, pinned):
                await send({"type": "http.response.body", "body": body, "more_body": True})
                if len(body) > _LAST:  # a short part, such as a file's header, goes out with the next one
                    await asyncio.sleep(0)  # a send that need not wait does not yield to other connections
            copy = b"".join(_slices(self._parts, last))
            await send({"type": "http.response.body", "body": copy, "more_body": bool(pinned)})
            if pinned:
                # The last slice and the copy exceed `_LAST`, so this send waits until the client has read the slice.
                await send(_NO_BODY)
        finally:
            self.sending -= 1


def _slices(parts: Iterable[Part], places: range) -> Iterator[memoryview]:
    """Yield the bytes at these offsets of the joined parts, in slices."""
    start, stop = places.start, places.stop
    for part in parts:
        piece = memoryview(part)[max(start, 0) : max(stop, 0)]
        yield from (piece[place : place + _SLICE] for place in range(0, len(piece), _SLICE))
        start, stop = start - len(part), stop - len(part)


class Source(Protocol):
    """A body of a known length that is not in memory."""

    @property
    def length(self) -> int:
        """Length of the body in bytes."""

    def read(self, start: int, stop: int) -> AsyncIterator[Part]:
        """Yield the bytes from `start` up to but without `stop`, in pieces. Raises if they cannot be read."""


class StreamResponse(HttpResponse):
    """A response whose body is read from a source while it is sent."""

    def __init__(
        self, content_type: bytes, etag: bytes, source: Source, *, varies: bool = False, sha256: bytes | None = None
    ) -> None:
        super().__init__(content_type, etag, length=source.length, varies=varies, sha256=sha256)
        self._source = source

    async def _send(self, scope: Scope, receive: Receive, send: Send, head: Message, places: range | None) -> None:
        start, stop = (0, self._source.length) if places is None else (places.start, places.stop)
        await _stream(self._source.read(start, stop), receive, send, head)


async def _stream(pieces: AsyncIterator[Part], receive: Receive, send: Send, head: Message) -> None:
    """Send pieces until they end or the client disconnects.

    Starlette's `StreamingResponse` leaves a cancelled task in a reference cycle, which would keep the table in memory
    until the next garbage collection.
    """
    with suppress(ClientDisconnect):
        await cancel_on_disconnect(receive, _send_pieces(pieces, send, head))


async def _send_pieces(pieces: AsyncIterator[Part], send: Send, head: Message) -> None:
    piece: Part | None = await anext(pieces)  # before the head: an error can still become a problem document
    await send(head)
    while piece is not None:
        await send(_body(piece[:-_LAST]))
        last = bytes(piece[-_LAST:])  # a copy: a view in the connection's buffer would hold the memory of all the piece
        del piece
        await send(_body(last))
        await send(_body(b""))  # waits for the client to read nearly all of the piece before the next one is read
        piece = await anext(pieces, None)
    await send(_NO_BODY)


def _body(part: Part) -> Message:
    return {"type": "http.response.body", "body": part, "more_body": True}


class StarletteResponse(Response):
    """An `HttpResponse` that a FastAPI route can return."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, as an ASGI application."""
        await self._response(scope, receive, send)
