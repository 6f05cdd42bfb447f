"""Bodies of requests share the memory for them."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack

import pytest
from starlette.requests import Request
from starlette.types import Message

from service.errors import QueueFullError
from service.http.body import Bodies
from service.strict_json import SMALL


def posting(pieces: Iterable[bytes]) -> Request:
    """A request whose body comes in these pieces."""
    left = iter(pieces)

    async def receive() -> Message:
        piece = next(left, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}, receive)


def test_bodies_share_the_memory_for_them() -> None:
    """All bodies together take 16 times the largest at most; more is refused, worth a retry, but for small ones."""

    async def main() -> None:
        bodies = Bodies(2 * SMALL)
        async with AsyncExitStack() as kept:
            for _ in range(16):
                body = await kept.enter_async_context(bodies.receive(posting([bytes(SMALL), bytes(SMALL)])))
                assert body == bytes(2 * SMALL)
            with pytest.raises(QueueFullError, match=f"{33 * SMALL} bytes of requests are under way"):
                await kept.enter_async_context(bodies.receive(posting([bytes(SMALL), b"x"])))
            for _ in range(32):
                await kept.enter_async_context(bodies.receive(posting([bytes(SMALL)])))
            with pytest.raises(QueueFullError, match=f"{64 * SMALL} bytes of requests are under way"):
                await kept.enter_async_context(bodies.receive(posting([b"x"])))
        async with bodies.receive(posting([bytes(SMALL), b"x"])) as body:
            assert len(body) == SMALL + 1

    asyncio.run(main())
