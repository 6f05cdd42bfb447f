"""Responses whose body never changes."""

import asyncio
import base64
import gc
import weakref
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send

from scheduler import Table
from service.errors import StorageError
from service.http.request_id import IDENTITY
from service.http.responses import BufferResponse, HttpResponse, StreamResponse
from service.security.tokens import Identity, identity_of

BODY = bytes(range(256)) * 4096  # a megabyte
ETAG = b'"tag"'


class OddPieces:
    """A source that yields its bytes in pieces of a length that divides no other length."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        for place in range(start, stop, 100_003):
            yield self._body[place : min(place + 100_003, stop)]


class Gone:
    """A source whose bytes can no longer be read."""

    length = 10

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        raise StorageError("it is gone")
        yield b""


class Sent:
    """The messages that a response sent."""

    def __init__(self, messages: list[Message]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = dict(messages[0]["headers"])
        self.body = b"".join(message["body"] for message in messages[1:])
        self.pieces = [message["body"] for message in messages[1:]]
        self.more = [message.get("more_body", False) for message in messages[1:]]


def ask(response: HttpResponse, method: str = "GET", scope: dict[str, Any] | None = None, **headers: str) -> Sent:
    """Send this request to a response, and return what it sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()  # the client stays
        return {"type": "http.disconnect"}

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asked = {"type": "http", "method": method, "path": "/", "headers": pairs, "query_string": b"", **(scope or {})}
    asyncio.run(response(asked, receive, send))
    return Sent(sent)


@pytest.fixture(params=["memory", "source"])
def response(request: pytest.FixtureRequest) -> HttpResponse:
    """Return a response with the body in memory, in two parts, and one with the body in a source."""
    digest = sha256(BODY).digest()
    if request.param == "memory":
        return BufferResponse(b"x/y", ETAG, [BODY[:1000], memoryview(BODY)[1000:]], sha256=digest)
    return StreamResponse(b"x/y", ETAG, OddPieces(BODY), sha256=digest)


def test_a_full_response_has_all_headers(response: HttpResponse) -> None:
    """200 has type, length, tag and digest, accepts ranges, and may be cached by everyone for ever."""
    sent = ask(response)
    assert (sent.status, sent.body) == (200, BODY)
    assert sent.headers == {
        b"content-type": b"x/y",
        b"x-content-type-options": b"nosniff",
        b"content-length": b"%d" % len(BODY),
        b"accept-ranges": b"bytes",
        b"repr-digest": b"sha-256=:" + base64.b64encode(sha256(BODY).digest()) + b":",
        b"etag": ETAG,
        b"cache-control": b"public, max-age=31536000, immutable, no-transform",
    }
    assert sent.more == [True] * (len(sent.more) - 1) + [False]


def test_head_is_get_without_a_body(response: HttpResponse) -> None:
    """HEAD has the headers of GET, whatever range it asks for."""
    for header in ("", "bytes=0-1", "bytes=99999999-"):
        sent = ask(response, "HEAD", range=header)
        assert (sent.status, sent.body, sent.headers) == (200, b"", ask(response).headers)


@pytest.mark.parametrize("if_none_match", ['"tag"', 'W/"tag"', '"other", "tag"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_that_the_client_has_is_not_sent(response: HttpResponse, method: str, if_none_match: str) -> None:
    """If-None-Match with the tag is a 304 with the caching headers; it takes precedence over Range."""
    sent = ask(response, method, if_none_match=if_none_match, range="bytes=0-1")
    assert (sent.status, sent.body) == (304, b"")
    assert sent.headers == {name: ask(response).headers[name] for name in (b"etag", b"cache-control")}


@pytest.mark.parametrize("if_match", ['"other"', 'W/"tag"'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"if_none_match": '"tag"'}, {"range": "bytes=0-1"}])
def test_another_body_than_the_client_expects_is_not_sent(
    response: HttpResponse, method: str, if_match: str, headers: dict[str, str]
) -> None:
    """If-Match without the tag is a 412 problem; it takes precedence over If-None-Match and Range."""
    sent = ask(response, method, None, if_match=if_match, **headers)
    assert (sent.status, sent.headers[b"content-type"]) == (412, b"application/problem+json")
    assert b'"precondition-failed"' in sent.body


@pytest.mark.parametrize("if_match", ['"tag"', '"other", "tag"', "*"])
def test_the_body_that_the_client_expects_is_sent(response: HttpResponse, if_match: str) -> None:
    """If-Match with the tag does not change the response."""
    for headers in ({}, {"if_none_match": '"tag"'}, {"range": "bytes=0-1"}):
        with_it, without = (ask(response, "GET", None, **more, **headers) for more in ({"if_match": if_match}, {}))
        assert (with_it.status, with_it.headers, with_it.body) == (without.status, without.headers, without.body)


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=999-1000", 999, 1001),
        ("bytes=500000-", 500_000, len(BODY)),
        ("bytes=-10", len(BODY) - 10, len(BODY)),
        ("bytes=0-1048575", 0, len(BODY)),
        ("bytes=500-900000", 500, 900_001),
    ],
)
def test_a_range_is_sent(response: HttpResponse, header: str, start: int, stop: int) -> None:
    """A range is a 206 with its bytes, its Content-Range and length, and the digest of the full body."""
    sent = ask(response, range=header)
    assert (sent.status, sent.body) == (206, BODY[start:stop])
    assert sent.headers[b"content-range"] == b"bytes %d-%d/%d" % (start, stop - 1, len(BODY))
    assert sent.headers[b"content-length"] == b"%d" % (stop - start)
    same = (b"etag", b"repr-digest", b"content-type", b"cache-control", b"accept-ranges")
    assert {name: sent.headers[name] for name in same} == {name: ask(response).headers[name] for name in same}


def test_if_range_needs_the_tag(response: HttpResponse) -> None:
    """If-Range with the tag is a 206; with another tag, a weak one or a date, the full body is sent."""
    assert ask(response, range="bytes=0-1", if_range='"tag"').status == 206
    for other in ('"other"', 'W/"tag"', "Wed, 25 Nov 2026 00:00:00 GMT"):
        sent = ask(response, range="bytes=0-1", if_range=other)
        assert (sent.status, sent.body) == (200, BODY)


def test_a_range_past_the_end_is_an_error(response: HttpResponse) -> None:
    """A range past the end is a 416 problem with the length of the body."""
    sent = ask(response, range="bytes=1048576-")
    assert (sent.status, sent.headers[b"content-range"]) == (416, b"bytes */1048576")
    assert sent.headers[b"content-type"] == b"application/problem+json"
    assert ask(response, range="bytes=0-1,5-6").status == 200


@pytest.mark.parametrize("headers", [{}, {"if_none_match": '"tag"'}, {"range": "bytes=0-1"}])
def test_a_response_to_a_token_is_private(response: HttpResponse, headers: dict[str, str]) -> None:
    """Shared caches may not store the response to a request with a token."""
    identity = Identity("id", "name", ("read",))
    scope = {IDENTITY: identity}
    assert identity_of(scope) is identity  # the authentication uses the same key
    assert ask(response, scope=scope, **headers).headers[b"cache-control"].startswith(b"private, max-age=31536000")


def test_a_negotiated_response_has_vary() -> None:
    """A response that depends on Accept has a Vary header, with 200 and with 304."""
    response = BufferResponse(b"x/y", ETAG, [b"body"], varies=True)
    assert ask(response).headers[b"vary"] == ask(response, if_none_match='"tag"').headers[b"vary"] == b"Accept"


def test_a_table_goes_out_in_slices_without_a_copy() -> None:
    """Full bodies and ranges are views of the table's memory, 512 KiB at a time; only the last 64 KiB are a copy."""
    table = Table({"lr": [0.5] * 300_000})
    response = BufferResponse(b"x/y", ETAG, table.parts())
    whole, part = ask(response), ask(response, range="bytes=9000-1999999")
    assert whole.body == table.to_bytes()
    assert max(map(len, whole.pieces + part.pieces)) <= 2**20
    assert all(np.shares_memory(np.asarray(piece), table.lr) for piece in whole.pieces[1:-2] + part.pieces[:-2])


@pytest.mark.parametrize("stop", [1, 2**16, 2**16 + 1, 520_000, 2**19, 2**20, 2_000_000])
def test_memory_counts_as_in_use_while_a_connection_may_hold_it(stop: int) -> None:
    """`sending` stays 1 until all views are sent; the last 64 KiB, which a connection may buffer, are a copy."""
    table = Table({"lr": [0.5] * 300_000})
    response = BufferResponse(b"x/y", ETAG, table.parts())
    held: list[tuple[object, int]] = []

    async def send(message: Message) -> None:
        held.append((message.get("body", b""), response.sending))

    async def main() -> None:
        receive: Receive = asyncio.Event().wait  # type: ignore[assignment]  # never asked
        headers = [(b"range", b"bytes=0-%d" % (stop - 1))]
        await response({"type": "http", "method": "GET", "headers": headers}, receive, send)

    asyncio.run(main())
    views = [(len(body), sending) for body, sending in held if isinstance(body, memoryview)]
    assert sum(size for size, _ in views) == max(stop - 2**16, 0)
    assert {sending for _, sending in views} <= {1}
    assert held[-1] == (b"", 1) or not views


def test_two_bodies_are_sent_in_alternating_slices() -> None:
    """Two bodies sent at the same time alternate slice by slice; `sending` counts both until they are sent."""
    sent, sending = "", []
    response = BufferResponse(b"x/y", ETAG, [bytes(2 * 2**20)])

    async def send_as(name: str) -> None:
        async def send(message: Message) -> None:
            nonlocal sent
            sent += name
            sending.append(response.sending)

        async def receive() -> Message:
            return {"type": "http.request"}

        await response({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    async def main() -> None:
        await asyncio.gather(send_as("a"), send_as("b"))

    asyncio.run(main())
    assert sent == "aabb" + "ab" * 3 + "aabb"
    assert (max(sending), response.sending) == (2, 0)


def test_nothing_is_sent_before_the_first_bytes_are_read() -> None:
    """If the first bytes cannot be read nothing is sent, so that the error can be."""
    with pytest.raises(StorageError, match="gone"):
        ask(StreamResponse(b"x/y", ETAG, Gone()))


def test_reading_ends_when_the_client_disconnects() -> None:
    """Nothing more is read for a client that has disconnected."""
    read: list[int] = []

    class Endless:
        length = 10**12

        async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
            while True:
                read.append(len(read))
                await asyncio.sleep(0)
                yield b"x" * 1000

    async def main() -> None:
        async def receive() -> Message:
            await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await asyncio.sleep(0)

        scope: Scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET", "headers": []}
        async with asyncio.timeout(10):
            await StreamResponse(b"x/y", ETAG, Endless())(scope, receive, send)

    asyncio.run(main())
    assert read


@pytest.mark.parametrize("waits_for", ["client", "block"])
def test_a_disconnect_frees_the_source_of_the_body(waits_for: str) -> None:
    """The source of a body is freed as soon as its client disconnects: no reference cycle holds it."""

    class Blocks:
        """Must not be referenced after the disconnect."""

        length = 2

        async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.sleep(0 if waits_for == "client" else 60)
            yield b"y"

    async def main() -> None:
        source = Blocks()
        alive = weakref.ref(source)
        response, leaves = StreamResponse(b"x/y", ETAG, source), asyncio.Event()
        del source

        async def receive() -> Message:
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message.get("body") == (b"y" if waits_for == "client" else b"x"):
                asyncio.get_running_loop().call_later(0.01, leaves.set)
                await asyncio.sleep(60 if waits_for == "client" else 0)

        scope: Scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET", "headers": []}
        async with asyncio.timeout(30):
            await response(scope, receive, send)
        del response
        await asyncio.sleep(0.01)
        assert alive() is None

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_the_tag_of_a_made_body_is_its_digest() -> None:
    """Bodies with equal bytes have equal tags, others have not."""
    first, second, third = (BufferResponse.made(b"x/y", body) for body in (b"one", b"one", b"two"))
    assert first.etag == second.etag != third.etag


def test_shared_headers_cannot_be_changed() -> None:
    """A middleware that changes the headers for one client does not change them for the others."""
    response = BufferResponse(b"x/y", ETAG, [b"body"])

    async def main() -> None:
        async def send(message: Message) -> None:
            if "headers" in message:
                message["headers"] = [*message["headers"], (b"x-request-id", b"1")]
                message["status"] = 500

        receive: Receive = asyncio.Event().wait  # type: ignore[assignment]  # never asked
        sender: Send = send
        await response({"type": "http", "method": "GET", "headers": []}, receive, sender)

    asyncio.run(main())
    sent = ask(response)
    assert (sent.status, b"x-request-id" in sent.headers) == (200, False)


def test_a_stalled_reader_holds_one_piece() -> None:
    """While a client reads nothing, only the last piece sent is in memory, and the next one is not read."""
    alive: list[weakref.ref[Any]] = []

    class Piece(bytearray):
        """A piece that can be weakly referenced."""

    class Pieces:
        length = 5 * 2**18

        async def read(self, start: int, stop: int) -> AsyncIterator[Any]:
            for _ in range(5):
                piece = Piece(2**18)
                alive.append(weakref.ref(piece))
                view = memoryview(piece)
                del piece
                yield view

    async def main() -> None:
        taken, stalled = 0, asyncio.Event()

        async def send(message: Message) -> None:
            """Behave as a connection: hold what is sent, and wait with the next message until it is read."""
            nonlocal taken
            taken += len(message.get("body", b""))
            if taken > 2**19:
                stalled.set()
                await asyncio.Event().wait()

        async def receive() -> Message:
            await asyncio.Event().wait()
            return {}

        scope: Scope = {"type": "http", "method": "GET", "headers": []}
        task = asyncio.create_task(StreamResponse(b"x/y", ETAG, Pieces())(scope, receive, send))
        async with asyncio.timeout(30):
            await stalled.wait()
        assert [found() is not None for found in alive] == [False, False, True]
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())
