"""What tables take in memory, measured in a process of its own."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from service.app import create_app, open_server
from service.settings import Settings
from tests.support.own_process import in_own_process

STEPS = 250_000
SCHEDULE = {"kind": "custom.WarmupWithDecay", "warmup_steps": 4, "total_steps": 16}
MILESTONES = {"kind": "torch.MultiStepLR", "milestones": [*range(1000, 9000)], "gamma": 0.9}
PARTS = {"kind": "Product", "schedules": [{"kind": "Constant", "value": 0.5}] * 60}


@contextmanager
def client_of(data: Path, **settings: Any) -> Iterator[TestClient]:
    """A client of an application of its own."""
    with TestClient(create_app(open_server(Settings(data_dir=data, **settings)))) as client:
        yield client


def _in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@contextmanager
def measuring() -> Iterator[Callable[[], int]]:
    """How many bytes of memory were taken since the block began and are still in use."""
    gc.collect()
    tracemalloc.start()
    try:
        yield _in_use
    finally:
        tracemalloc.stop()


def get_all(client: TestClient, schedule: dict[str, Any]) -> None:
    """Let the table of a schedule be made, and sent in several formats."""
    made = client.post("/v1/tables", json={"schedule": schedule, "total_steps": 16})
    for path in (".npy", ".safetensors", "/manifest"):
        etag = client.get(made.headers["location"] + path).headers["etag"]
        client.get(made.headers["location"] + path, headers={"If-None-Match": etag})


def get_long(client: TestClient, number: int) -> None:
    """The same for schedules with long specs."""
    get_all(client, {**MILESTONES, "base_lr": 1.0 + number})
    get_all(client, {"kind": "Scale", "factor": 1.0 + number, "schedule": PARTS})


def counted(client: TestClient) -> int:
    """The bytes that the tables in memory are said to take."""
    nbytes: int = client.get("/v1/server").json()["cache"]["bytes"]
    return nbytes


def counted_and_allocated(data: Path) -> list[tuple[int, int]]:
    """The bytes that are said to be in memory, and that are, after fifty short specs and after ten long ones."""
    with client_of(data) as client:
        get_all(client, {**SCHEDULE, "base_lr": 0.5})
        get_long(client, 100)
        before, found = counted(client), []
        with measuring() as allocated:
            for number in range(50):
                get_all(client, {**SCHEDULE, "base_lr": 1.0 + number})
            found.append((counted(client) - before, allocated()))
            for number in range(5):
                get_long(client, number)
            found.append((counted(client) - before, allocated()))
        return found


def test_what_a_table_takes_beside_its_values_counts(tmp_path: Path) -> None:
    """The bytes that are said to be in memory cover the objects of short tables, and those of long specs."""
    for said, taken in in_own_process(counted_and_allocated, tmp_path / "data"):
        assert 0.4 * said < taken < said


def literal_of(digest: str, total_steps: int) -> dict[str, Any]:
    """A spec whose table is that of another."""
    return {"schedule": {"kind": "Literal", "digest": digest}, "total_steps": total_steps}


def constant_table(client: TestClient, rate: float) -> str:
    """The digest of a long table."""
    spec = {"schedule": {"kind": "Constant", "value": rate}, "total_steps": STEPS}
    digest: str = client.post("/v1/tables", json=spec).json()["digest"]
    return digest


def taken_by_named_tables(data: Path) -> tuple[int, int]:
    """The bytes in use after eight tables were named, and at most meanwhile."""
    with client_of(data, memory_bytes=100_000) as client:
        digests = [constant_table(client, rate) for rate in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)]
        parts = [literal_of(digest, 1)["schedule"] for digest in digests]
        with measuring() as allocated:
            many = {"kind": "Sequence", "schedules": parts, "lengths": [1] * 7}
            made = client.post("/v1/tables", json={"schedule": many, "total_steps": 8})
            assert client.get(made.headers["location"] + ".json").json()["columns"]["lr"][0::7] == [0.1, 0.8]
            for digest in digests:
                assert client.post("/v1/tables", json=literal_of(digest, 10)).status_code == 201
            return allocated(), tracemalloc.get_traced_memory()[1]


def test_named_tables_take_no_memory(tmp_path: Path) -> None:
    """However many tables the Literals of a spec name, their values are read, not held: neither then nor later."""
    taken, most = in_own_process(taken_by_named_tables, tmp_path / "data")
    assert taken < STEPS * 8 * 2
    assert most < STEPS * 8 * 4
