"""The origin of a table: a fact if this service computed the table, a claim if a client published it.

A lost table is computed again from a fact. A claim is used too, if it results in the table's digest: then the claim
becomes a fact.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from scheduler import Spec, Table
from service.database.tables import SpecRow, TableRecords
from service.errors import ServiceError
from service.settings import Settings
from service.tables.specs import read_spec


class Claim(BaseModel):
    """The origin that a table's publisher claims. It is not verified."""

    spec: dict[str, Any] | None = Field(description="the spec that the values are claimed to be computed from")
    provenance: dict[str, str] = Field(description="the versions that are claimed to have computed them")


@dataclass(frozen=True)
class Origin:
    """The origin of a table: the first spec from which it was computed here, or else its publisher's claim."""

    fact: SpecRow | None = None
    claim: Claim | None = None

    @property
    def spec(self) -> dict[str, Any] | None:
        """The JSON of the fact's spec."""
        return None if self.fact is None else json.loads(self.fact.spec)

    @property
    def provenance(self) -> dict[str, str] | None:
        """The versions of the software that computed the table here; None if they are not recorded."""
        text = None if self.fact is None else self.fact.provenance
        return None if text is None else json.loads(text)


def origin_of(records: TableRecords, digest: str) -> Origin:
    """Return the origin of a table from the database. Blocks."""
    facts = records.specs_of(digest)
    if facts:
        return Origin(fact=facts[0])
    text = records.claim(digest)
    return Origin(claim=None if text is None else Claim.model_validate_json(text))


def claim_of(table: Table, settings: Settings) -> str | None:
    """Return the claim in a table's file as JSON; None if there is none. Slow for a large spec.

    A spec is left out if this server would not compute it, or if its table would have another layout.
    """
    spec = _claimed(table, settings)
    if spec is None and not table.provenance:
        return None
    data = None if spec is None else spec.model_dump(mode="json")
    return Claim(spec=data, provenance=dict(table.provenance)).model_dump_json()


def _claimed(table: Table, settings: Settings) -> Spec | None:
    text = table.spec_text
    if text is None or len(text) > settings.max_body_bytes:
        return None
    try:
        spec = read_spec(text.encode(), settings)
    except ServiceError:
        return None
    return spec if spec.layout == table.layout else None


def kind_of(spec: str) -> str:
    """Return the kind of the first group's schedule in a valid spec's JSON."""
    schedule = json.loads(spec)["schedule"]
    return str((schedule[0] if isinstance(schedule, list) else schedule)["kind"])


def spec_of_claim(claim: str | None) -> str | None:
    """Return the spec in a claim as JSON; None if it has none."""
    spec = None if claim is None else Claim.model_validate_json(claim).spec
    return None if spec is None else json.dumps(spec)
