"""The thread pools for blocking work."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from service.concurrency.executors import Executors
from service.errors import QueueFullError


def test_the_queue_of_texts_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of texts, more are refused with a retry; a cancelled one makes room, and its work is not begun.

    A text whose first blocks are sent goes on.
    """
    monkeypatch.setattr("service.concurrency.executors._MAX_TEXTS", 2)
    written: list[int] = []

    async def main() -> None:
        executors, go_on = Executors(), threading.Event()
        running = asyncio.create_task(executors.serialize(go_on.wait, 60))
        waiting = asyncio.create_task(executors.serialize(written.append, 1))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError, match="2 texts are being written or wait"):
            await executors.serialize(written.append, 2)
        blocks: AsyncIterator[bytes] = executors.blocks(iter([b"a", b"b"]))
        begun = asyncio.ensure_future(anext(blocks))
        waiting.cancel()
        await asyncio.sleep(0.01)
        last = asyncio.create_task(executors.serialize(written.append, 3))
        await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(running, last)
        assert await begun == b"a"
        executors.close()

    asyncio.run(main())
    assert written == [3]


def test_the_queue_of_pictures_is_limited_and_no_text_waits_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """While pictures are drawn, texts are written and parsed; beyond a number of pictures, more are refused."""
    monkeypatch.setattr("service.concurrency.executors._MAX_PICTURES", 2)

    async def main() -> None:
        executors, go_on = Executors(), threading.Event()
        async with asyncio.timeout(60):
            drawing = [asyncio.create_task(executors.draw(go_on.wait, 60)) for _ in range(2)]
            assert await executors.serialize(str, 7) == "7"
            assert await executors.parse(int, "7") == 7
            with pytest.raises(QueueFullError, match="2 pictures are being drawn or wait"):
                await executors.draw(str, 7)
            go_on.set()
            await asyncio.gather(*drawing)
            assert await executors.draw(str, 7) == "7"
        executors.close()

    asyncio.run(main())


def test_parsing_and_serializing_do_not_wait_for_each_other() -> None:
    """A large text is parsed while one that is being serialized does not end, and the other way round."""

    async def main() -> None:
        executors, go_on = Executors(), threading.Event()
        async with asyncio.timeout(60):
            writing = asyncio.create_task(executors.serialize(go_on.wait, 60))
            assert await executors.parse(int, "7") == 7
            go_on.set()
            await writing
            go_on.clear()
            reading = asyncio.create_task(executors.parse(go_on.wait, 60))
            assert await executors.serialize(str, 7) == "7"
            go_on.set()
            await reading
        executors.close()

    asyncio.run(main())


def test_the_number_of_streamed_bodies_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of bodies that are read or written while they are sent, more are refused until one has ended."""
    monkeypatch.setattr("service.concurrency.executors._MAX_STREAMS", 1)

    async def main() -> None:
        executors = Executors()
        first, second = (executors.blocks(iter([b"a", b"b"])) for _ in range(2))
        assert await anext(first) == b"a"
        with pytest.raises(QueueFullError, match="1 tables are being sent from the store, or as text"):
            await anext(second)
        assert [block async for block in first] == [b"b"]
        assert [block async for block in executors.blocks(iter([b"a"]))] == [b"a"]
        executors.close()

    asyncio.run(main())
