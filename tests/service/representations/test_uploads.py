"""Tables that clients send."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from scheduler import Table
from service.concurrency.executors import Executors
from service.errors import (
    BodyTooLargeError,
    DeadlineExceededError,
    InvalidRequestError,
    LimitExceededError,
    QueueFullError,
    UnsupportedMediaTypeError,
)
from service.representations.uploads import Uploads
from service.settings import Settings

TABLE = Table({"lr": [0.5, 0.25], "momentum": [0.9, 0.8]})


Headers = dict[str, str]


def request(body: bytes, headers: Headers) -> Request:
    """A request with this body, in two pieces."""
    pieces = [body[100:], body[:100]]

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(), "more_body": bool(pieces)}

    named = {"content-type": "application/vnd.safetensors", **headers}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "method": "PUT", "headers": pairs}, receive)


def received(
    body: bytes, digest: str | None = None, headers: Headers | None = None, settings: Settings | None = None
) -> Table:
    """The table in a body."""

    async def receive() -> Table:
        executors = Executors()
        try:
            async with Uploads(settings or Settings(), executors).receive(
                request(body, headers or {}), digest
            ) as table:
                return table
        finally:
            executors.close()

    return asyncio.run(receive())


def test_a_table_comes_as_it_was_saved() -> None:
    """A safetensors file is the table that it was, in whatever way the body is announced."""
    body = TABLE.to_bytes()
    assert received(body) == received(body, TABLE.digest) == TABLE
    assert received(body, headers={"content-length": str(len(body))}) == TABLE
    assert received(body, headers={"content-type": "application/octet-stream"}) == TABLE


def test_another_digest_is_refused_with_both_names() -> None:
    """A table under another digest than its own is refused, naming both."""
    with pytest.raises(InvalidRequestError, match=f"{'0' * 64}, got the table {TABLE.digest}"):
        received(TABLE.to_bytes(), "0" * 64)


@pytest.mark.parametrize("body", [b"", b"x" * 500, TABLE.to_bytes()[:-1], TABLE.to_bytes()[:-8] + b"12345678"])
def test_what_is_no_table_is_refused(body: bytes) -> None:
    """Bytes that are no table, or not the table that they claim to be, are refused, saying why."""
    with pytest.raises(InvalidRequestError, match="no table"):
        received(body)


@pytest.mark.parametrize(
    ("setting", "settings"), [("max_steps", Settings(max_steps=1)), ("max_columns", Settings(max_columns=1))]
)
def test_the_limits_hold(setting: str, settings: Settings) -> None:
    """A table beyond what the server would compute is refused, naming the setting."""
    with pytest.raises(LimitExceededError, match=setting):
        received(TABLE.to_bytes(), settings=settings)


def test_a_body_has_its_limit() -> None:
    """A body beyond the largest table and its header is refused: at once where it is announced, else while it comes."""
    settings = Settings(max_table_bytes=1000)
    with pytest.raises(BodyTooLargeError, match="max_table_bytes"):
        received(bytes(2**22), settings=settings)
    with pytest.raises(BodyTooLargeError, match="max_table_bytes"):
        received(b"", headers={"content-length": str(2**22)}, settings=settings)


@pytest.mark.parametrize("headers", [{"content-type": "application/json"}, {"content-encoding": "gzip"}])
def test_the_body_says_what_it_is(headers: Headers) -> None:
    """Another media type is refused, and so is a compressed body."""
    with pytest.raises(UnsupportedMediaTypeError, match=r"safetensors|Content-Encoding"):
        received(TABLE.to_bytes(), headers=headers)


class Sender:
    """A client that sends a body piece by piece, as it is told to; an empty piece means that it leaves."""

    def __init__(self, uploads: Uploads) -> None:
        self.pieces = asyncio.Queue[bytes]()
        self.result = asyncio.create_task(self._receive(uploads))

    async def _receive(self, uploads: Uploads) -> Table:
        headers = [(b"content-type", b"application/vnd.safetensors")]
        asked = Request({"type": "http", "method": "PUT", "headers": headers}, self._next)
        async with uploads.receive(asked, None) as table:
            return table

    async def _next(self) -> Message:
        piece = await self.pieces.get()
        end = piece == TABLE.to_bytes()
        return {"type": "http.request", "body": piece, "more_body": not end} if piece else {"type": "http.disconnect"}

    async def send(self, piece: bytes) -> None:
        """Send a piece, and wait until it is taken."""
        self.pieces.put_nowait(piece)
        while not self.pieces.empty() and not self.result.done():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)


def test_large_bodies_share_the_memory_for_them() -> None:
    """A body for which the others leave no memory is refused, worth a retry; who leaves gives back what it took."""

    async def main() -> None:
        executors = Executors()
        uploads = Uploads(Settings(max_table_bytes=1000), executors)
        first, second, third, fourth = (Sender(uploads) for _ in range(4))
        for sender, nbytes in ((first, 2_000_000), (second, 2_000_000), (third, 180_000), (third, 180_000)):
            await sender.send(bytes(nbytes))
        with pytest.raises(QueueFullError, match="4180000 bytes of tables are being received"):
            await third.result
        await fourth.send(TABLE.to_bytes())
        assert await fourth.result == TABLE
        await first.send(b"")
        with pytest.raises(ClientDisconnect, match=r"^$"):
            await first.result
        fifth = Sender(uploads)
        await fifth.send(bytes(2_000_000))
        assert not fifth.result.done()
        executors.close()

    asyncio.run(main())


def test_a_stalled_body_keeps_no_memory_from_others() -> None:
    """However many have begun to send, and do not go on, a table is received."""

    async def main() -> None:
        executors = Executors()
        uploads = Uploads(Settings(max_table_bytes=1000), executors)
        stalled = [Sender(uploads) for _ in range(5)]
        for sender in stalled:
            await sender.send(b"x")
        last = Sender(uploads)
        await last.send(TABLE.to_bytes())
        async with asyncio.timeout(30):
            assert await last.result == TABLE
        assert not any(sender.result.done() for sender in stalled)
        executors.close()

    asyncio.run(main())


def test_a_body_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that comes too slowly is not waited for without end."""
    monkeypatch.setattr("service.representations.uploads._SLOWEST", 2**40)

    async def main() -> None:
        executors = Executors()
        sender = Sender(Uploads(Settings(body_seconds=0.01), executors))
        with pytest.raises(DeadlineExceededError, match="did not arrive within"):
            await sender.result
        executors.close()

    asyncio.run(main())


def test_a_header_that_is_too_long_is_refused_by_its_length() -> None:
    """A header longer than any may be is refused with its first bytes, however they come: the rest is not received."""

    async def main() -> None:
        executors = Executors()
        sender = Sender(Uploads(Settings(), executors))
        for piece in (b"\0\0\0", b"\1", b"\0\0\0\0"):  # 16 MiB
            assert not sender.result.done()
            await sender.send(piece)
        with pytest.raises(InvalidRequestError, match="its header must have at most 2097152 bytes, got 16777216"):
            await sender.result
        executors.close()

    asyncio.run(main())
