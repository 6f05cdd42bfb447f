"""Answers that never change."""

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
from service.http.responses import BufferResponse, GeneratedResponse, HttpResponse, StreamResponse
from service.security.tokens import Identity, identity_of

BODY = bytes(range(256)) * 4096  # a megabyte
ETAG = b'"tag"'


class Scattered:
    """A source that gives its bytes in pieces of a length that fits nothing."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        for place in range(start, stop, 100_003):
            yield self._body[place : min(place + 100_003, stop)]


class Gone:
    """A source whose bytes cannot be had any more."""

    length = 10

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        raise StorageError("it is gone")
        yield b""


class Sent:
    """What an answer sends."""

    def __init__(self, messages: list[Message]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = dict(messages[0]["headers"])
        self.body = b"".join(message["body"] for message in messages[1:])
        self.pieces = [message["body"] for message in messages[1:]]
        self.more = [message.get("more_body", False) for message in messages[1:]]


def ask(answer: HttpResponse, method: str = "GET", scope: dict[str, Any] | None = None, **headers: str) -> Sent:
    """What an answer sends to this request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()  # the client stays
        return {"type": "http.disconnect"}

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asked = {"type": "http", "method": method, "path": "/", "headers": pairs, "query_string": b"", **(scope or {})}
    asyncio.run(answer(asked, receive, send))
    return Sent(sent)


@pytest.fixture(params=["memory", "source"])
def answer(request: pytest.FixtureRequest) -> HttpResponse:
    """The body in memory, in two parts; and as a source."""
    digest = sha256(BODY).digest()
    if request.param == "memory":
        return BufferResponse(b"x/y", ETAG, [BODY[:1000], memoryview(BODY)[1000:]], sha256=digest)
    return StreamResponse(b"x/y", ETAG, Scattered(BODY), sha256=digest)


def test_the_whole_is_described(answer: HttpResponse) -> None:
    """200 says type, length, tag, digest, that parts can be had, and that every cache may keep it for good."""
    sent = ask(answer)
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


def test_head_is_get_without_a_body(answer: HttpResponse) -> None:
    """HEAD has the headers of GET, whatever part it asks for."""
    for wanted in ("", "bytes=0-1", "bytes=99999999-"):
        sent = ask(answer, "HEAD", range=wanted)
        assert (sent.status, sent.body, sent.headers) == (200, b"", ask(answer).headers)


@pytest.mark.parametrize("known", ['"tag"', 'W/"tag"', '"other", "tag"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_is_not_sent(answer: HttpResponse, method: str, known: str) -> None:
    """If-None-Match with the tag is 304, which repeats how to keep it; it comes before Range."""
    sent = ask(answer, method, if_none_match=known, range="bytes=0-1")
    assert (sent.status, sent.body) == (304, b"")
    assert sent.headers == {name: ask(answer).headers[name] for name in (b"etag", b"cache-control")}


@pytest.mark.parametrize("meant", ['"other"', 'W/"tag"'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"if_none_match": '"tag"'}, {"range": "bytes=0-1"}])
def test_what_the_client_does_not_mean_is_not_sent(
    answer: HttpResponse, method: str, meant: str, headers: dict[str, str]
) -> None:
    """If-Match without the tag is a 412 problem, whatever else is asked; it comes before If-None-Match and Range."""
    sent = ask(answer, method, None, if_match=meant, **headers)
    assert (sent.status, sent.headers[b"content-type"]) == (412, b"application/problem+json")
    assert b'"precondition-failed"' in sent.body


@pytest.mark.parametrize("meant", ['"tag"', '"other", "tag"', "*"])
def test_what_the_client_means_is_sent(answer: HttpResponse, meant: str) -> None:
    """If-Match with the tag changes nothing."""
    for headers in ({}, {"if_none_match": '"tag"'}, {"range": "bytes=0-1"}):
        with_it, without = (ask(answer, "GET", None, **more, **headers) for more in ({"if_match": meant}, {}))
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
def test_a_part_is_sent(answer: HttpResponse, header: str, start: int, stop: int) -> None:
    """A range of bytes is 206 with those bytes, where they stand, their length, and the digest of the whole."""
    sent = ask(answer, range=header)
    assert (sent.status, sent.body) == (206, BODY[start:stop])
    assert sent.headers[b"content-range"] == b"bytes %d-%d/%d" % (start, stop - 1, len(BODY))
    assert sent.headers[b"content-length"] == b"%d" % (stop - start)
    kept = (b"etag", b"repr-digest", b"content-type", b"cache-control", b"accept-ranges")
    assert {name: sent.headers[name] for name in kept} == {name: ask(answer).headers[name] for name in kept}


def test_a_part_of_what_it_knows(answer: HttpResponse) -> None:
    """If-Range with the tag gives the part; with another tag, a weak one or a date, the whole."""
    assert ask(answer, range="bytes=0-1", if_range='"tag"').status == 206
    for other in ('"other"', 'W/"tag"', "Wed, 25 Nov 2026 00:00:00 GMT"):
        sent = ask(answer, range="bytes=0-1", if_range=other)
        assert (sent.status, sent.body) == (200, BODY)


def test_a_part_past_the_end_is_an_error(answer: HttpResponse) -> None:
    """A range past the end is a 416 problem that says how long the body is."""
    sent = ask(answer, range="bytes=1048576-")
    assert (sent.status, sent.headers[b"content-range"]) == (416, b"bytes */1048576")
    assert sent.headers[b"content-type"] == b"application/problem+json"
    assert ask(answer, range="bytes=0-1,5-6").status == 200


@pytest.mark.parametrize("headers", [{}, {"if_none_match": '"tag"'}, {"range": "bytes=0-1"}])
def test_what_needed_a_token_stays_with_its_owner(answer: HttpResponse, headers: dict[str, str]) -> None:
    """An answer to someone who had to say who they are is not for shared caches."""
    identity = Identity("id", "name", ("read",))
    scope = {IDENTITY: identity}
    assert identity_of(scope) is identity  # the guard uses the same key
    assert ask(answer, scope=scope, **headers).headers[b"cache-control"].startswith(b"private, max-age=31536000")


def test_formats_vary() -> None:
    """Where Accept decides, caches are told so, with 200 and with 304."""
    answer = BufferResponse(b"x/y", ETAG, [b"body"], varies=True)
    assert ask(answer).headers[b"vary"] == ask(answer, if_none_match='"tag"').headers[b"vary"] == b"Accept"


def test_a_table_goes_out_in_slices_without_a_copy() -> None:
    """A body is the table's own memory, half a megabyte at a time, and so is a part of it; but for the last 64 KiB."""
    table = Table({"lr": [0.5] * 300_000})
    answer = BufferResponse(b"x/y", ETAG, table.parts())
    whole, part = ask(answer), ask(answer, range="bytes=9000-1999999")
    assert whole.body == table.to_bytes()
    assert max(map(len, whole.pieces + part.pieces)) <= 2**20
    assert all(np.shares_memory(np.asarray(piece), table.lr) for piece in whole.pieces[1:-2] + part.pieces[:-2])


@pytest.mark.parametrize("stop", [1, 2**16, 2**16 + 1, 520_000, 2**19, 2**20, 2_000_000])
def test_memory_counts_as_lent_while_a_connection_may_hold_it(stop: int) -> None:
    """Whatever part is sent, its end of 64 KiB, for which nobody waits, is a copy; until then the memory is in use."""
    table = Table({"lr": [0.5] * 300_000})
    answer = BufferResponse(b"x/y", ETAG, table.parts())
    held: list[tuple[object, int]] = []

    async def send(message: Message) -> None:
        held.append((message.get("body", b""), answer.sending))

    async def main() -> None:
        receive: Receive = asyncio.Event().wait  # type: ignore[assignment]  # never asked
        headers = [(b"range", b"bytes=0-%d" % (stop - 1))]
        await answer({"type": "http", "method": "GET", "headers": headers}, receive, send)

    asyncio.run(main())
    views = [(len(body), sending) for body, sending in held if isinstance(body, memoryview)]
    assert sum(size for size, _ in views) == max(stop - 2**16, 0)
    assert {sending for _, sending in views} <= {1}
    assert held[-1] == (b"", 1) or not views


def test_other_connections_have_their_turn() -> None:
    """Two bodies that are sent at once go out slice by slice in turn; they count as on their way until they are."""
    sent, sending = "", []
    answer = BufferResponse(b"x/y", ETAG, [bytes(2 * 2**20)])

    async def send_as(name: str) -> None:
        async def send(message: Message) -> None:
            nonlocal sent
            sent += name
            sending.append(answer.sending)

        async def receive() -> Message:
            return {"type": "http.request"}

        await answer({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    async def main() -> None:
        await asyncio.gather(send_as("a"), send_as("b"))

    asyncio.run(main())
    assert sent == "aabb" + "ab" * 3 + "aabb"
    assert (max(sending), answer.sending) == (2, 0)


def test_a_body_that_is_written_has_no_parts() -> None:
    """A body whose length nobody knows beforehand is sent as a whole, and says nothing of parts."""

    async def blocks() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    sent = ask(GeneratedResponse(b"x/y", ETAG, blocks()), range="bytes=0-1")
    assert (sent.status, sent.body) == (200, b"abcd")
    assert b"accept-ranges" not in sent.headers


def test_what_cannot_be_read_is_not_begun() -> None:
    """Where the first bytes cannot be had nothing is sent, so that the error can be."""
    with pytest.raises(StorageError, match="gone"):
        ask(StreamResponse(b"x/y", ETAG, Gone()))


def test_reading_ends_with_the_client() -> None:
    """Nothing more is read for a client that has gone away."""
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
def test_nothing_is_kept_for_who_has_left(waits_for: str) -> None:
    """What a body is written from is free as soon as its client has gone: no cycle of references keeps it."""

    class Source:
        """What must not be kept."""

    async def blocks(source: Source) -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(0 if waits_for == "client" else 60)
        yield b"y"
        assert source

    async def main() -> None:
        source = Source()
        kept = weakref.ref(source)
        answer, leaves = GeneratedResponse(b"x/y", ETAG, blocks(source)), asyncio.Event()
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
            await answer(scope, receive, send)
        del answer
        await asyncio.sleep(0.01)
        assert kept() is None

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_a_made_body_is_named_by_its_bytes() -> None:
    """The tag of a body that was made for a request is its digest."""
    first, second, third = (BufferResponse.made(b"x/y", body) for body in (b"one", b"one", b"two"))
    assert first.etag == second.etag != third.etag


def test_nobody_can_add_to_the_headers_of_all() -> None:
    """The headers that every client is sent cannot be changed for one of them."""
    answer = BufferResponse(b"x/y", ETAG, [b"body"])

    async def main() -> None:
        async def send(message: Message) -> None:
            if "headers" in message:
                message["headers"] = [*message["headers"], (b"x-request-id", b"1")]
                message["status"] = 500

        receive: Receive = asyncio.Event().wait  # type: ignore[assignment]  # never asked
        sender: Send = send
        await answer({"type": "http", "method": "GET", "headers": []}, receive, sender)

    asyncio.run(main())
    sent = ask(answer)
    assert (sent.status, b"x-request-id" in sent.headers) == (200, False)


def test_a_stalled_reader_holds_one_piece() -> None:
    """While a client takes nothing, no piece but the one that it was sent is in memory, and the next is not read."""
    alive: list[weakref.ref[Any]] = []

    class Piece(bytearray):
        """A piece whose end can be noticed."""

    async def pieces() -> AsyncIterator[Any]:
        for _ in range(5):
            piece = Piece(2**18)
            alive.append(weakref.ref(piece))
            view = memoryview(piece)
            del piece
            yield view

    async def main() -> None:
        taken, stalled = 0, asyncio.Event()

        async def send(message: Message) -> None:
            """As a connection: what is sent is held, and the next message waits until it is taken."""
            nonlocal taken
            taken += len(message.get("body", b""))
            if taken > 2**19:
                stalled.set()
                await asyncio.Event().wait()

        async def receive() -> Message:
            await asyncio.Event().wait()
            return {}

        scope: Scope = {"type": "http", "method": "GET", "headers": []}
        task = asyncio.create_task(GeneratedResponse(b"x/y", ETAG, pieces())(scope, receive, send))
        async with asyncio.timeout(30):
            await stalled.wait()
        assert [found() is not None for found in alive] == [False, False, True]
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())
