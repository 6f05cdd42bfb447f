"""Manifests: about a kilobyte of JSON per table, enough to recompute it, verify it, and decide what to fetch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from scheduler import Spec
from scheduler.table_format import After, Axis
from service.representations.formats import FORMATS, NPY, SAFETENSORS
from service.representations.paths import TABLES
from service.tables import readable
from service.tables.formats import npy_header
from service.tables.origins import Claim, Origin


class Column(BaseModel):
    """Summary of a column: its smallest, largest, first and last value."""

    min: float
    max: float
    first: float
    last: float

    @classmethod
    def of(cls, values: readable.Column) -> Column:
        """Return the summary of a column's values, shape [total_steps]."""
        return cls(min=values.min(), max=values.max(), first=values[0], last=values[-1])


class Manifest(BaseModel):
    """The description of a table."""

    digest: str = Field(description="SHA-256 of layout and values, which identifies the table")
    spec: dict[str, Any] | None = Field(
        description="the spec from which this service computed the table, with all defaults; null if it never did"
    )
    spec_id: str | None = Field(description="SHA-256 of the canonical spec and its kinds' revisions")
    provenance: dict[str, str] | None = Field(
        description="the versions that computed the table here: lrtables, numpy, libm and cpu; null if not recorded"
    )
    claim: Claim | None = Field(
        description="the origin that the publisher claims, not verified; null if there is none, or if `spec` is given"
    )
    total_steps: int
    axis: Axis
    stride: int
    after: After
    columns: dict[str, Column]
    nbytes: int = Field(description="bytes of the values")
    sizes: dict[str, int | None] = Field(description="bytes in each format; null if it is serialized for each response")
    links: dict[str, str]

    @classmethod
    def of(cls, table: readable.ReadableTable, origin: Origin) -> Manifest:
        """Return the manifest of a table with this origin."""
        sizes = {SAFETENSORS: len(table.header) + table.nbytes, NPY: len(npy_header(table.layout)) + table.nbytes}
        return cls(
            digest=table.digest,
            **_origin_fields(origin),
            total_steps=table.total_steps,
            axis=table.axis,
            stride=table.stride,
            after=table.after,
            columns={name: Column.of(values) for name, values in table.columns.items()},
            nbytes=table.nbytes,
            sizes={item.extension: sizes.get(item) for item in FORMATS},
            links=links(table.digest),
        )

    def of_origin(self, origin: Origin) -> Manifest:
        """Return the same manifest with another origin."""
        return self.model_copy(update=_origin_fields(origin))

    def for_spec(self, spec: Spec) -> Manifest:
        """Return the manifest of the same table for another spec."""
        return self.model_copy(update={"spec": spec.model_dump(mode="json"), "spec_id": spec.id})

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON."""
        return self.model_dump_json().encode()


def _origin_fields(origin: Origin) -> dict[str, Any]:
    spec_id = None if origin.fact is None else origin.fact.spec_id
    return {"spec": origin.spec, "spec_id": spec_id, "provenance": origin.provenance, "claim": origin.claim}


def location(digest: str) -> str:
    """Return the path of a table."""
    return f"{TABLES}/{digest}"


def links(digest: str) -> dict[str, str]:
    """Return the paths of a table, its formats, its manifest and its values."""
    base = location(digest)
    formats = {item.extension: f"{base}.{item.extension}" for item in FORMATS}
    return {"self": base, **formats, "manifest": f"{base}/manifest", "values": f"{base}/values"}
