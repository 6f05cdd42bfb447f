"""Manifests: about a kilobyte of JSON per table, enough to recompute it, verify it, and decide what to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from scheduler import Spec
from scheduler.table_format import After, Axis
from service.representations.formats import FORMATS, NPY, SAFETENSORS
from service.representations.paths import TABLES
from service.tables import readable
from service.tables.formats import npy_header
from service.tables.listing import ListedTable, TableCursor, TableFilter
from service.tables.origins import Claim, Origin

_CURSOR = "^[0-9]{1,12}([.][0-9]{1,12})?/[0-9a-f]{64}$"


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


class TableSummary(BaseModel):
    """A stored table in a list."""

    digest: str
    nbytes: int = Field(description="bytes of the values")
    created_at: datetime = Field(description="when it was stored")
    kind: str | None = Field(description="kind of the first group's schedule; null if it was not computed here")


class TableList(BaseModel):
    """A page of the list of tables."""

    tables: list[TableSummary]
    next: str | None = Field(description="`after` of the next page; null on the last. A page may have few tables")

    @classmethod
    def of(cls, tables: Sequence[ListedTable], after: TableCursor | None) -> TableList:
        """Return the document of a page."""
        listed = [
            TableSummary(
                digest=table.row.digest,
                nbytes=table.row.nbytes,
                created_at=datetime.fromtimestamp(table.row.created_at, UTC),
                kind=table.kind,
            )
            for table in tables
        ]
        return cls(tables=listed, next=None if after is None else f"{after.created_at!r}/{after.digest}")


class TablesQuery(BaseModel):
    """The tables to list."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field("", pattern="^[0-9a-f]{0,64}$", description="the digest, or how it begins")
    kind: str | None = Field(None, max_length=100, description="kind of the first group's schedule")
    newest: bool = Field(False, description="the table that was stored last first; else ordered by digest")
    limit: int = Field(100, ge=1, le=500, description="most tables of this page")
    after: str | None = Field(None, pattern=_CURSOR, description="`next` of the page before")

    def wanted(self) -> TableFilter:
        """Return the filter."""
        return TableFilter(self.digest, self.kind, self.newest)

    def cursor(self) -> TableCursor | None:
        """Return the last table that the page before has looked at."""
        if self.after is None:
            return None
        created_at, digest = self.after.split("/")
        return TableCursor(digest, float(created_at))


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
