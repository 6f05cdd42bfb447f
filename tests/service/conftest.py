"""What the service's tests share: an application in this process, and a real server in another."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from benchmarks.http_common import ServerProcess
from service.app import create_app
from service.settings import Settings

MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    """Make a client of a new application with these settings; the last one is shut down when the next is made."""
    open_clients: list[TestClient] = []

    def close() -> None:
        while open_clients:
            open_clients.pop().__exit__(None, None, None)

    def make(**settings: Any) -> TestClient:
        close()
        client = TestClient(create_app(Settings(data_dir=tmp_path / "data", **settings)))
        open_clients.append(client.__enter__())
        return client

    yield make
    close()


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """A client of an application with default settings and an empty data directory."""
    return make_client()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A real server with an empty data directory."""
    with ServerProcess(tmp_path / "data") as running:
        yield running


@pytest.fixture
def spec() -> dict[str, Any]:
    """A small spec."""
    schedule = {"kind": "custom.WarmupWithDecay", "base_lr": 0.5, "warmup_steps": 4, "total_steps": 16}
    return {"schedule": schedule, "total_steps": 16}


@pytest.fixture
def grouped_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A small spec with two parameter groups."""
    return {**spec, "schedule": [spec["schedule"], {"kind": "custom.LinearWarmup", "base_lr": 1.0, "warmup_steps": 8}]}
