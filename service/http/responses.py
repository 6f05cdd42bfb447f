"""Answers that never change: sent from memory without a copy, or read or written while they are sent."""

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
from service.http.conditional import has_already, is_meant
from service.http.disconnect import cancel_on_disconnect
from service.http.ranges import parse_range
from service.http.request_id import IDENTITY
from service.storage.store import Part

_PUBLIC = b"public, max-age=31536000, immutable, no-transform"
_OWN = b"private, max-age=31536000, immutable, no-transform"
_ASK_AGAIN = b"private, no-cache, no-transform"
_CONDITIONS = frozenset((b"if-match", b"if-none-match", b"range", b"if-range"))
_BODY = frozenset((b"content-length", b"transfer-encoding"))  # what says that there is a body to read
_SPECIAL = _CONDITIONS | _BODY
_BEFORE = _BODY | {b"if-match"}  # what is looked at though the client has the answer already
_NO_BODY = {"type": "http.response.body", "body": b""}
_SLICE = 2**19  # bytes between two turns of other connections
_SHORT = 2**14  # bytes of a body that is sent in one piece with its head
_LAST = 2**16  # bytes that a connection takes without waiting for its client: what asyncio and uvloop let it hold

Fields = Sequence[tuple[bytes, bytes]]
"""A request's headers, their names in lower case."""

Headers = tuple[tuple[bytes, bytes], ...]
"""Of an answer. Shared by all who are sent the answer: so nobody can add to them."""


def joined_field(headers: Fields, name: bytes) -> bytes:
    """The value of a header; several of one name are one list, none is empty."""
    return b",".join([value for key, value in headers if key == name])


def header(scope: Scope, name: bytes) -> bytes:
    """The value of a header of a request, as `joined_field` has it."""
    return joined_field(scope["headers"], name)


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


class HttpResponse:
    """An answer to GET and HEAD that never changes: 200, 206 for a part, or 304 where the client has it already.

    Args:
        content_type: of the body.
        etag: a strong entity tag.
        length: bytes of the body; None where that is not known beforehand, and no part of it is served.
        varies: whether the address answers with other formats too, by Accept.
        is_immutable: whether the address answers with this for ever. Else caches must ask again each time.
        sha256: the SHA-256 of the body, 32 bytes, to be sent along where it is known.

    `sending` counts the bodies that are on their way: their memory is in use even where nobody else knows it any more.
    """

    def __init__(
        self,
        content_type: bytes,
        etag: bytes,
        *,
        length: int | None = None,
        varies: bool = False,
        is_immutable: bool = True,
        sha256: bytes | None = None,
    ) -> None:
        self.etag = etag
        self.sending = 0
        self.length = length
        self._has_it = (b"if-none-match", etag)
        self._content_type = content_type
        self._varies = varies
        self._is_immutable = is_immutable
        self._sha256 = sha256
        self._headers: dict[tuple[int, bool], Headers] = {}  # as they are asked for: most tables want few of them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["method"] == "HEAD" or not _CONDITIONS.isdisjoint([name for name, _ in scope["headers"]]):
            await self._answer_rarer(scope, receive, send)
        else:
            await self._send(scope, receive, send, self.head(200, private=IDENTITY in scope), None)

    def head(self, status: int, *, private: bool) -> Message:
        """How the answer starts, as 200 or 304."""
        headers = self._headers.get((status, private))
        if headers is None:
            headers = self._headers[status, private] = self._headers_of(status, private=private)
        return _start(status, headers)

    def _headers_of(self, status: int, *, private: bool) -> Headers:
        lasting = _OWN if private else _PUBLIC
        caching = (b"cache-control", lasting if self._is_immutable else _ASK_AGAIN)
        vary: Headers = ((b"vary", b"Accept"),) if self._varies else ()
        always: Headers = ((b"etag", self.etag), caching, *vary)
        if status == 304:
            return always
        about = _about(self.length, self._sha256)
        return ((b"content-type", self._content_type), (b"x-content-type-options", b"nosniff"), *about, *always)

    async def _answer_rarer(self, scope: Scope, receive: Receive, send: Send) -> None:
        meant, known, private = header(scope, b"if-match"), header(scope, b"if-none-match"), IDENTITY in scope
        if meant and not is_meant(meant, self.etag):
            error = PreconditionFailedError(f"If-Match does not name what is here: {self.etag.decode()}")
            await (await problems.answer(Request(scope), error))(scope, receive, send)
        elif known and has_already(known, self.etag):
            await send(self.head(304, private=private))
            await send(_NO_BODY)
        elif scope["method"] == "HEAD":  # for which ranges mean nothing
            await send(self.head(200, private=private))
            await send(_NO_BODY)
        elif self.length is None or header(scope, b"if-range") not in (b"", self.etag):
            await self._send(scope, receive, send, self.head(200, private=private), None)
        else:
            await self._send_wanted(scope, receive, send, self.head(200, private=private), self.length)

    async def _send_wanted(self, scope: Scope, receive: Receive, send: Send, whole: Message, length: int) -> None:
        """What the Range header asks for: a part, all, or an error that says how long the body is."""
        try:
            places = parse_range(header(scope, b"range"), length)
        except RangeNotSatisfiableError as error:
            response = await problems.answer(Request(scope), error)
            response.headers["content-range"] = f"bytes */{length}"
            await response(scope, receive, send)
            return
        head = whole if places is None else _start(206, _of_part(whole["headers"], places, length))
        await self._send(scope, receive, send, head, places)

    async def _send(self, scope: Scope, receive: Receive, send: Send, head: Message, places: range | None) -> None:
        """Send the head, and these places of the body; all of it for None."""
        raise NotImplementedError


def _written(head: Message) -> bytes:
    """The head of an answer as HTTP/1.1 has it, but for the empty line at its end."""
    status: int = head["status"]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in head["headers"])
    return b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), lines)


def _about(length: int | None, sha256: bytes | None) -> Headers:
    ranges = () if length is None else ((b"content-length", b"%d" % length), (b"accept-ranges", b"bytes"))
    return ranges if sha256 is None else (*ranges, (b"repr-digest", b"sha-256=:%b:" % base64.b64encode(sha256)))


def _of_part(headers: Headers, places: range, length: int) -> Headers:
    """The headers of these places of a body, from those of the whole."""
    kept = (pair for pair in headers if pair[0] != b"content-length")
    placed = b"bytes %d-%d/%d" % (places.start, places.stop - 1, length)
    return (*kept, (b"content-range", placed), (b"content-length", b"%d" % len(places)))


class BufferResponse(HttpResponse):
    """Bytes that lie in memory, sent as they lie there, a slice at a time so that no connection waits for another.

    The last 64 KiB are sent as a copy: a connection may hold that much for a client who takes nothing more, and
    would keep all the memory, of however large a table, in use.
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
        self._is_short = len(parts) == 1 and length <= _SHORT
        self._short: dict[tuple[int, bool], bytes] = {}

    @classmethod
    def made(
        cls, content_type: bytes, body: bytes, *, varies: bool = False, is_immutable: bool = True
    ) -> BufferResponse:
        """The answer with a body that was made for it. Its tag is its SHA-256, so a long body is for a thread."""
        digest = sha256(body).digest()
        etag = b'"%b"' % digest.hex().encode()
        return cls(content_type, etag, [body], varies=varies, is_immutable=is_immutable, sha256=digest)

    def plain_status(self, headers: Fields) -> int | None:
        """The status, 200 or 304, of a GET with these headers; None where they may ask for something else."""
        names = [name for name, _ in headers]
        if self._has_it in headers:
            return 304 if _BEFORE.isdisjoint(names) else None
        return 200 if _SPECIAL.isdisjoint(names) else None

    def short(self, status: int, *, private: bool, request_id: bytes = b"") -> tuple[bytes, Part] | None:
        """What `plain_status` told as HTTP/1.1 for a connection that stays open, where that is not long; else None.

        That is the head, without the headers that the server adds and the empty line, and the body.
        """
        whole = status == 200
        if whole and not self._is_short:
            return None
        found = self._short.get((status, private))
        if found is None:
            found = self._short[status, private] = _written(self.head(status, private=private))
        if request_id:
            found += b"x-request-id: %b\r\n" % request_id
        return found, self._parts[0] if whole else b""

    async def _send(self, scope: Scope, receive: Receive, send: Send, head: Message, places: range | None) -> None:
        await send(head)
        await self._send_places(send, self._places if places is None else places)

    async def _send_places(self, send: Send, places: range) -> None:
        pinned, last = places[:-_LAST], places[-_LAST:]
        self.sending += 1
        try:
            for body in _slices(self._parts, pinned):
                await send({"type": "http.response.body", "body": body, "more_body": True})
                if len(body) > _LAST:  # a head of a file goes out with what follows
                    await asyncio.sleep(0)  # a send that finds room does not yield
            copy = b"".join(_slices(self._parts, last))
            await send({"type": "http.response.body", "body": copy, "more_body": bool(pinned)})
            if pinned:
                await send(_NO_BODY)  # which waits until the last slice is taken: with the copy it is more than `_LAST`
        finally:
            self.sending -= 1


def _slices(parts: Iterable[Part], places: range) -> Iterator[memoryview]:
    """These places of the joined parts, in slices."""
    start, stop = places.start, places.stop
    for part in parts:
        piece = memoryview(part)[max(start, 0) : max(stop, 0)]
        yield from (piece[place : place + _SLICE] for place in range(0, len(piece), _SLICE))
        start, stop = start - len(part), stop - len(part)


class Source(Protocol):
    """A body of a known length that is not in memory."""

    @property
    def length(self) -> int:
        """Bytes of the whole."""

    def read(self, start: int, stop: int) -> AsyncIterator[Part]:
        """The bytes from `start` up to but without `stop`, piece by piece. Raises where they cannot be had."""


class StreamResponse(HttpResponse):
    """Bytes that are read while they are sent."""

    def __init__(
        self, content_type: bytes, etag: bytes, source: Source, *, varies: bool = False, sha256: bytes | None = None
    ) -> None:
        super().__init__(content_type, etag, length=source.length, varies=varies, sha256=sha256)
        self._source = source

    async def _send(self, scope: Scope, receive: Receive, send: Send, head: Message, places: range | None) -> None:
        start, stop = (0, self._source.length) if places is None else (places.start, places.stop)
        await _stream(self._source.read(start, stop), receive, send, head)


class GeneratedResponse(HttpResponse):
    """A body that is written block by block while it is sent, once: no more than one block of it is ever in memory."""

    def __init__(self, content_type: bytes, etag: bytes, blocks: AsyncIterator[bytes], *, varies: bool = False) -> None:
        super().__init__(content_type, etag, varies=varies)
        self._blocks = blocks

    async def _send(self, scope: Scope, receive: Receive, send: Send, head: Message, places: range | None) -> None:
        await _stream(self._blocks, receive, send, head)


async def _stream(pieces: AsyncIterator[Part], receive: Receive, send: Send, head: Message) -> None:
    """Send pieces until they end or the client goes away.

    Starlette's own way leaves what it has cancelled in a cycle of references: a table would stay until that is found.
    """
    with suppress(ClientDisconnect):
        await cancel_on_disconnect(receive, _send_pieces(pieces, send, head))


async def _send_pieces(pieces: AsyncIterator[Part], send: Send, head: Message) -> None:
    piece: Part | None = await anext(pieces)  # before the head: it can still fail
    await send(head)
    while piece is not None:
        await send(_body(piece[:-_LAST]))
        last = bytes(piece[-_LAST:])  # a copy, as in memory: a connection keeps all of a piece for what is left of it
        del piece
        await send(_body(last))
        await send(_body(b""))  # waits until the client has taken nearly all: before that the next one is not read
        piece = await anext(pieces, None)
    await send(_NO_BODY)


def _body(part: Part) -> Message:
    return {"type": "http.response.body", "body": part, "more_body": True}


class StarletteResponse(Response):
    """An answer as the response of a FastAPI route."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        await self._answer(scope, receive, send)
