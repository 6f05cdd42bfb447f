"""The responses that are kept with a table."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import Spec, Table
from scheduler.custom import LinearWarmup
from service.concurrency.executors import Executors
from service.database.tables import SpecRow
from service.http.responses import BufferResponse, StreamResponse
from service.representations.formats import CSV, FORMATS, JSON, NPY, SAFETENSORS
from service.representations.table_responses import TableResponder, TableResponses
from service.storage.local import LocalStore
from service.tables.origins import Claim, Origin
from service.tables.repository import table_key
from service.tables.stored import TableReader

SPEC = Spec(schedule=LinearWarmup(base_lr=0.1, warmup_steps=5), total_steps=10)
TABLE = Table.compute(SPEC)
FACT = Origin(fact=SpecRow(SPEC.id, SPEC.model_dump_json(), TABLE.digest, 1.5))


@pytest.fixture
def responder() -> Iterator[TableResponder]:
    executors = Executors()
    yield TableResponder(executors)
    executors.close()


@pytest.fixture
def responses(responder: TableResponder) -> TableResponses:
    return responder.in_memory(TABLE)


def test_a_table_has_one_identity_wherever_it_is(responder: TableResponder, tmp_path: Path) -> None:
    """From memory and from the store, a format has the same tag and length, and the text formats have no response."""
    store = LocalStore(tmp_path)
    store.put(table_key(TABLE.digest), TABLE.parts())
    memory = responder.in_memory(TABLE)
    stored = responder.stored(TableReader(store, table_key(TABLE.digest), len(TABLE.to_bytes())))
    for varies in (False, True):
        for item in (SAFETENSORS, NPY):
            buffered, streamed = memory.in_format(item, varies=varies), stored.in_format(item, varies=varies)
            assert isinstance(buffered, BufferResponse)
            assert isinstance(streamed, StreamResponse)
            assert (buffered.etag, buffered.length) == (streamed.etag, streamed.length)
        assert memory.in_format(CSV, varies=varies) is memory.in_format(JSON, varies=varies) is None
    store.close()


def test_a_response_is_found_by_its_path(responses: TableResponses) -> None:
    """What follows the digest in a path finds the response that is the same for every client."""
    assert set(responses.paths) == {".safetensors", ".npy"}
    assert responses.paths[".npy"] is responses.in_format(NPY, varies=False)
    assert {item.extension for item in FORMATS} > {path[1:] for path in responses.paths}


def test_a_manifest_lasts_where_its_origin_is_a_fact(responses: TableResponses) -> None:
    """The manifest is prepared anew as long as it is a publisher's claim, and once when it was computed here."""
    responses.describe(Origin(claim=Claim(spec=None, provenance={"lrtables": "1"})))
    assert json.loads(responses.manifest)["claim"] == {"spec": None, "provenance": {"lrtables": "1"}}
    assert responses.manifest_response() is not responses.manifest_response()
    responses.describe(FACT)
    assert json.loads(responses.manifest)["spec_id"] == SPEC.id
    assert responses.manifest_response() is responses.manifest_response() is responses.paths["/manifest"]


def test_another_spec_of_the_table_has_a_manifest_of_its_own(responses: TableResponses) -> None:
    """Who asks by another spec that has the same table is told that spec; the first spec's manifest is kept."""
    responses.describe(FACT)
    assert responses.manifest_for(SPEC) is responses.manifest
    other = Spec(schedule=LinearWarmup(base_lr=0.2, warmup_steps=5), total_steps=10)
    assert json.loads(responses.manifest_for(other))["spec_id"] == other.id


def test_the_manifest_counts_as_memory(responses: TableResponses) -> None:
    """The memory that the responses take grows with the manifest, and is not counted twice."""
    before = responses.nbytes
    responses.describe(FACT)
    after = responses.nbytes
    responses.describe(FACT)
    assert before < after == responses.nbytes
