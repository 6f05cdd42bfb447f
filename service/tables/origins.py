"""The origin of a table. What this service has computed is a fact; what a publisher says is a claim.

A lost table is computed again from a fact. From a claim it is, too, where that gives the table's digest, which makes
the claim a fact.
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
    """What a table's publisher says of it. Nobody has checked it."""

    spec: dict[str, Any] | None = Field(description="what the values are said to be computed from")
    provenance: dict[str, str] = Field(description="the versions that are said to have computed them")


@dataclass(frozen=True)
class Origin:
    """The origin of a table: the first spec from which it was computed here, else what its publisher said."""

    fact: SpecRow | None = None
    claim: Claim | None = None

    @property
    def spec(self) -> dict[str, Any] | None:
        """The JSON of the fact's spec."""
        return None if self.fact is None else json.loads(self.fact.spec)

    @property
    def provenance(self) -> dict[str, str] | None:
        """The versions of the software that computed the table here; None where they are not known."""
        text = None if self.fact is None else self.fact.provenance
        return None if text is None else json.loads(text)


def origin_of(records: TableRecords, digest: str) -> Origin:
    """The origin of a table, as the database has it. Blocks."""
    facts = records.specs_of(digest)
    if facts:
        return Origin(fact=facts[0])
    text = records.claim(digest)
    return Origin(claim=None if text is None else Claim.model_validate_json(text))


def claim_of(table: Table, settings: Settings) -> str | None:
    """The JSON of what a table's file says of it; None where it says nothing.

    A spec is left out that this server would not compute, or that is of a table with another frame. It takes time.
    """
    spec = _claimed(table, settings)
    if spec is None and not table.provenance:
        return None
    said = None if spec is None else spec.model_dump(mode="json")
    return Claim(spec=said, provenance=dict(table.provenance)).model_dump_json()


def _claimed(table: Table, settings: Settings) -> Spec | None:
    text = table.spec_text
    if text is None or len(text) > settings.max_body_bytes:
        return None
    try:
        spec = read_spec(text.encode(), settings)
    except ServiceError:
        return None
    return spec if spec.layout == table.layout else None


def spec_of_claim(claim: str | None) -> str | None:
    """The JSON of the spec in a claim; None where it has none."""
    spec = None if claim is None else Claim.model_validate_json(claim).spec
    return None if spec is None else json.dumps(spec)
