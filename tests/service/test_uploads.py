"""Tables that clients send."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.types import Message

from scheduler import Table
from service.errors import BodyTooLargeError, InvalidRequestError, LimitExceededError, UnsupportedMediaTypeError
from service.settings import Settings
from service.threads import Threads
from service.uploads import Uploads

TABLE = Table({"lr": [0.5, 0.25], "momentum": [0.9, 0.8]})


Headers = dict[str, str]


def request(body: bytes, headers: Headers, begin: Callable[[], None] = lambda: None) -> Request:
    """A request with this body, in two pieces; `begin` is called when the first is asked for."""
    pieces = [body[100:], body[:100]]

    async def receive() -> Message:
        begin()
        return {"type": "http.request", "body": pieces.pop(), "more_body": bool(pieces)}

    named = {"content-type": "application/vnd.safetensors", **headers}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "method": "PUT", "headers": pairs}, receive)


def received(
    body: bytes, digest: str | None = None, headers: Headers | None = None, settings: Settings | None = None
) -> Table:
    """The table in a body."""

    async def receive() -> Table:
        threads = Threads()
        try:
            async with Uploads(settings or Settings(), threads).receive(request(body, headers or {}), digest) as table:
                return table
        finally:
            threads.close()

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
        received(bytes(2**21), settings=settings)
    with pytest.raises(BodyTooLargeError, match="max_table_bytes"):
        received(b"", headers={"content-length": str(2**21)}, settings=settings)


@pytest.mark.parametrize("headers", [{"content-type": "application/json"}, {"content-encoding": "gzip"}])
def test_the_body_says_what_it_is(headers: Headers) -> None:
    """Another media type is refused, and so is a compressed body."""
    with pytest.raises(UnsupportedMediaTypeError, match=r"safetensors|Content-Encoding"):
        received(TABLE.to_bytes(), headers=headers)


def test_large_bodies_wait_for_memory() -> None:
    """Bodies beyond the memory for them wait until others are done: none is held in part meanwhile."""
    settings = Settings(max_table_bytes=10_000_000)
    begun: set[int] = set()

    async def main() -> None:
        threads, leave = Threads(), asyncio.Event()
        uploads = Uploads(settings, threads)

        async def send(number: int) -> None:
            body = TABLE.to_bytes()
            async with uploads.receive(request(body, {}, lambda: begun.add(number)), None):
                await leave.wait()

        tasks = [asyncio.create_task(send(number)) for number in range(3)]
        while len(begun) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert begun == {0, 1}
        leave.set()
        await asyncio.gather(*tasks)
        threads.close()

    asyncio.run(main())
    assert begun == {0, 1, 2}
