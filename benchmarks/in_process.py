"""Cost of a request in the server's own process, without sockets and HTTP parser."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler import Spec
from service.app import create_app, open_server
from service.middleware.table_shortcut import TableShortcut
from service.settings import Settings

_CALLS = 2_000  # in a row; seconds are shared out among them


class Costs(NamedTuple):
    """Processor time of a POST of a known spec, in seconds: our server, through FastAPI, and validation alone."""

    ours: float
    through_fastapi: float
    validation: float


def post_costs(body: bytes, rounds: int) -> list[Costs]:
    """The costs of this body, round by round."""
    return asyncio.run(_post_costs(body, rounds))


async def _post_costs(body: bytes, rounds: int) -> list[Costs]:
    with tempfile.TemporaryDirectory() as folder:
        ours = create_app(open_server(Settings(data_dir=Path(folder))))
        async with _running(ours):
            response = await _ask(ours, body)  # from now on the spec is known
            validation = _validating(response)
            return [
                Costs(await _cost(ours, body), await _cost_through_fastapi(ours, body), await _cost(validation, body))
                for _ in range(rounds)
            ]


async def _cost_through_fastapi(application: ASGIApp, body: bytes) -> float:
    """The cost without the shortcut for a POST: what it saves."""

    async def ordinary_way(shortcut: Any, scope: Scope, receive: Receive, send: Send) -> None:
        await shortcut._app(scope, receive, send)

    with patch.object(TableShortcut, "_make", ordinary_way):
        return await _cost(application, body)


def _validating(response: bytes) -> ASGIApp:
    """The least that a server does with a spec: it validates it, and sends what it has."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(response))]

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        Spec.model_validate_json((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": response})

    return application


async def _cost(application: ASGIApp, body: bytes) -> float:
    begin = time.process_time()
    for _ in range(_CALLS):
        await _ask(application, body)
    return (time.process_time() - begin) / _CALLS


async def _ask(application: ASGIApp, body: bytes) -> bytes:
    """Post a body as uvicorn would; returns the response's last part."""
    sent: list[Message] = []
    received = iter([body])

    async def receive() -> Message:
        for part in received:
            return {"type": "http.request", "body": part, "more_body": False}
        await asyncio.Event().wait()  # the client stays
        raise AssertionError("nobody sets that event")

    async def send(message: Message) -> None:
        sent.append(message)

    await application(_scope(body), receive, send)
    if sent[0]["status"] not in (200, 201):
        raise RuntimeError(f"the response is {sent}")
    last: bytes = sent[-1]["body"]
    return last


def _scope(body: bytes) -> Scope:
    path = "/v1/tables"
    headers = {b"host": b"127.0.0.1", b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": list(headers.items()),
        "state": {},
    }


@asynccontextmanager
async def _running(application: ASGIApp) -> AsyncIterator[None]:
    """The application between its start-up and its shutdown."""
    requests: asyncio.Queue[Message] = asyncio.Queue()
    responses: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.ensure_future(application(scope, requests.get, responses.put))
    for moment in ("startup", "shutdown"):
        await requests.put({"type": f"lifespan.{moment}"})
        if (response := await responses.get())["type"] != f"lifespan.{moment}.complete":
            raise RuntimeError(f"the application sent {response}")
        if moment == "startup":
            yield
    await life
