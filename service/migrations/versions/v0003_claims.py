"""Tell what a publisher claims about a table from what this service has computed.

Before this revision `tables.origin` was either. If `specs` has that spec for the table, the service has computed it,
and nothing is claimed; otherwise it becomes the claim.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from scheduler.canonical import canonical_hash

revision = "0003"
down_revision = "0002"

_PAGE = 1000
_TABLES = sa.table("tables", *map(sa.column, ("digest", "nbytes", "claim", "created_at", "checksum")))
_SPECS = sa.table("specs", *map(sa.column, ("spec", "digest")))


def upgrade() -> None:
    """Turn `tables.origin` into `tables.claim`, and add a column for the versions that computed a spec's table."""
    op.add_column("specs", sa.Column("provenance", sa.Text))
    op.create_index("specs_digest", "specs", ["digest"])
    op.execute("ALTER TABLE tables RENAME COLUMN origin TO claim")
    connection = op.get_bind()
    for row in _rows(connection):
        if _is_sound(row):  # a damaged row stays damaged
            _rewrite(connection, row)


def _rows(connection: sa.Connection) -> Iterator[sa.RowMapping]:
    query = sa.select(_TABLES).order_by(_TABLES.c.digest).limit(_PAGE)
    page = connection.execute(query).mappings().all()
    while page:
        yield from page
        last = page[-1]["digest"]
        after = sa.cast(last, sa.Text) if isinstance(last, bytes) else last  # damaged text comes out of SQLite as bytes
        page = connection.execute(query.where(_TABLES.c.digest > after)).mappings().all()


def _is_sound(row: sa.RowMapping) -> bool:
    """Whether the row, as revision 0002 had it, matches its checksum."""
    values = {name: row[name] for name in ("digest", "nbytes", "created_at")}
    try:
        return bool(row["checksum"] == _checksum({**values, "origin": row["claim"]}))
    except (TypeError, ValueError):
        return False


def _rewrite(connection: sa.Connection, row: sa.RowMapping) -> None:
    origin = row["claim"]
    computed = connection.scalars(sa.select(_SPECS.c.spec).where(_SPECS.c.digest == row["digest"])).all()
    is_claim = origin is not None and origin not in computed
    claim = json.dumps({"spec": json.loads(origin), "provenance": {}}) if is_claim else None
    values = {"digest": row["digest"], "nbytes": row["nbytes"], "claim": claim, "created_at": row["created_at"]}
    changed = {"claim": claim, "checksum": _checksum(values)}
    connection.execute(_TABLES.update().where(_TABLES.c.digest == row["digest"]).values(**changed))


def _checksum(values: Mapping[str, Any]) -> str:
    """A row's checksum, as revisions 0001 to 0003 have it."""
    present = {name: value for name, value in values.items() if value is not None}
    return canonical_hash({"table": "tables", "row": present})
