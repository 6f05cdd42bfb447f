"""Work that is cancelled when its client disconnects."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from service.http.disconnect import cancel_on_disconnect


def receiving(*messages: str) -> Any:
    """Return the receive function of a client that sends these messages and then nothing."""
    left = list(messages)

    async def receive() -> dict[str, str]:
        if not left:
            await asyncio.sleep(60)
        return {"type": left.pop(0)}

    return receive


def test_work_for_a_connected_client_is_finished() -> None:
    """The work's result is returned, and its error is raised."""

    async def work(fails: bool) -> int:
        await asyncio.sleep(0.001)
        if fails:
            raise ValueError("no")
        return 7

    assert asyncio.run(cancel_on_disconnect(receiving("http.request"), work(fails=False))) == 7
    with pytest.raises(ValueError, match="no"):
        asyncio.run(cancel_on_disconnect(receiving(), work(fails=True)))


def test_work_is_cancelled_when_its_client_disconnects() -> None:
    """A disconnect cancels the work and raises `ClientDisconnect`."""
    ends = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("ended")

    with pytest.raises(ClientDisconnect, match=r"^$"):
        asyncio.run(cancel_on_disconnect(receiving("http.request", "http.disconnect"), work()))
    assert ends == ["ended"]
