"""Work for clients who may leave."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from service.http.disconnect import cancel_on_disconnect


def receiving(*messages: str) -> Any:
    """A client that sends these messages and then nothing."""
    left = list(messages)

    async def receive() -> dict[str, str]:
        if not left:
            await asyncio.sleep(60)
        return {"type": left.pop(0)}

    return receive


def test_work_for_one_who_stays_is_done() -> None:
    """The result is the work's, and so is its error."""

    async def work(fails: bool) -> int:
        await asyncio.sleep(0.001)
        if fails:
            raise ValueError("no")
        return 7

    assert asyncio.run(cancel_on_disconnect(receiving("http.request"), work(fails=False))) == 7
    with pytest.raises(ValueError, match="no"):
        asyncio.run(cancel_on_disconnect(receiving(), work(fails=True)))


def test_work_for_one_who_leaves_is_cancelled() -> None:
    """When the client goes, the work ends."""
    ends = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("ended")

    with pytest.raises(ClientDisconnect, match=r"^$"):
        asyncio.run(cancel_on_disconnect(receiving("http.request", "http.disconnect"), work()))
    assert ends == ["ended"]
