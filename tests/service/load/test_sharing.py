"""Two servers over one PostgreSQL and one S3-compatible store: one service."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from scheduler import Spec, Table
from service.settings import Settings
from service.storage.open import open_store
from tests.support.servers.herd import SPEC, herd
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess
from tests.support.servers.s3 import S3Server


@pytest.fixture
def shared(postgres: PostgresServer, s3_server: S3Server, s3_variables: None) -> dict[str, Any]:
    """The settings of servers that share an empty database and an empty store."""
    return {"database_url": postgres.emptied_url(), "store_url": s3_server.new_url(), "database_seconds": 60}


@pytest.fixture
def servers(shared: dict[str, Any], tmp_path: Path) -> Iterator[list[ServerProcess]]:
    """Two servers over one database and one store."""
    with ExitStack() as stack:
        yield [stack.enter_context(ServerProcess(tmp_path / name, **shared)) for name in ("first", "second")]


def objects(shared: dict[str, Any]) -> list[str]:
    """The keys of what is in the store."""
    with closing(open_store(Settings(store_url=shared["store_url"]))) as store:
        return [key for key, _ in store.keys()]  # noqa: SIM118  # no dictionary


def test_what_one_makes_the_other_has(servers: list[ServerProcess], spec: dict[str, Any]) -> None:
    """A table that one server computed is known to the other by spec and by digest, and computed once."""
    first, second = servers
    with urllib3.PoolManager() as pool:
        made = pool.request("POST", f"{first.url}/v1/tables", json=spec)
        found = pool.request("POST", f"{second.url}/v1/tables", json=spec)
    assert (made.status, found.status) == (201, 200)
    digest = made.json()["digest"]
    assert first.get(f"/v1/tables/{digest}.safetensors") == second.get(f"/v1/tables/{digest}.safetensors")
    assert [server.counters()["computations"] for server in servers] == [1, 0]


def test_each_may_end_and_the_other_goes_on(servers: list[ServerProcess], spec: dict[str, Any]) -> None:
    """What a server said it has stored is there after it was killed."""
    first, second = servers
    with urllib3.PoolManager() as pool:
        digest = pool.request("POST", f"{first.url}/v1/tables", json=spec).json()["digest"]
    first.kill()
    assert Table.from_bytes(second.get(f"/v1/tables/{digest}.safetensors")).digest == digest


@pytest.mark.parametrize("clients", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_herd_on_both_is_one_table(servers: list[ServerProcess], shared: dict[str, Any], clients: int) -> None:
    """A herd across both servers gets identical bytes, each computes once at most, and one object is stored."""
    fared = herd([server.port for server in servers], SPEC, clients)
    assert len(fared.statuses) == clients
    assert set(fared.statuses) <= {200, 201}
    (path,) = (f"{location.decode()}.safetensors" for location in fared.locations)
    first, second = (server.get(path) for server in servers)
    assert first == second
    assert Table.from_bytes(first).digest == Spec.model_validate_json(json.dumps(SPEC)).table().digest
    assert all(server.counters()["computations"] <= 1 for server in servers)
    assert len(objects(shared)) == 1
