"""The short way to a table that is in memory."""

import asyncio
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from scheduler import Table
from service.answer import InMemory
from service.front import Front
from service.routes.parts import Server


class Nothing:
    """An application behind the front that only notes that it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1


def ask(app: Any, method: str, path: str, **headers: str) -> list[Message]:
    """What an application sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs, "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return sent


@pytest.fixture
def behind() -> Nothing:
    return Nothing()


@pytest.fixture
def digest(client: TestClient, spec: dict[str, Any]) -> str:
    made: str = client.post("/v1/tables", json=spec).json()["digest"]
    return made


@pytest.fixture
def front(client: TestClient, behind: Nothing, digest: str) -> Front:
    """A front before nothing, with a warm table."""
    application: Any = client.app
    server: Server = application._app.state.server
    return Front(behind, server)


@pytest.mark.parametrize("path", ["", ".safetensors", ".npy", "/manifest"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_warm_table_needs_no_framework(front: Front, behind: Nothing, digest: str, method: str, path: str) -> None:
    """Bytes, manifest and 304 of a table in memory are answered before FastAPI is asked."""
    fresh = ask(front, method, f"/v1/tables/{digest}{path}")
    etag = dict(fresh[0]["headers"])[b"etag"].decode()
    known = ask(front, method, f"/v1/tables/{digest}{path}", if_none_match=etag)
    assert (fresh[0]["status"], known[0]["status"], behind.asked) == (200, 304, 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("DELETE", ".npy"),
        ("GET", ".json"),
        ("GET", ".csv"),
        ("GET", "/values"),
        ("GET", "x"),
        ("GET", "/"),
    ],
)
def test_the_rest_goes_to_the_framework(front: Front, behind: Nothing, digest: str, method: str, path: str) -> None:
    """Every other request is passed on, untouched."""
    assert ask(front, method, f"/v1/tables/{digest}{path}") == []
    assert ask(front, "GET", f"/v1/tables/{digest}", accept="image/png") == []
    assert ask(front, "GET", "/livez") == []
    assert behind.asked == 3


def test_a_table_goes_out_in_slices_without_a_copy() -> None:
    """A body is the table's own memory, at most a megabyte at a time, and says its whole length before."""
    table = Table({"lr": [0.5] * 300_000})
    answer = InMemory(b"x/y", b'"etag"', table.parts())
    start, *bodies = ask(answer, "GET", "/")
    assert b"".join(message["body"] for message in bodies) == table.to_bytes()
    assert max(len(message["body"]) for message in bodies) <= 2**20
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    assert dict(start["headers"])[b"content-length"] == str(len(table.to_bytes())).encode()
    assert all(np.shares_memory(np.frombuffer(message["body"]), table.lr) for message in bodies[1:])


def test_other_connections_have_their_turn() -> None:
    """Two bodies that are sent at once go out slice by slice in turn."""
    sent: list[str] = []

    async def send_as(name: str, answer: InMemory) -> None:
        async def send(message: Message) -> None:
            sent.append(name)

        async def receive() -> Message:
            return {"type": "http.request"}

        await answer({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    async def main() -> None:
        answer = InMemory(b"x/y", b'"etag"', [bytes(4 * 2**20)])
        await asyncio.gather(send_as("a", answer), send_as("b", answer))

    asyncio.run(main())
    assert sent == ["a", "a", "b", "b", "a", "b", "a", "b", "a", "b"]
