"""Specs that clients send."""

import asyncio
import threading

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.concurrency.executors import Executors
from service.representations.specs import SpecReader
from service.settings import Settings
from service.strict_json import SMALL


def test_a_large_body_of_who_has_left_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body whose client goes away while it waits for its turn is never parsed."""
    parsed: list[bytes] = []
    monkeypatch.setattr("service.representations.specs.read_spec", lambda body, settings: parsed.append(body))

    async def leaves() -> Message:
        return {"type": "http.disconnect"}

    async def main() -> None:
        executors, go_on = Executors(), threading.Event()
        busy = asyncio.create_task(executors.parse(go_on.wait, 60))
        await asyncio.sleep(0)
        with pytest.raises(ClientDisconnect, match=r"^$"):
            await SpecReader(Settings(), executors).read(bytes(SMALL + 1), leaves)
        await asyncio.sleep(0)  # the queue of the thread hears of it in the loop's next round
        assert not busy.done()
        go_on.set()
        await busy
        executors.close()

    asyncio.run(main())
    assert parsed == []
