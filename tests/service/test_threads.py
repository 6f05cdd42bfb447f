"""The threads that keep the event loop free."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from service.errors import QueueFullError
from service.threads import Threads


def test_few_texts_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of texts, more are refused, worth a retry; who leaves makes room, and its work is dropped.

    A text whose beginning is sent already goes on.
    """
    monkeypatch.setattr("service.threads._MOST_TEXTS", 2)
    written: list[int] = []

    async def main() -> None:
        threads, go_on = Threads(), threading.Event()
        running = asyncio.create_task(threads.text(go_on.wait, 60))
        waiting = asyncio.create_task(threads.text(written.append, 1))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError, match="2 texts are being written or wait"):
            await threads.text(written.append, 2)
        blocks: AsyncIterator[bytes] = threads.blocks(iter([b"a", b"b"]))
        begun = asyncio.ensure_future(anext(blocks))
        waiting.cancel()
        await asyncio.sleep(0.01)
        last = asyncio.create_task(threads.text(written.append, 3))
        await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(running, last)
        assert await begun == b"a"
        threads.close()

    asyncio.run(main())
    assert written == [3]
