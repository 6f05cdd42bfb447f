"""Health, limits and counters."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app, open_server
from service.settings import VERSION, Settings
from service.workers.pool import Workers
from tests.service.conftest import MakeClient


def let_a_file_be_in_the_way(folder: Path) -> None:
    """Put a file where a store writes: a folder that is missing is made again."""
    folder.rmdir()
    folder.touch()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_server_is_well(client: TestClient, path: str) -> None:
    """A server that works says so, and nobody keeps the response."""
    for method in ("GET", "HEAD"):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


def test_a_server_without_a_store_is_not_ready(client: TestClient, tmp_path: Path) -> None:
    """Where nothing can be stored the server lives, but is not ready: 503, worth a retry."""
    let_a_file_be_in_the_way(tmp_path / "data" / "tmp")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert answer.json()["detail"].startswith("store: ")
    assert answer.json()["retryable"] is True
    assert answer.headers["retry-after"] == "1"
    assert client.get("/livez").status_code == 200


def test_a_warm_server_stays_ready(client: TestClient, spec: dict[str, Any], tmp_path: Path) -> None:
    """With tables in memory the server is ready though its store is away; where it is asked, it says what is wrong."""
    assert client.post("/v1/tables", json=spec).status_code == 201
    well = {"store": "ok", "database": "ok", "computations": "ok"}
    assert client.get("/readyz?verbose=1").json() == {"status": "ok", "parts": well}
    let_a_file_be_in_the_way(tmp_path / "data" / "tmp")
    assert client.get("/readyz").json() == {"status": "ok"}
    parts = client.get("/readyz?verbose=1").json()["parts"]
    assert parts["store"] != "ok"
    assert parts["database"] == "ok"


@pytest.mark.parametrize(("query", "told"), [("verbose", True), ("verbose=", True), ("verbose=0", False)])
def test_parts_are_told_where_they_are_asked_for(client: TestClient, query: str, told: bool) -> None:
    """`?verbose` needs no value, as Kubernetes asks."""
    answer = client.get(f"/readyz?{query}")
    assert (answer.status_code, "parts" in answer.json()) == (200, told)


def test_numbers_wait_for_no_text(tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Prometheus reads is written though the thread that writes text has too much to do."""
    monkeypatch.setattr("service.concurrency.executors._MAX_TEXTS", 0)
    with TestClient(create_app(open_server(Settings(data_dir=tmp_path), workers))) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/v1/schedules/Constant").json()["code"] == "queue-full"


def test_a_server_that_ends_is_not_ready(tmp_path: Path, workers: Workers) -> None:
    """Once it was told to stop, the server takes no new work."""
    server = open_server(Settings(data_dir=tmp_path), workers)
    with TestClient(create_app(server)) as client:
        server.draining = True
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (503, "the server is stopping")


def test_the_server_tells_its_limits(make_client: MakeClient) -> None:
    """Version, limits, formats, counters and memory are told."""
    info = make_client(max_steps=123).get("/v1/server").json()
    assert info["version"] == VERSION
    assert info["limits"]["max_steps"] == 123
    assert info["formats"]["npy"] == "application/x-npy"
    assert info["cache"]["tables"] == 0


def test_the_server_counts(client: TestClient, spec: dict[str, Any]) -> None:
    """Computations, hits and the memory in use are counted."""
    digest = client.post("/v1/tables", json=spec).json()["digest"]
    client.get(f"/v1/tables/{digest}")
    info = client.get("/v1/server").json()
    assert info["counters"] == {
        "computations": 1,
        "memory_hits": 1,
        "loads": 0,
        "published": 0,
        "damaged": 0,
        "killed": 0,
        "lost": 0,
        "mismatches": 0,
        "waits": 0,
    }
    assert info["cache"]["tables"] == 1
    assert 128 < info["cache"]["bytes"] < 2**16
