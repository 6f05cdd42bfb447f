"""Server-sent events: a response that goes on until the client has enough.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.http.disconnect import cancel_on_disconnect

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = b":\n\n"
"""A comment, which readers skip. It shows client and proxies that the connection lives."""


def event(number: int, data: str | None = None, kind: str = "") -> bytes:
    """Return an event with this number as its ID. Without data, readers only remember the number."""
    lines = f"id: {number}\n" if data is None else f"id: {number}\nevent: {kind}\ndata: {data}\n"
    return f"{lines}\n".encode()


def retry(milliseconds: int) -> bytes:
    """Return the line that says after how long a reader shall connect again."""
    return b"retry: %d\n\n" % milliseconds


class EventStream(Response):
    """A response with events that are generated while it is sent. It ends with them, or when the client disconnects.

    At most one of the generated pieces, and what a connection buffers, is in memory: the next one is asked for when
    the client has taken nearly all of the last.
    """

    media_type = MEDIA_TYPE

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        # No proxy may keep it, change it, or hold it back; X-Accel-Buffering is nginx's name for the latter.
        headers = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, as an ASGI application."""
        with suppress(ClientDisconnect):
            await cancel_on_disconnect(receive, self._send(send, with_body=scope["method"] != "HEAD"))

    async def _send(self, send: Send, *, with_body: bool) -> None:
        async with aclosing(self._events) as pieces:
            first = await anext(pieces)  # before the head: an error can still become a problem document
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if with_body:
                await send(_body(first))
                async for piece in pieces:
                    await send(_body(piece))
        await send({"type": "http.response.body", "body": b""})


def _body(piece: bytes) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": True}
