"""The description of a table in JSON."""

import json

from scheduler import Spec, Table
from scheduler.custom import LinearWarmup
from service.database.tables import SpecRow
from service.representations.formats import FORMATS
from service.representations.manifest import Manifest, links, location
from service.tables.formats import npy_parts
from service.tables.origins import Claim, Origin

SPEC = Spec(schedule=LinearWarmup(base_lr=0.1, warmup_steps=5), total_steps=10)
TABLE = Table.compute(SPEC)
FACT = Origin(fact=SpecRow(SPEC.id, SPEC.model_dump_json(), TABLE.digest, 1.5))


def test_a_manifest_describes_its_table() -> None:
    """It has the frame, each column in four numbers, and the size of the formats that are not made anew."""
    manifest = Manifest.of(TABLE, Origin())
    assert (manifest.digest, manifest.total_steps, manifest.axis) == (TABLE.digest, 10, "step")
    assert manifest.columns["lr"].model_dump() == {"min": TABLE.lr[0], "max": 0.1, "first": TABLE.lr[0], "last": 0.1}
    assert manifest.sizes == {
        "safetensors": len(TABLE.to_bytes()),
        "npy": len(b"".join(npy_parts(TABLE))),
        "json": None,
        "csv": None,
    }


def test_an_origin_is_told_as_what_it_is() -> None:
    """A table of unknown origin has none, a publisher's claim is no spec, and a fact is."""
    unknown = Manifest.of(TABLE, Origin())
    assert (unknown.spec, unknown.spec_id, unknown.claim) == (None, None, None)
    claim = Claim(spec={"a": 1}, provenance={})
    claimed = unknown.of_origin(Origin(claim=claim))
    assert (claimed.spec, claimed.spec_id, claimed.claim) == (None, None, claim)
    known = claimed.of_origin(FACT)
    assert (known.spec, known.spec_id, known.claim) == (SPEC.model_dump(mode="json"), SPEC.id, None)
    assert known == Manifest.of(TABLE, FACT)


def test_links_lead_to_every_format() -> None:
    """A manifest links the table, its formats and its parts by their paths."""
    found = json.loads(Manifest.of(TABLE, FACT).to_bytes())["links"]
    assert found == links(TABLE.digest)
    assert found["self"] == location(TABLE.digest) == f"/v1/tables/{TABLE.digest}"
    assert {item.extension for item in FORMATS} == set(found) - {"self", "manifest", "values"}
