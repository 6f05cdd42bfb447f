"""What is known of the tables: which exist, which spec has which, and whose file is about to be deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select

from service.database.checked_table import CheckedTable, DamagedRow, Decision
from service.database.database import Database
from service.database.drivers.deadline import extend
from service.database.drivers.dialects import lock_name
from service.database.rows import Row
from service.database.schema import PENDING_DELETIONS, RUN_VERSIONS, SPECS, TABLES

_CHUNK = 50  # tables whose specs are read at a time


class PendingDeletionError(Exception):
    """A table's file may have been deleted since it was seen: write it again, then record the table again."""


@dataclass(frozen=True)
class TableRow(Row):
    """A table: its digest, the size of its values, what its publisher said of it, and since when it is stored.

    `claim` is the JSON of a `service.tables.origins.Claim`, or None. `created_at` is in seconds since 1970.
    """

    digest: str
    nbytes: int
    claim: str | None
    created_at: float


@dataclass(frozen=True)
class SpecRow(Row):
    """The table of a spec, as this service has computed it. `created_at` is in seconds since 1970.

    `spec` is the spec's JSON. `provenance` is the JSON of the versions that computed the table, or None if unknown.
    """

    spec_id: str
    spec: str
    digest: str
    created_at: float
    provenance: str | None = None


@dataclass(frozen=True)
class PendingDeletionRow(Row):
    """A table whose file `gc` is about to delete or has deleted, and since when, in seconds since 1970.

    The field has the name of its column, which every existing database and backup has.
    """

    digest: str
    condemned_at: float


class TableRecords:
    """Tables, the specs that they were computed from, and pending deletions of files; from any thread.

    The first table that is recorded for a spec is authoritative. A damaged row is dropped: its table is computed again
    when it is asked for, and recorded anew. Every method blocks, and raises `DatabaseError` if the database refuses or
    does not answer in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables = CheckedTable(database, TABLES, TableRow, _drop)
        self._specs = CheckedTable(database, SPECS, SpecRow, _drop)
        self._pending = CheckedTable(database, PENDING_DELETIONS, PendingDeletionRow, _drop)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the database that this aggregate owns."""
        return self._tables, self._specs, self._pending

    def problems(self) -> Iterator[str]:
        """Yield a line for each spec whose table has no row."""
        orphans = select(SPECS.c.spec_id, SPECS.c.digest).where(~exists().where(TABLES.c.digest == SPECS.c.digest))
        for row in self._database.fetch(orphans):
            yield f"specs {row['spec_id']}: there is no row for its table {row['digest']}"

    # -- reading ------------------------------------------------------------------------------------------------------

    def digest_of(self, spec_id: str) -> str | None:
        """Return the digest of the spec's table; None if none was recorded."""
        row = self._specs.find(spec_id)
        return None if row is None else row.digest

    def specs_of(self, digest: str) -> list[SpecRow]:
        """Return the specs from which this service has computed the table, the earliest first; a thousand at most."""
        return self._specs.find_all(SPECS.c.digest == digest, order_by=[SPECS.c.created_at, SPECS.c.spec_id])

    def claim(self, digest: str) -> str | None:
        """Return what the table's publisher said of it, as JSON; None if it said nothing, or there is no such table."""
        row = self._tables.find(digest)
        return None if row is None else row.claim

    def has_table(self, digest: str) -> bool:
        """Return whether the table was recorded."""
        return self._tables.find(digest) is not None

    def every_table(self) -> Iterator[TableRow]:
        """Yield every table in the order of the digests."""
        return self._tables.every_row()

    def every_spec(self) -> Iterator[SpecRow]:
        """Yield every spec in the order of the ids."""
        return self._specs.every_row()

    def page(
        self, prefix: str = "", *, newest: bool = False, after: tuple[str, float] | None = None, limit: int = 100
    ) -> list[TableRow]:
        """Return tables whose digest begins with this prefix, by digest, or the newest first; a thousand at most.

        `after` is the digest and the time of the last table of the page before.
        """
        table = TABLES.c
        conditions = [and_(table.digest >= prefix, table.digest < f"{prefix}g")] if prefix else []
        if after is not None:
            later, is_earlier = table.digest > after[0], table.created_at < after[1]
            conditions.append(or_(is_earlier, and_(table.created_at == after[1], later)) if newest else later)
        order = [table.created_at.desc(), table.digest] if newest else [table.digest]
        return self._tables.find_all(*conditions, order_by=order, limit=limit)

    def first_specs(self, digests: Sequence[str]) -> Iterator[SpecRow]:
        """Yield the first spec from which this service has computed each of these tables, if there is one."""
        order = [SPECS.c.digest, SPECS.c.created_at, SPECS.c.spec_id]
        for start in range(0, len(digests), _CHUNK):
            found = self._specs.find_all(SPECS.c.digest.in_(digests[start : start + _CHUNK]), order_by=order)
            for _, rows in groupby(found, key=lambda row: row.digest):
                yield next(rows)

    # -- writing ------------------------------------------------------------------------------------------------------

    def record(self, spec_id: str, spec: str, digest: str, nbytes: int, provenance: str | None = None) -> str:
        """Record the table that this service has computed for a spec; return the digest that was recorded first.

        `spec` and `provenance` are JSON. The digest may be another one than that of the argument: then that table is
        authoritative. Raises `PendingDeletionError`.
        """
        now = time.time()
        with self._recording(digest) as connection:
            self._tables.insert_or_get(connection, TableRow(digest, nbytes, None, now))
            row, _ = self._specs.insert_or_get(connection, SpecRow(spec_id, spec, digest, now, provenance))
            return row.digest

    def publish(self, digest: str, nbytes: int, claim: str | None) -> bool:
        """Record a table that no spec has, and return whether it is new. The first claim about a table is kept.

        Raises `PendingDeletionError`.
        """
        with self._recording(digest) as connection:
            row, is_new = self._tables.insert_or_get(connection, TableRow(digest, nbytes, claim, time.time()))
            if not is_new and claim is not None and row.claim is None:
                self._tables.replace(connection, replace(row, claim=claim))
            return is_new

    def delete(self, digest: str) -> None:
        """Delete a table's row and the specs that have it. Nothing happens if there are none."""
        with self._database.transaction("write") as connection:
            self._tables.delete(connection, TABLES.c.digest == digest)
            self._specs.delete(connection, SPECS.c.digest == digest)

    @contextmanager
    def _recording(self, digest: str) -> Iterator[Connection]:
        """Begin a transaction that may insert the table's row.

        Raises `PendingDeletionError` if the table is marked for deletion, and removes the mark: the caller has seen the
        file, which may be gone, and writes it again before it comes back.
        """
        with self._database.transaction("write") as connection:
            lock_name(connection, digest)
            was_marked = self._pending.delete(connection, PENDING_DELETIONS.c.digest == digest)
            if not was_marked:
                yield connection
                return
        raise PendingDeletionError(f"the file of the table {digest} may have been deleted")

    # -- deletion of files that no row names --------------------------------------------------------------------------

    def mark_for_deletion(self, digest: str) -> bool:
        """Announce that a table's file is about to be deleted; return False, and do nothing, if the table has a row."""
        with self._database.transaction("write") as connection:
            if self._is_recorded(connection, digest):
                return False
            self._pending.insert_or_get(connection, PendingDeletionRow(digest, time.time()))
            return True

    def delete_marked(self, digest: str, delete: Callable[[], None]) -> bool:
        """Call `delete` while no transaction can record the table; return whether it was called.

        It is not called if the table has a row, or is not marked any more. The mark stays: a server that saw the file
        before has yet to be told that it is gone.
        """
        with self._database.transaction("write") as connection:
            if self._is_recorded(connection, digest) or not self._pending.is_present(connection, digest):
                return False
            delete()
            extend(self._database.timeout_seconds)
            return True

    def clear_marks(self, before: float) -> None:
        """Remove the marks set before this time: no request that saw such a file is still running."""
        with self._database.transaction("write") as connection:
            self._pending.delete(connection, PENDING_DELETIONS.c.condemned_at < before)

    def _is_recorded(self, connection: Connection, digest: str) -> bool:
        """Return whether the table has a row, intact or not, or a version of a run names it.

        Neither begins before the transaction ends.
        """
        lock_name(connection, digest)
        in_run = exists().where(RUN_VERSIONS.c.digest == digest)
        return self._tables.is_present(connection, digest) or bool(connection.scalar(select(in_run)))


def _drop(damaged: DamagedRow) -> Decision:
    """Drop any damaged row: a table can be computed again, and is then recorded anew."""
    return "drop"
