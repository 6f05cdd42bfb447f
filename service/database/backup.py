"""Backups: every row as a line of JSON. SQLite and PostgreSQL write the same bytes, and each restores the other's.

The first line holds the format and the revision, the last the number of rows: a file that was cut short lacks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, exists, select

from scheduler.texts import json_object
from service.database.drivers.deadline import extend
from service.database.revisions import head_revision
from service.database.rows import Stored, is_intact
from service.database.schema import SCHEMA
from service.errors import DatabaseError

FORMAT = "lrtables-metadata"

_BATCH = 500  # rows that are inserted at a time


def backup_lines(rows: Iterable[tuple[Table, Stored]]) -> Iterator[str]:
    """Yield the lines of a backup of these rows."""
    yield _line({"format": FORMAT, "revision": head_revision()})
    count = 0
    for table, row in rows:
        count += 1
        yield _line({"table": table.name, "row": row})
    yield _line({"rows": count})


def rows_in(path: Path) -> Iterator[tuple[Table, Stored]]:
    """Yield the rows of a backup, each verified.

    Raises `DatabaseError` if the backup is damaged, cut short, or of another revision.
    """
    with path.open("rb") as lines:
        yield from _parsed(lines)


def check_empty(connection: Connection) -> None:
    """Raise `DatabaseError` if the database has rows."""
    for table in SCHEMA.sorted_tables:
        if connection.scalar(select(exists(table.select()))):
            raise DatabaseError(f"a backup is restored into an empty database, and this one has rows in {table.name}")


def restore_lines(connection: Connection, lines: Iterable[bytes], timeout_seconds: float) -> None:
    """Insert the rows of a backup into an empty database, with `timeout_seconds` for each few hundred.

    Raises `DatabaseError` if the database has rows, or the backup is damaged, cut short, or of another revision.
    """
    check_empty(connection)
    rows = _parsed(lines)
    while batch := list(islice(rows, _BATCH)):
        for table in {table for table, _ in batch}:
            connection.execute(table.insert(), [row for owner, row in batch if owner is table])
        extend(timeout_seconds)


def _parsed(lines: Iterable[bytes]) -> Iterator[tuple[Table, dict[str, Any]]]:
    items = map(_item, lines)
    head = next(items, {})
    if head.get("format") != FORMAT:
        raise DatabaseError("this file is not a backup of the metadata")
    if head.get("revision") != head_revision():
        raise DatabaseError(
            f"the backup has revision {head.get('revision')}, and this version needs {head_revision()}: restore it "
            "with the version of lrtables that made it; if that is older, then run 'lrtables db upgrade'"
        )
    count = 0
    for item in items:
        if item == {"rows": count}:
            return
        count += 1
        yield _row(item, count)
    raise DatabaseError(f"the backup is cut short: it ends after {count} rows")


def _item(line: bytes) -> dict[str, Any]:
    item = json_object(line)
    if item is None:
        raise DatabaseError(f"the backup is damaged: {line[:100].decode(errors='replace')!r} is not a JSON object")
    return item


def _row(item: dict[str, Any], count: int) -> tuple[Table, dict[str, Any]]:
    table, row = SCHEMA.tables.get(str(item.get("table"))), item.get("row")
    if table is None or not isinstance(row, dict) or set(row) != set(table.columns.keys()) or not is_intact(table, row):
        raise DatabaseError(f"the backup is damaged: row {count} does not match its checksum")
    return table, row


def _line(item: dict[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=False) + "\n"
