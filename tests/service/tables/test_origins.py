"""Where a table is from: facts of this service, claims of others; and the one file that a digest has."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from scheduler import KINDS, Spec, Table, TableError
from service.app import create_app, open_server
from service.database.metadata import Metadata, open_metadata
from service.settings import Settings
from service.tables.repository import table_key
from service.workers.pool import Workers
from tests.service.conftest import MakeClient
from tests.support.schedules.strategies import schedules

HEADERS = {"content-type": "application/vnd.safetensors"}
JSON = {"content-type": "application/json"}
LIMITS = {"max_steps": 1000}
FILES = int(os.environ.get("LRTABLES_FILES", "2"))
"""Tables of each kind whose files are compared; LRTABLES_FILES=200 for a campaign."""


def parse(spec: dict[str, Any]) -> Spec:
    """The spec in JSON data."""
    return Spec.model_validate_json(json.dumps(spec))


def constant(value: float, steps: int = 8) -> dict[str, Any]:
    """A spec whose table has one value."""
    return {"schedule": {"kind": "Constant", "value": value}, "total_steps": steps}


def publish(client: TestClient, table: Table, spec: object = None) -> Any:
    """Publish a table that claims to be of a spec; what is returned is the response's manifest."""
    claims = dict(table.provenance) if spec is None else {**table.provenance, "spec": json.dumps(spec)}
    body = table.layout.header(table.digest, claims) + bytes(table.parts()[1])
    response = client.put("/v1/tables", content=body, headers=HEADERS)
    assert response.is_success, response.text
    return response.json()


@contextmanager
def metadata(data: Path) -> Iterator[Metadata]:
    """The metadata of a data directory, though a server uses it."""
    with closing(open_metadata(Settings(data_dir=data))) as opened:
        yield opened


def lose(data: Path, digest: str) -> None:
    """Delete a table's file."""
    (data / table_key(digest)).unlink()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


TABLE = parse(constant(0.5)).table()
OTHER_SPEC = {"schedule": {"kind": "custom.CyclicLR", "base_lr": 0.5, "max_lr": 0.5, "step_size": 3}, "total_steps": 8}
"""Another spec with the same values."""


class TestManifest:
    def test_a_claim_is_shown_as_a_claim(self, client: TestClient) -> None:
        """What a publisher says is `claim`, may change, and is never `spec`."""
        false = parse(constant(0.25)).model_dump(mode="json")
        manifest = publish(client, TABLE, constant(0.25))
        assert (manifest["spec"], manifest["spec_id"], manifest["provenance"]) == (None, None, None)
        assert manifest["claim"] == {"spec": false, "provenance": dict(TABLE.provenance)}
        response = client.get(f"/v1/tables/{TABLE.digest}/manifest")
        assert (response.json(), response.headers["cache-control"]) == (manifest, "private, no-cache, no-transform")

    def test_a_fact_takes_the_place_of_a_claim(self, client: TestClient) -> None:
        """Computed here, if only later, the table has that spec, with what computed it; and so it stays."""
        publish(client, TABLE, constant(0.25))
        made = client.post("/v1/tables", json=constant(0.5)).json()
        response = client.get(f"/v1/tables/{TABLE.digest}/manifest")
        assert response.json() == made
        assert (made["digest"], made["claim"]) == (TABLE.digest, None)
        spec = parse(constant(0.5))
        assert (made["spec"], made["spec_id"]) == (spec.model_dump(mode="json"), spec.id)
        assert made["provenance"] == dict(TABLE.provenance)
        assert "immutable" in response.headers["cache-control"]
        assert publish(client, TABLE, constant(0.125)) == made

    def test_the_first_claim_stays_but_none_is_no_claim(self, client: TestClient) -> None:
        """Who published without a word has not spoken for all who come; a second claim changes nothing."""
        bare = client.put("/v1/tables", content=TABLE.to_bytes(), headers=HEADERS).json()
        assert bare["claim"] is None
        first = publish(client, TABLE, constant(0.5))
        assert first["claim"]["spec"] == parse(constant(0.5)).model_dump(mode="json")
        assert publish(client, TABLE, constant(0.25)) == first

    @pytest.mark.parametrize(
        "claim",
        [
            [[1]],
            "a",
            {"schedule": {"kind": "none"}, "total_steps": 8},
            constant(0.5, steps=9),
            constant(0.5) | {"stride": 2},
            constant(0.5) | {"junk": "x"},
            {"schedule": {"kind": "Product", "schedules": [constant(1.0)["schedule"]] * 20_000}, "total_steps": 8},
        ],
        ids=range(7),
    )
    def test_a_claim_that_cannot_be_is_left_out(self, client: TestClient, claim: object) -> None:
        """A spec that is none, of another frame, or beyond the limits is not kept: the values are."""
        assert publish(client, TABLE, claim)["claim"] == {"spec": None, "provenance": dict(TABLE.provenance)}

    def test_another_server_sees_the_fact(self, make_client: MakeClient, data: Path) -> None:
        """Where one server showed a claim and another computes the table, both show the fact."""
        client, spec = make_client(), parse(constant(0.5))
        assert publish(client, TABLE, constant(0.25))["spec"] is None
        with metadata(data) as rows:
            rows.tables.record(spec.id, spec.model_dump_json(), TABLE.digest, TABLE.nbytes)
        manifest = client.get(f"/v1/tables/{TABLE.digest}/manifest").json()
        assert (manifest["spec_id"], manifest["provenance"], manifest["claim"]) == (spec.id, None, None)


class TestRestore:
    @pytest.mark.parametrize("claim", [None, constant(0.25)])
    def test_any_fact_restores(self, make_client: MakeClient, data: Path, claim: object) -> None:
        """A table that was published first, with a false claim or none, comes back by the spec computed later."""
        client = make_client()
        publish(client, TABLE, claim)
        client.post("/v1/tables", json=constant(0.5))
        make_client()
        lose(data, TABLE.digest)
        assert make_client().get(f"/v1/tables/{TABLE.digest}.safetensors").content == TABLE.to_bytes()

    def test_a_fact_that_cannot_be_computed_is_not_the_last(self, make_client: MakeClient, data: Path) -> None:
        """Where this version does not know a spec any more, the next one restores."""
        with metadata(data) as rows:
            for number, spec in enumerate(['{"schedule":{"kind":"gone"},"total_steps":8}', json.dumps(constant(0.25))]):
                rows.tables.record(f"s{number}", spec, TABLE.digest, TABLE.nbytes)
        client = make_client()
        assert client.post("/v1/tables", json=constant(0.5)).json()["digest"] == TABLE.digest
        make_client()
        lose(data, TABLE.digest)
        client = make_client()
        assert client.get(f"/v1/tables/{TABLE.digest}.safetensors").content == TABLE.to_bytes()
        assert client.get("/v1/server").json()["counters"]["mismatches"] == 1

    def test_a_true_claim_restores_and_becomes_a_fact(self, make_client: MakeClient, data: Path) -> None:
        """A claim that computes to the digest has proven itself."""
        publish(make_client(), TABLE, constant(0.5))
        make_client()
        lose(data, TABLE.digest)
        client = make_client()
        assert client.get(f"/v1/tables/{TABLE.digest}.safetensors").content == TABLE.to_bytes()
        assert client.get(f"/v1/tables/{TABLE.digest}/manifest").json()["spec_id"] == parse(constant(0.5)).id

    def test_a_false_claim_does_not(self, make_client: MakeClient, data: Path) -> None:
        """A claim that computes to something else gives an error that says so, and is no mismatch of ours."""
        publish(make_client(), TABLE, constant(0.25))
        make_client()
        lose(data, TABLE.digest)
        client = make_client()
        response = client.get(f"/v1/tables/{TABLE.digest}")
        assert (response.status_code, response.json()["code"]) == (500, "table-lost")
        assert "its publisher's claim gives another digest" in response.json()["detail"]
        assert client.get("/v1/server").json()["counters"]["mismatches"] == 0

    @pytest.mark.parametrize("is_fact", [False, True])
    def test_the_limits_hold(self, make_client: MakeClient, data: Path, is_fact: bool) -> None:
        """A small table that is said to be of a huge spec, in whatever way, computes nothing huge."""
        huge = constant(0.5, steps=200_000_000)
        with metadata(data) as rows:
            if is_fact:
                rows.tables.record("s", json.dumps(huge), TABLE.digest, 8)
            else:
                rows.tables.publish(TABLE.digest, 8, json.dumps({"spec": huge, "provenance": {}}))
        client = make_client(**LIMITS)
        response = client.get(f"/v1/tables/{TABLE.digest}")
        assert (response.status_code, response.json()["code"]) == (500, "table-lost")
        assert "max_steps" in response.json()["detail"]
        assert client.get("/v1/server").json()["counters"]["computations"] == 0

    def test_a_claim_that_names_tables_computes_nothing(self, make_client: MakeClient, data: Path) -> None:
        """Whoever sends a table may write into it that it was computed from itself."""
        itself = {"schedule": {"kind": "Literal", "digest": TABLE.digest}, "total_steps": 8}
        publish(make_client(), TABLE, itself)
        make_client()
        lose(data, TABLE.digest)
        client = make_client()
        response = client.get(f"/v1/tables/{TABLE.digest}")
        assert (response.status_code, "refers to other tables" in response.json()["detail"]) == (500, True)
        assert client.get("/v1/server").json()["counters"]["computations"] == 0


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, workers: Workers) -> Iterator[dict[str, TestClient]]:
    """Servers that know nothing of each other: the last one sends every table from its store."""
    sizes = {"posted": 10**6, "published": 10**6, "streamed": 1}
    with ExitStack() as stack:
        clients = {}
        for name, stream_bytes in sizes.items():
            settings = Settings(data_dir=tmp_path_factory.mktemp(name), stream_bytes=stream_bytes)
            clients[name] = stack.enter_context(TestClient(create_app(open_server(settings, workers))))
        yield clients


class TestOneFile:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    @given(drawn=st.data())
    @settings(max_examples=FILES, suppress_health_check=list(HealthCheck))
    def test_a_digest_has_one_file(self, servers: dict[str, TestClient], kind: str, drawn: st.DataObject) -> None:
        """POST here, PUT there, out of memory or from the store: the same bytes, and one tag for the same bytes."""
        schedule = drawn.draw(schedules(kind))
        spec = Spec(schedule=schedule, total_steps=min(12, schedule.end or 12))
        try:
            table = spec.table()
        except TableError:
            reject()
        seen: dict[str, set[tuple[str, bytes]]] = {}
        for name, client in servers.items():
            if name == "published":
                publish(client, table, constant(0.25))
            else:
                made = client.post("/v1/tables", content=spec.model_dump_json(), headers=JSON)
                assert made.json()["digest"] == table.digest, made.text
            for ending in (".safetensors", ".npy", ".json", ".csv"):
                response = client.get(f"/v1/tables/{table.digest}{ending}")
                seen.setdefault(ending, set()).add((response.headers["etag"], response.content))
        assert {len(files) for files in seen.values()} == {1}
        assert {content for _, content in seen[".safetensors"]} == {table.to_bytes()}

    def test_a_file_of_an_earlier_version_is_served_as_the_one(self, make_client: MakeClient, data: Path) -> None:
        """What an earlier version stored, with spec and provenance in it, is sent anew: as if it were of today."""
        old = TABLE.layout.header(TABLE.digest, {"format": "lrtables", "numpy": "1", "spec": json.dumps(constant(0.5))})
        path = data / table_key(TABLE.digest)
        for stream_bytes in (10**6, 1):
            make_client()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(old + bytes(TABLE.parts()[1]))
            client = make_client(stream_bytes=stream_bytes)
            for headers, expected in [({}, TABLE.to_bytes()), ({"range": "bytes=100-"}, TABLE.to_bytes()[100:])]:
                response = client.get(f"/v1/tables/{TABLE.digest}.safetensors", headers=headers)
                assert response.content == expected
            npy = client.get(f"/v1/tables/{TABLE.digest}.npy").content
            assert np.load(io.BytesIO(npy)).tolist() == TABLE.lr.tolist()

    @pytest.mark.parametrize(
        "header",
        [
            b'{"lr":{"dtype":"F64","shape":[8.0],"data_offsets":[0,64]},"__metadata__":{"digest":"%s"}}',
            b'{"lr":{"dtype":"F64","shape":[8],"data_offsets":[0,64]},"__metadata__":{"digest":"%s","a":"\\ud800"}}',
            b'{"lr":{"dtype":"F64","shape":[8],"data_offsets":[0,64]},"__metadata__":{"digest":"\\ud800"}}',
            b"[[1]]",
            b'["a"]',
            b"[1.5]",
        ],
    )
    def test_nobody_spoils_a_table_for_others(self, client: TestClient, header: bytes) -> None:
        """A file with a header of wrong types is refused: who computes the table afterwards gets all of its formats."""
        text = header.replace(b"%s", TABLE.digest.encode())
        body = len(text).to_bytes(8, "little") + text + bytes(TABLE.parts()[1])
        refused = client.put("/v1/tables", content=body, headers=HEADERS)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid-request")
        assert client.post("/v1/tables", json=constant(0.5)).status_code == 201
        for ending in (".safetensors", ".npy", ".json", ".csv"):
            assert client.get(f"/v1/tables/{TABLE.digest}{ending}").status_code == 200
        served = client.get(f"/v1/tables/{TABLE.digest}.safetensors").content
        assert safetensors.numpy.load(served)["lr"].tolist() == [0.5] * 8

    def test_a_table_keeps_no_junk(self, client: TestClient, data: Path) -> None:
        """What a file says beside what is known of tables takes no room: not in the store, not in the response."""
        said = {"digest": TABLE.digest, "junk": "x" * 10**6}
        tensor = {"dtype": "F64", "shape": [8], "data_offsets": [0, 64]}
        text = json.dumps({"__metadata__": said, "lr": tensor}).encode()
        body = len(text).to_bytes(8, "little") + text + bytes(TABLE.parts()[1])
        manifest = client.put("/v1/tables", content=body, headers=HEADERS).json()
        assert (data / table_key(TABLE.digest)).read_bytes() == TABLE.to_bytes()
        assert (manifest["claim"], manifest["sizes"]["safetensors"]) == (None, len(TABLE.to_bytes()))
