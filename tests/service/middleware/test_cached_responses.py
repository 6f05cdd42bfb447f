"""What can be answered from memory, and what cannot."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app, open_server
from service.http.responses import BufferResponse, Fields
from service.middleware.cached_responses import CachedResponses
from service.settings import Settings
from service.state import ServerState
from service.workers.pool import Workers


@pytest.fixture
def server(tmp_path: Path, workers: Workers) -> ServerState:
    """A server that reads tables of more than 400 bytes from the store whenever they are sent."""
    return open_server(Settings(data_dir=tmp_path, stream_bytes=400), workers)


@pytest.fixture
def client(server: ServerState) -> Iterator[TestClient]:
    with TestClient(create_app(server)) as client:
        yield client


@pytest.fixture
def cached(server: ServerState) -> CachedResponses:
    return CachedResponses(server)


def make(client: TestClient, total_steps: int) -> str:
    """The path of a new table."""
    schedule = {"kind": "custom.LinearWarmup", "base_lr": 1.0, "warmup_steps": 8}
    answer = client.post("/v1/tables", json={"schedule": schedule, "total_steps": total_steps})
    location: str = answer.headers["location"]
    return location


@pytest.mark.parametrize(
    ("rest", "fields", "content_type"),
    [
        ("", [], b"application/vnd.safetensors"),
        ("", [(b"accept", b"application/x-npy")], b"application/x-npy"),
        (".safetensors", [], b"application/vnd.safetensors"),
        (".npy", [(b"accept", b"image/png")], b"application/x-npy"),
        ("/manifest", [], b"application/json"),
    ],
)
def test_a_table_in_memory_is_found(
    client: TestClient, cached: CachedResponses, rest: str, fields: Fields, content_type: bytes
) -> None:
    """The files of a table, in the format that Accept prefers where the path names none, and its manifest."""
    path = make(client, 16) + rest
    response = cached.find(path, fields)
    assert isinstance(response, BufferResponse)
    headers = dict(response.head(200, private=False)["headers"])
    assert headers[b"content-type"] == content_type
    wanted = {name.decode(): value.decode() for name, value in fields}
    assert headers[b"etag"].decode() == client.get(path, headers=wanted).headers["etag"]


@pytest.mark.parametrize(
    ("rest", "fields"),
    [("", [(b"accept", b"image/png")]), (".csv", []), (".json", []), ("/values", []), ("/", []), ("x", [])],
)
def test_what_takes_work_is_not_found(client: TestClient, cached: CachedResponses, rest: str, fields: Fields) -> None:
    """What has to be written, or is an error, is for the routes."""
    assert cached.find(make(client, 16) + rest, fields) is None


@pytest.mark.parametrize("path", ["/", "/livez", "/v1/tables", "/v1/tables/", f"/v1/tables/{'0' * 64}.npy"])
def test_other_paths_are_not_found(cached: CachedResponses, path: str) -> None:
    """Paths of no table, or of none in memory, are for the routes."""
    assert cached.find(path, []) is None


def test_a_path_is_compared_as_a_whole(client: TestClient, cached: CachedResponses) -> None:
    """A digest behind another path of the same length is none."""
    path = make(client, 16)
    assert cached.find(path.replace("/v1/tables/", "/v1/tablex/") + ".npy", []) is None


def test_only_the_manifest_of_a_streamed_table_is_in_memory(client: TestClient, cached: CachedResponses) -> None:
    """A table that is read from the store is for the routes; its manifest is not read from there."""
    path = make(client, 1000)
    assert cached.find(f"{path}.npy", []) is None
    assert cached.find(f"{path}/manifest", []) is not None


def test_nothing_of_a_damaged_table_is_found(client: TestClient, cached: CachedResponses, tmp_path: Path) -> None:
    """Once a file was found to be damaged, not even its manifest is given, until the table is restored."""
    path = make(client, 1000)
    (file,) = (tmp_path / "tables").rglob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    with pytest.raises(RuntimeError, match="response already started"):
        client.get(f"{path}.npy")
    assert cached.find(f"{path}/manifest", []) is None
    assert client.get(f"{path}/manifest").status_code == 200


def test_a_hit_is_counted_once(client: TestClient) -> None:
    """A table out of memory is one hit, whether it is sent as it is or has to be written."""
    path = make(client, 16)
    before = hits(client)
    for rest in (".npy", "/manifest", "", ".csv", "/values?steps=0"):
        assert client.get(path + rest).status_code == 200
    assert hits(client) - before == 5


def hits(client: TestClient) -> int:
    counters = json.loads(client.get("/v1/server").content)["counters"]
    found: int = counters["memory_hits"]
    return found
