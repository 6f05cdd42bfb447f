"""The list of stored tables, in pages."""

from __future__ import annotations

from dataclasses import dataclass

from service.database.tables import TableRecords, TableRow
from service.tables.origins import kind_of

_MOST_LOOKED_AT = 1000  # tables for a page: few of them may be of the kind that is asked for


@dataclass(frozen=True)
class TableFilter:
    """The tables to list.

    Args:
        prefix: beginning of the digest.
        kind: of the first group's schedule, in the first spec from which the table was computed; None for any.
        newest: whether the table that was stored last comes first; else they are ordered by digest.
    """

    prefix: str = ""
    kind: str | None = None
    newest: bool = False


@dataclass(frozen=True)
class TableCursor:
    """The last table that a page has looked at, and when it was stored, in seconds since 1970."""

    digest: str
    created_at: float


@dataclass(frozen=True)
class ListedTable:
    """A table and its kind; None if it was published without being computed here."""

    row: TableRow
    kind: str | None


def list_tables(
    records: TableRecords, wanted: TableFilter, after: TableCursor | None, limit: int
) -> tuple[list[ListedTable], TableCursor | None]:
    """Return a page of tables, `limit` at most, and where the next one begins; None after the last page. Blocks.

    With a kind, a page may have fewer tables, or none, although others follow.
    """
    looked_at = limit if wanted.kind is None else _MOST_LOOKED_AT - 1
    begin = None if after is None else (after.digest, after.created_at)
    rows = records.page(wanted.prefix, newest=wanted.newest, after=begin, limit=looked_at + 1)
    seen = rows[:looked_at]
    kinds = {spec.digest: kind_of(spec.spec) for spec in records.first_specs([row.digest for row in seen])}
    listed = [ListedTable(row, kinds.get(row.digest)) for row in seen]
    found = [table for table in listed if wanted.kind in (None, table.kind)]
    if len(found) > limit:
        return found[:limit], _cursor(found[limit - 1].row)
    return found, _cursor(seen[-1]) if len(rows) > len(seen) else None


def _cursor(row: TableRow) -> TableCursor:
    return TableCursor(row.digest, row.created_at)
