"""Statements that SQLite and PostgreSQL write differently."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite

_INSERT: Mapping[str, Callable[[Table], postgresql.Insert | sqlite.Insert]] = MappingProxyType(
    {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
)


def insert_unless_present(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    """Insert a row and return True, or return False if a row with its primary key is present."""
    statement = _INSERT[connection.dialect.name](table).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=list(table.primary_key))
    return bool(connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount)


def notify(connection: Connection, channel: str, payload: str) -> None:
    """Send a notification to all who listen on PostgreSQL's channel, when the transaction commits.

    On SQLite nothing is sent: it has no notifications.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})


def lock_name(connection: Connection, name: str, *, shared: bool = False) -> None:
    """Let no other transaction lock this name until this one ends; with `shared`, none but those that share it.

    It orders transactions that decide about a row which may not exist yet: such a row cannot be locked itself.
    """
    digest = hashlib.sha256(name.encode()).digest()
    lock_number(connection, int.from_bytes(digest[:8], "big", signed=True), shared=shared)


def lock_number(connection: Connection, number: int, *, shared: bool = False) -> None:
    """Let no other transaction lock this number, of 64 bits with a sign, until this one ends, as `lock_name` does."""
    if connection.dialect.name == "postgresql":  # SQLite runs one writing transaction at a time
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        connection.execute(text(f"SELECT {function}(:number)"), {"number": number})
