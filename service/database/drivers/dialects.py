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


def lock_name(connection: Connection, name: str) -> None:
    """Let no other transaction lock this name until this one ends.

    It orders transactions that decide about a row which may not exist yet: such a row cannot be locked itself.
    """
    digest = hashlib.sha256(name.encode()).digest()
    lock_number(connection, int.from_bytes(digest[:8], "big", signed=True))


def lock_number(connection: Connection, number: int) -> None:
    """Let no other transaction lock this number, of 64 bits with a sign, until this one ends."""
    if connection.dialect.name == "postgresql":  # SQLite runs one writing transaction at a time
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
