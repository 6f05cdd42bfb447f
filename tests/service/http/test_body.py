"""Request bodies: how much memory all of them may take together."""

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
    """Return a request whose body arrives in these pieces."""
    left = iter(pieces)

    async def receive() -> Message:
        piece = next(left, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}, receive)


def test_bodies_share_a_bounded_amount_of_memory() -> None:
    """All large bodies together take at most 16 times the largest; small ones may take as much again."""

    async def main() -> None:
        bodies = Bodies(2 * SMALL)
        async with AsyncExitStack() as active:
            for _ in range(16):
                body = await active.enter_async_context(bodies.receive(posting([bytes(SMALL), bytes(SMALL)])))
                assert body == bytes(2 * SMALL)
            with pytest.raises(
                QueueFullError, match=f"bodies already take {33 * SMALL} bytes, of at most {32 * SMALL}"
            ):
                await active.enter_async_context(bodies.receive(posting([bytes(SMALL), b"x"])))
            for _ in range(32):
                await active.enter_async_context(bodies.receive(posting([bytes(SMALL)])))
            with pytest.raises(
                QueueFullError, match=f"bodies already take {64 * SMALL} bytes, of at most {64 * SMALL}"
            ):
                await active.enter_async_context(bodies.receive(posting([b"x"])))
        async with bodies.receive(posting([bytes(SMALL), b"x"])) as body:
            assert len(body) == SMALL + 1

    asyncio.run(main())
