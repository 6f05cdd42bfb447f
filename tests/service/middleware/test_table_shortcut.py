"""The short way to a table that is in memory."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from scheduler import Spec, Table
from service.app import create_app, open_server
from service.database.tables import SpecRow
from service.middleware.cached_responses import CachedResponses
from service.middleware.table_shortcut import TableShortcut
from service.representations.table_responses import TableResponder
from service.settings import Settings
from service.state import ServerState
from service.tables.entries import MemoryEntry
from service.tables.origins import Origin
from service.workers.pool import Workers


class Nothing:
    """An application behind the front that only notes that it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1


def ask(app: Any, method: str, path: str, query: str = "", **headers: str) -> list[Message]:
    """What an application sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs, "query_string": query.encode()}
    asyncio.run(app(scope, receive, send))
    return sent


@pytest.fixture
def behind() -> Nothing:
    return Nothing()


@pytest.fixture
def server(tmp_path: Path, workers: Workers) -> Iterator[ServerState]:
    """The parts of a server, in this process."""
    server = open_server(Settings(data_dir=tmp_path / "data"), workers)
    with TestClient(create_app(server)):
        yield server


@pytest.fixture
def digest(server: ServerState, spec: dict[str, Any]) -> str:
    """A warm table's."""
    table = Table.compute(Spec.model_validate_json(json.dumps(spec)))
    ready = MemoryEntry(table, TableResponder(server.executors))
    ready.describe(Origin(fact=SpecRow("s", json.dumps(spec), table.digest, 1.5)))
    return server.tables.cache.add(ready).digest


@pytest.fixture
def front(server: ServerState, behind: Nothing) -> TableShortcut:
    return TableShortcut(behind, server, CachedResponses(server))


@pytest.mark.parametrize("path", ["", ".safetensors", ".npy", "/manifest"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_warm_table_needs_no_framework(
    front: TableShortcut, behind: Nothing, digest: str, method: str, path: str
) -> None:
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
        ("PUT", ""),
    ],
)
def test_the_rest_goes_to_the_framework(
    front: TableShortcut, behind: Nothing, digest: str, method: str, path: str
) -> None:
    """Every other request is passed on, untouched."""
    assert ask(front, method, f"/v1/tables/{digest}{path}") == []
    assert ask(front, "GET", f"/v1/tables/{digest}", accept="image/png") == []
    assert ask(front, "GET", "/livez") == []
    assert behind.asked == 3


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("x" * 60_001, 414, b"the query must be at most 60000 bytes (max_query_bytes), got 60001"),
        ("&" * 64, 422, b"a query must have at most 64 parameters (max_parameters), got 65"),
    ],
)
def test_a_query_has_its_limits(front: TableShortcut, behind: Nothing, query: str, status: int, said: bytes) -> None:
    """What is longer, or has more parameters, is refused before anything looks at it, on every route."""
    for method, path in (("GET", "/v1/lr"), ("POST", "/v1/tables"), ("GET", "/nothing")):
        start, body = ask(front, method, path, query)
        assert (start["status"], said in body["body"]) == (status, True)
    assert behind.asked == 0
    assert ask(front, "GET", "/v1/lr", query[:-1]) == []
