"""The tables of a server: computed once, stored, and served only if they are what their name says."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import Spec, Table
from service.database.metadata import Metadata, open_metadata
from service.settings import Settings
from service.tables.repository import table_key
from tests.service.conftest import MakeClient


def parse(spec: dict[str, Any]) -> Spec:
    """The spec in JSON data."""
    return Spec.model_validate_json(json.dumps(spec))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def table(make_client: MakeClient, spec: dict[str, Any]) -> Table:
    """A stored table, the server that made it stopped."""
    client = make_client()
    digest = client.post("/v1/tables", json=spec).json()["digest"]
    table = Table.from_bytes(client.get(f"/v1/tables/{digest}.safetensors").content)
    make_client()
    return table


def counters(client: TestClient) -> dict[str, int]:
    """What the server has done."""
    counted: dict[str, int] = client.get("/v1/server").json()["counters"]
    return counted


def damages(file: bytes, header_size: int) -> Iterator[tuple[str, bytes]]:
    """The bytes of a stored table, damaged in every way that matters."""
    stride_at, lr_at = file.index(b'"stride":"') + 10, file.index(b'"lr":') + 1
    places = {"length": 0, "brace": 8, "digest": file.index(b'"digest":"') + 12, "stride": stride_at, "name": lr_at}
    places |= {"first": header_size, "middle": (header_size + len(file)) // 2, "last": len(file) - 1}
    for name, at in places.items():
        yield name, file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
    yield "empty", b""
    yield "header-only", file[:header_size]
    yield "cut-short", file[:-1]
    yield "too-long", file + b"\0"
    yield "zeros", bytes(len(file))


def test_a_damaged_table_is_never_served(
    make_client: MakeClient, table: Table, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However a stored file is damaged, it is set aside, computed again, and served as it was."""
    path, good = data / table_key(table.digest), table.to_bytes()
    assert path.read_bytes() == good
    for number, (name, bad) in enumerate(damages(good, len(table.header)), start=1):
        path.unlink()
        path.write_bytes(bad)
        client = make_client()
        with caplog.at_level(logging.ERROR, "lrtables"):
            assert client.get(f"/v1/tables/{table.digest}.safetensors").content == good, name
        assert counters(client) | {"memory_hits": 0} == {
            "computations": 1,
            "memory_hits": 0,
            "loads": 0,
            "published": 0,
            "damaged": 1,
            "killed": 0,
            "lost": 0,
            "mismatches": 0,
            "waits": 0,
        }
        assert path.read_bytes() == good
        assert f"the stored table {table.digest} is damaged" in caplog.text
        assert len(list((data / "damaged").iterdir())) == number


def test_damage_under_a_running_server_is_not_served(make_client: MakeClient, table: Table, data: Path) -> None:
    """A file that changes, or is cut short, after it was read does not change what is served."""
    client = make_client()
    path, good = data / table_key(table.digest), table.to_bytes()
    assert client.get(f"/v1/tables/{table.digest}.safetensors").content == good
    with path.open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"\xff" * 8)
        assert client.get(f"/v1/tables/{table.digest}.safetensors").content == good
        file.truncate(10)
    assert client.get(f"/v1/tables/{table.digest}.npy").status_code == 200


def test_a_table_under_another_name_is_not_served(make_client: MakeClient, table: Table, data: Path) -> None:
    """A whole and intact table under a digest that is not its own is taken for damage."""
    wrong = data / table_key("ab" * 32)
    wrong.parent.mkdir()
    wrong.write_bytes(table.to_bytes())
    assert make_client().get(f"/v1/tables/{'ab' * 32}").status_code == 404
    assert not wrong.exists()


@pytest.mark.parametrize("ask", ["spec", "digest"])
def test_a_missing_file_is_computed_again(
    make_client: MakeClient, spec: dict[str, Any], table: Table, data: Path, ask: str
) -> None:
    """A table whose file was lost comes back, asked for by its spec or by its digest."""
    (data / table_key(table.digest)).unlink()
    client = make_client()
    if ask == "spec":
        assert client.post("/v1/tables", json=spec).json()["digest"] == table.digest
    assert client.get(f"/v1/tables/{table.digest}.safetensors").content == table.to_bytes()
    assert counters(client)["computations"] == 1


def test_a_damaged_row_is_made_again(make_client: MakeClient, spec: dict[str, Any], table: Table, data: Path) -> None:
    """A damaged row of a spec is not used, and made anew; the table stays the one that was stored."""
    with sqlite3.connect(data / "metadata.sqlite") as database:
        changed = database.execute("UPDATE specs SET digest = ?", ["0" * 64])
        assert changed.rowcount == 1
    database.close()
    client = make_client()
    assert client.post("/v1/tables", json=spec).json()["digest"] == table.digest
    assert counters(client)["computations"] == 1
    make_client()
    with metadata(data) as rows:
        assert rows.tables.digest_of(parse(spec).id) == table.digest


@contextmanager
def metadata(data: Path) -> Iterator[Metadata]:
    """The metadata of a server that was stopped."""
    opened = open_metadata(Settings(data_dir=data))
    yield opened
    opened.close()


def test_the_stored_digest_is_the_truth(
    make_client: MakeClient, spec: dict[str, Any], table: Table, data: Path
) -> None:
    """What is on record for a spec is served, though this machine would compute something else."""
    shorter = {**spec, "total_steps": 8}
    with metadata(data) as rows:
        rows.tables.record(parse(shorter).id, json.dumps(shorter), table.digest, table.nbytes)
    client = make_client()
    assert client.post("/v1/tables", json=shorter).json()["digest"] == table.digest
    assert counters(client)["computations"] == 0


def test_a_lost_table_is_not_replaced_by_another(
    make_client: MakeClient, spec: dict[str, Any], table: Table, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged table whose spec gives other values here is refused, logged with both digests and counted."""
    shorter = parse({**spec, "total_steps": 8})
    (data / table_key(table.digest)).unlink()
    (data / table_key(table.digest)).write_bytes(b"damaged")
    with metadata(data) as rows:
        rows.tables.delete(table.digest)
        rows.tables.record(shorter.id, shorter.model_dump_json(), table.digest, table.nbytes)
    client = make_client()
    with caplog.at_level(logging.ERROR, "lrtables"):
        response = client.get(f"/v1/tables/{table.digest}")
    assert (response.status_code, response.json()["code"], response.json()["retryable"]) == (500, "table-lost", False)
    assert counters(client)["mismatches"] == 1
    computed = Table.compute(shorter).digest
    assert f"stored digest {table.digest}, computed digest {computed}" in caplog.text


def test_large_tables_are_sent_from_the_store(make_client: MakeClient, grouped_spec: dict[str, Any]) -> None:
    """A table larger than `stream_bytes` is not kept in memory, and every response is what it is from memory."""
    paths = [".safetensors", ".npy", ".json", ".csv", "/manifest", "/values?points=10", "/values?steps=3,0,15"]
    responses = []
    for stream_bytes in (10**6, 100):
        client = make_client(stream_bytes=stream_bytes)
        digest = client.post("/v1/tables", json=grouped_spec).json()["digest"]
        made = [client.get(f"/v1/tables/{digest}{path}") for path in paths]
        part = client.get(f"/v1/tables/{digest}.npy", headers={"Range": "bytes=100-300"})
        responses.append([(response.status_code, response.content) for response in (*made, part)])
    assert responses[0] == responses[1]
    assert [status for status, _ in responses[0]] == [200] * len(paths) + [206]


def test_a_large_table_that_is_damaged_while_it_is_sent_is_not_sent_whole(
    make_client: MakeClient, spec: dict[str, Any], data: Path
) -> None:
    """What has changed in the store since it was verified is never sent; the table comes back as it was."""
    steps = 100_000
    client = make_client(stream_bytes=100)
    schedule = {**spec["schedule"], "total_steps": steps}
    digest = client.post("/v1/tables", json={"schedule": schedule, "total_steps": steps}).json()["digest"]
    good = client.get(f"/v1/tables/{digest}.safetensors").content
    path = data / table_key(digest)
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(RuntimeError, match="already started"):  # a real client sees the connection cut
        client.get(f"/v1/tables/{digest}.safetensors")
    assert client.get(f"/v1/tables/{digest}.safetensors").content == good
    assert path.read_bytes() == good


HUGE = {"kind": "Constant", "value": 1e6}
LOST = {"kind": "Literal", "digest": "ab" * 32}


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"kind": "Product", "schedules": [HUGE] * 60}, "column 'lr' must be finite, got inf at step 0"),
        (LOST, f"a Literal refers to an unknown table: there is no table {'ab' * 32}"),
    ],
)
def test_a_spec_without_a_table_is_refused(client: TestClient, schedule: dict[str, Any], words: str) -> None:
    """A valid spec whose values cannot be had is an error of the request that says why, and nothing is stored."""
    response = client.post("/v1/tables", json={"schedule": schedule, "total_steps": 8})
    assert (response.status_code, response.json()["code"]) == (422, "not-computable")
    assert response.json()["detail"] == words


def test_a_full_disk_is_worth_a_retry(client: TestClient, spec: dict[str, Any], data: Path) -> None:
    """Where a table cannot be stored it is not served either: 503, and once it can be, all is well."""
    (data / "tables").write_bytes(b"in the way")
    response = client.post("/v1/tables", json=spec)
    assert (response.status_code, response.json()["code"], response.json()["retryable"]) == (
        503,
        "storage-unavailable",
        True,
    )
    (data / "tables").unlink()
    assert client.post("/v1/tables", json=spec).status_code == 201


def test_memory_is_bounded(make_client: MakeClient, spec: dict[str, Any]) -> None:
    """However many tables are asked for, those in memory have no more bytes than the setting; all are served."""
    client = make_client(memory_bytes=200_000)
    schedule = {**spec["schedule"], "total_steps": 10_000}
    digests = [
        client.post("/v1/tables", json={"schedule": schedule, "total_steps": 40 + extra}).json()["digest"]
        for extra in range(10)
    ]
    assert len(set(digests)) == 10
    assert client.get("/v1/server").json()["cache"]["bytes"] <= 200_000
    for digest in digests:
        assert Table.from_bytes(client.get(f"/v1/tables/{digest}.safetensors").content).digest == digest
    assert counters(client)["computations"] == 10


def test_a_literal_takes_the_values_of_the_table_it_names(make_client: MakeClient, spec: dict[str, Any]) -> None:
    """A spec may name a stored table by its digest, deep in a composition; a column it lacks is named."""
    client = make_client()
    digest = client.post("/v1/tables", json=spec).json()["digest"]
    stored = Table.from_bytes(client.get(f"/v1/tables/{digest}.safetensors").content)
    literal = {"kind": "Literal", "digest": digest}
    halved = {"schedule": {"kind": "Scale", "factor": 0.5, "schedule": literal}, "total_steps": 3}
    made = client.post("/v1/tables", json=halved).json()["digest"]
    values = Table.from_bytes(client.get(f"/v1/tables/{made}.safetensors").content).lr
    assert values.tolist() == (stored.lr[:3] * 0.5).tolist()
    refused = client.post("/v1/tables", json={"schedule": {**literal, "column": "momentum"}, "total_steps": 3})
    assert refused.status_code == 422
    assert "'momentum'" in refused.text


def test_what_a_lost_table_is_made_of_is_restored_too(
    make_client: MakeClient, spec: dict[str, Any], table: Table, data: Path
) -> None:
    """A table that was computed from a table comes back, though both files were lost."""
    client = make_client()
    halved = {"kind": "Scale", "factor": 0.5, "schedule": {"kind": "Literal", "digest": table.digest}}
    digest = client.post("/v1/tables", json={"schedule": halved, "total_steps": 16}).json()["digest"]
    make_client()
    for lost in (digest, table.digest):
        (data / table_key(lost)).unlink()
    client = make_client()
    assert Table.from_bytes(client.get(f"/v1/tables/{digest}.safetensors").content).lr.tolist() == [
        rate / 2 for rate in table.lr
    ]
    assert counters(client)["computations"] == 2


@pytest.mark.parametrize("number", [1, 2])
def test_a_table_that_is_made_of_itself_is_lost(make_client: MakeClient, table: Table, data: Path, number: int) -> None:
    """Where the records say that tables were computed from each other, asking for one ends: there is no such table."""
    digests = [table.digest, "ab" * 32][:number]
    make_client()
    (data / table_key(table.digest)).unlink()
    with metadata(data) as rows:
        for digest, named in zip(digests, digests[1:] + digests[:1], strict=True):
            rows.tables.delete(digest)
            spec = parse({"schedule": {"kind": "Literal", "digest": named}, "total_steps": 16})
            rows.tables.record(spec.id, spec.model_dump_json(), digest, 128)
    client = make_client()
    for digest in digests:
        response = client.get(f"/v1/tables/{digest}")
        assert (response.status_code, response.json()["code"]) == (500, "table-lost")
        assert "can only be computed from itself" in response.json()["detail"]
