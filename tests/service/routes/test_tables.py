"""The routes of tables, through the whole application."""

import asyncio
import base64
import hashlib
import io
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Scope

from scheduler import Spec, Table
from service.app import close_server, create_app, open_server
from service.representations.formats import CSV, FORMATS, MEDIA_TYPES, SAFETENSORS
from service.representations.table_responses import TableResponses
from service.settings import Settings
from service.state import ServerState
from service.tables.entries import Entry, MemoryEntry
from tests.service.conftest import MakeClient

IMMUTABLE = "public, max-age=31536000, immutable, no-transform"


@pytest.fixture
def table(spec: dict[str, Any]) -> Table:
    return Table.compute(Spec.model_validate_json(json.dumps(spec)))


@pytest.fixture
def digest(client: TestClient, spec: dict[str, Any]) -> str:
    made: str = client.post("/v1/tables", json=spec).json()["digest"]
    return made


def described(answer: Any) -> dict[str, str]:
    """A response's headers, without the one that is of the request."""
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


def test_a_table_is_made_once(client: TestClient, spec: dict[str, Any]) -> None:
    """The first POST of a spec answers 201, every later one 200, with the same manifest and the same address."""
    first, second = (client.post("/v1/tables", json=spec) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"] == f"/v1/tables/{first.json()['digest']}"
    assert client.get("/v1/server").json()["counters"]["computations"] == 1


def test_a_spec_written_otherwise_is_the_same_table(client: TestClient, spec: dict[str, Any]) -> None:
    """Defaults written out, 4.0 for 4 and a length that is left to the schedule: one spec, which is computed once."""
    verbose = {"stride": 1, "axis": "step", **spec, "schedule": {**spec["schedule"], "min_lr": 0, "warmup_steps": 4.0}}
    short = {"schedule": spec["schedule"]}
    first, *others = [client.post("/v1/tables", json=body).json() for body in (spec, verbose, short)]
    assert others == [first, first]
    assert client.get("/v1/server").json()["counters"]["computations"] == 1


def test_the_manifest_describes_the_table(client: TestClient, spec: dict[str, Any], table: Table) -> None:
    """The manifest has the table's name, spec, frame, each column in four numbers, sizes and links that work."""
    manifest = client.post("/v1/tables", json=spec).json()
    assert table.spec is not None
    assert (manifest["digest"], manifest["spec_id"], manifest["nbytes"]) == (table.digest, table.spec.id, 128)
    assert manifest["spec"] == table.spec.model_dump(mode="json")
    assert {name: manifest[name] for name in ("total_steps", "axis", "stride", "after")} == {
        "total_steps": 16,
        "axis": "step",
        "stride": 1,
        "after": "hold",
    }
    lr = table.lr
    assert manifest["columns"] == {"lr": {"min": lr.min(), "max": lr.max(), "first": lr[0], "last": lr[-1]}}
    for name, link in manifest["links"].items():
        answer = client.get(link)
        assert answer.status_code == 200, link
        if manifest["sizes"].get(name):
            assert len(answer.content) == manifest["sizes"][name]


def test_two_specs_of_equal_values_share_a_table(client: TestClient) -> None:
    """Specs whose values are equal have one table; each POST's manifest repeats its own spec."""
    constant = {"kind": "custom.CyclicLR", "base_lr": 0.5, "max_lr": 0.5, "step_size": 3}
    bodies = [{"schedule": {**constant, "step_size": size}, "total_steps": 8} for size in (3, 4)]
    first, second = (client.post("/v1/tables", json=body).json() for body in bodies)
    assert first["digest"] == second["digest"]
    assert (first["spec"]["schedule"]["step_size"], second["spec"]["schedule"]["step_size"]) == (3, 4)
    assert first["spec_id"] != second["spec_id"]


@pytest.mark.parametrize("item", FORMATS, ids=lambda item: item.extension)
def test_each_format_has_an_address(client: TestClient, digest: str, table: Table, item: Any) -> None:
    """The ending decides the format, whatever Accept says; the response is immutable, and the ending is in its tag."""
    answer = client.get(f"/v1/tables/{digest}.{item.extension}", headers={"accept": "image/png"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == item.media_type
    assert answer.headers["etag"].encode() == item.etag(digest)
    assert answer.headers["etag"].endswith(f'.{item.extension}"')
    assert answer.headers["cache-control"] == IMMUTABLE
    assert "vary" not in answer.headers
    np.testing.assert_array_equal(values(item.extension, answer.content), table.lr)


def values(extension: str, body: bytes) -> Any:
    """The learning rates in a body."""
    if extension == "safetensors":
        return Table.from_bytes(body).lr
    if extension == "npy":
        return np.load(io.BytesIO(body), allow_pickle=False)
    if extension == "json":
        return json.loads(body)["columns"]["lr"]
    return np.loadtxt(io.BytesIO(body), delimiter=",", skiprows=1)[:, 1]


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_the_bare_address_negotiates(client: TestClient, digest: str, media_type: str) -> None:
    """Accept picks the format; the bytes are those of the format's own address, and caches are told that it varies."""
    chosen = client.get(f"/v1/tables/{digest}", headers={"accept": f"{media_type}, */*;q=0.1"})
    extension = chosen.headers["etag"].strip('"').partition(".")[2]
    direct = client.get(f"/v1/tables/{digest}.{extension}")
    assert chosen.headers["content-type"].partition(";")[0] == media_type
    assert chosen.headers["vary"] == "Accept"
    assert chosen.content == direct.content


def test_what_nobody_accepts_is_406(client: TestClient, digest: str) -> None:
    """A client that accepts none of the formats is told which there are."""
    answer = client.get(f"/v1/tables/{digest}", headers={"accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
    assert "text/csv" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["", ".safetensors", ".npy", ".json", ".csv", "/manifest"])
def test_head_is_get_without_a_body(client: TestClient, digest: str, path: str) -> None:
    """HEAD answers with the headers of GET, and no body."""
    get, head = (client.request(method, f"/v1/tables/{digest}{path}") for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    assert described(head) == described(get)


@pytest.mark.parametrize("path", ["", ".safetensors", ".npy", ".json", ".csv", "/manifest"])
def test_what_the_client_has_is_not_sent_again(client: TestClient, digest: str, path: str) -> None:
    """If-None-Match with the response's tag gives 304, the same headers and no body; another tag gives 200."""
    fresh = client.get(f"/v1/tables/{digest}{path}")
    for method in ("GET", "HEAD"):
        known = client.request(method, f"/v1/tables/{digest}{path}", headers={"if-none-match": fresh.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        for name in ("etag", "cache-control", "vary"):
            assert known.headers.get(name) == fresh.headers.get(name)
    other = client.get(f"/v1/tables/{digest}{path}", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


def test_304_loads_nothing(make_client: MakeClient, spec: dict[str, Any]) -> None:
    """After a restart, what the client has is confirmed without reading the table."""
    digest = make_client().post("/v1/tables", json=spec).json()["digest"]
    restarted = make_client()
    for path, item in {"": SAFETENSORS, ".safetensors": SAFETENSORS, ".csv": CSV}.items():
        tag = item.etag(digest).decode()
        assert restarted.get(f"/v1/tables/{digest}{path}", headers={"if-none-match": tag}).status_code == 304
    assert restarted.get("/v1/server").json()["counters"]["loads"] == 0
    missing = "0" * 64
    answer = restarted.get(f"/v1/tables/{missing}", headers={"if-none-match": SAFETENSORS.etag(missing).decode()})
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["", ".safetensors", ".npy", "/manifest", "/values?points=4", ".csv"])
def test_cold_and_warm_answers_are_the_same(make_client: MakeClient, spec: dict[str, Any], path: str) -> None:
    """The first response after a restart, which FastAPI gives, and the second, which the front may, are equal."""
    digest = make_client().post("/v1/tables", json=spec).json()["digest"]
    restarted = make_client()
    cold, warm = (restarted.get(f"/v1/tables/{digest}{path}") for _ in range(2))
    assert (cold.status_code, cold.content) == (200, warm.content)
    assert described(cold) == described(warm)


def test_a_restart_keeps_everything(make_client: MakeClient, spec: dict[str, Any]) -> None:
    """A table made before a restart is known after it: the same manifest, and nothing is computed."""
    before = make_client().post("/v1/tables", json=spec)
    restarted = make_client()
    after = restarted.post("/v1/tables", json=spec)
    assert (after.status_code, after.content) == (200, before.content)
    assert restarted.get("/v1/server").json()["counters"]["computations"] == 0


def test_groups_have_columns_of_their_own(client: TestClient, grouped_spec: dict[str, Any]) -> None:
    """A spec with a schedule per parameter group gives a column per group, and a 2-D array as .npy."""
    manifest = client.post("/v1/tables", json=grouped_spec).json()
    assert list(manifest["columns"]) == ["lr.0", "lr.1"]
    body = client.get(manifest["links"]["npy"]).content
    assert np.load(io.BytesIO(body), allow_pickle=False).shape == (2, 16)


@pytest.mark.parametrize("path", ["", ".safetensors", ".npy", ".json", ".csv"])
def test_a_part_is_served(make_client: MakeClient, spec: dict[str, Any], path: str) -> None:
    """A range of bytes is served from memory, from disk, and by whoever answers first after a restart."""
    digest = make_client().post("/v1/tables", json=spec).json()["digest"]
    for settings in ({}, {"stream_bytes": 1}):
        client = make_client(**settings)
        part = client.get(f"/v1/tables/{digest}{path}", headers={"range": "bytes=40-99"})
        whole = client.get(f"/v1/tables/{digest}{path}")
        assert (part.status_code, part.content) == (206, whole.content[40:100])
        assert part.headers["content-range"] == f"bytes 40-99/{len(whole.content)}"
        past = client.get(f"/v1/tables/{digest}{path}", headers={"range": "bytes=99999999-"})
        assert (past.status_code, past.json()["code"]) == (416, "range-not-satisfiable")
        assert past.headers["content-range"] == f"bytes */{len(whole.content)}"


@pytest.mark.parametrize("path", [".safetensors", ".npy", ".json", ".csv"])
def test_the_bytes_are_vouched_for(client: TestClient, digest: str, path: str) -> None:
    """Repr-Digest is the SHA-256 of the whole, also with a part of it."""
    whole, part = (
        client.get(f"/v1/tables/{digest}{path}", headers=headers) for headers in ({}, {"range": "bytes=0-9"})
    )
    expected = base64.b64encode(hashlib.sha256(whole.content).digest()).decode()
    assert whole.headers["repr-digest"] == part.headers["repr-digest"] == f"sha-256=:{expected}:"


@pytest.mark.parametrize("named", [False, True])
def test_a_table_is_published(client: TestClient, named: bool) -> None:
    """A table that was made elsewhere is stored by value: 201 when it is new, its manifest, and it can be fetched."""
    captured = Table({"lr": [0.5, 0.25, 0.125]})
    address = f"/v1/tables/{captured.digest}" if named else "/v1/tables"
    headers = {"content-type": "application/vnd.safetensors"}
    first, second = (client.put(address, content=captured.to_bytes(), headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["location"] == f"/v1/tables/{captured.digest}"
    assert first.json() == second.json() == client.get(first.headers["location"] + "/manifest").json()
    assert Table.from_bytes(client.get(first.headers["location"]).content) == captured
    assert client.get("/v1/server").json()["counters"]["computations"] == 0


def test_a_table_is_published_under_its_own_name(client: TestClient) -> None:
    """Under another digest than its own a table is refused, naming both, and nothing is stored."""
    captured = Table({"lr": [0.5]})
    headers = {"content-type": "application/octet-stream"}
    answer = client.put(f"/v1/tables/{'0' * 64}", content=captured.to_bytes(), headers=headers)
    assert answer.status_code == 422
    assert captured.digest in answer.json()["detail"]
    assert "0" * 64 in answer.json()["detail"]
    assert [client.get(f"/v1/tables/{name}").status_code for name in (captured.digest, "0" * 64)] == [404, 404]


@pytest.mark.parametrize("body", [b"", b"x" * 1000, Table({"lr": [0.5]}).to_bytes()[:-1]])
def test_what_is_no_table_is_not_published(client: TestClient, body: bytes) -> None:
    """Bytes that are no table are refused, saying why."""
    answer = client.put("/v1/tables", content=body, headers={"content-type": "application/vnd.safetensors"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert "no table" in answer.json()["detail"]


def test_values_have_a_tag(client: TestClient, digest: str) -> None:
    """What /values answers can be kept, and is not sent to who has it."""
    first = client.get(f"/v1/tables/{digest}/values?steps=0,5")
    known = client.get(f"/v1/tables/{digest}/values?steps=0,5", headers={"if-none-match": first.headers["etag"]})
    assert (known.status_code, known.content, first.headers["cache-control"]) == (304, b"", IMMUTABLE)


def test_values_are_a_slice(client: TestClient, digest: str, table: Table) -> None:
    """/values gives listed steps, or a range."""
    listed = client.get(f"/v1/tables/{digest}/values", params={"steps": "0,5,15"}).json()
    assert listed["columns"]["lr"] == {"steps": [0, 5, 15], "values": table.lr[[0, 5, 15]].tolist()}
    ranged = client.get(f"/v1/tables/{digest}/values", params={"start": 2, "stop": 4}).json()
    assert ranged["columns"]["lr"] == {"steps": [2, 3], "values": table.lr[2:4].tolist()}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("points=3", "points"), ("start=-1", "start"), ("stop=99", "stop"), ("steps=16", "steps"), ("pionts=5", "pionts")],
)
def test_a_bad_parameter_is_named(client: TestClient, digest: str, query: str, parameter: str) -> None:
    """A parameter out of range, or one that there is not, is a 422 that names it."""
    answer = client.get(f"/v1/tables/{digest}/values?{query}")
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize("path", ["", ".npy", "/manifest", "/values"])
def test_an_unknown_table_is_404(client: TestClient, path: str) -> None:
    """A digest of no table is not found, by name."""
    answer = client.get(f"/v1/tables/{'0' * 64}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "table-not-found")
    assert "0" * 64 in answer.json()["detail"]


@pytest.mark.parametrize("digest", ["x", "A" * 64, "0" * 63, "0" * 65, "%2e%2e", "0" * 64 + "%00", "%C3%A9" * 64])
def test_what_is_no_digest_is_named(client: TestClient, digest: str) -> None:
    """What does not look like a digest is refused as the parameter that it is."""
    answer = client.get(f"/v1/tables/{digest}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "digest"


class Asked:
    """An application that is asked for one address, by a client who takes one piece of a body and then nothing."""

    def __init__(self, server: ServerState, path: str) -> None:
        self.taken = asyncio.Event()
        self._leaves = asyncio.Event()
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [],
        }
        self.task = asyncio.create_task(self._ask(create_app(server), scope))

    async def _ask(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        await self._leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message.get("body"):
            self.taken.set()
            await self._leaves.wait()

    async def leave(self) -> None:
        """Go away, and wait until the application has done with it."""
        self._leaves.set()
        async with asyncio.timeout(30):
            await self.task


def with_table(
    tmp_path: Path, spec: dict[str, Any], work: Callable[[ServerState, Entry[TableResponses]], Awaitable[None]]
) -> None:
    """Run what needs a server's parts and a table in its memory."""

    async def main() -> None:
        server = open_server(Settings(data_dir=tmp_path))
        try:
            ready, _ = await server.tables.obtain(Spec.model_validate_json(json.dumps(spec)))
            assert isinstance(ready, MemoryEntry)
            await work(server, ready)
        finally:
            close_server(server)

    asyncio.run(main())


@pytest.mark.parametrize("extension", ["csv", "json"])
def test_a_table_counts_as_lent_while_it_is_written(tmp_path: Path, spec: dict[str, Any], extension: str) -> None:
    """A table whose text is being sent is in use until its client has all, or goes away."""

    async def work(server: ServerState, ready: Entry[TableResponses]) -> None:
        asked = Asked(server, f"/v1/tables/{ready.digest}.{extension}")
        await asked.taken.wait()
        kept = server.tables.cache.get(ready.digest)
        assert kept is ready
        assert kept.is_pinned
        await asked.leave()
        await asyncio.sleep(0.01)
        assert not kept.is_pinned

    with_table(tmp_path, spec, work)


@pytest.mark.parametrize("address", ["/v1/tables/{digest}/values", "/v1/lr?kind=Constant&value=1&steps=0"])
def test_nothing_is_written_for_who_has_left(tmp_path: Path, spec: dict[str, Any], address: str) -> None:
    """Values for a client who goes away while they wait for their turn are not written."""

    async def work(server: ServerState, ready: Entry[TableResponses]) -> None:
        go_on = threading.Event()
        busy = asyncio.create_task(server.executors.serialize(go_on.wait, 60))
        asked = Asked(server, address.format(digest=ready.digest))
        await asyncio.sleep(0.1)
        await asked.leave()
        assert not busy.done()
        go_on.set()
        await busy

    with_table(tmp_path, spec, work)
