"""Rows that are checked: written once, read only if they are what was written, and looked for within the deadline."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    Text,
    cast,
    delete,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.database import sqlite
from service.database.deadline import deadline, extend, remaining
from service.database.engine import make_engine
from service.database.rows import Row, Stored, is_sound, one_line, stored
from service.database.schema import SCHEMA
from service.errors import DatabaseError

Intent = Literal["read", "write", "snapshot"]

_PAGE = 1000  # rows that a walk through a table reads at a time
_INSERT: Mapping[str, Callable[[Table], postgresql.Insert | sqlite_dialect.Insert]] = MappingProxyType(
    {"postgresql": postgresql.insert, "sqlite": sqlite_dialect.insert}
)

_logger = logging.getLogger("lrtables")


class Database:
    """A database whose rows carry checksums; from any thread.

    A row that does not match its checksum is logged, counted in `damaged_rows`, and read as if it were not there; where
    it is looked up by its key, it is removed, for it to be written again. Every method raises `DatabaseError` where the
    database refuses, or does not answer within `timeout_seconds`.
    """

    def __init__(self, url: URL, timeout_seconds: float) -> None:
        self.url = url
        self.timeout_seconds = timeout_seconds
        self.damaged_rows = 0
        self._file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        self._counting = threading.Lock()
        engine = make_engine(url, timeout_seconds)
        self._engines = {intent: engine.execution_options(intent=intent) for intent in get_args(Intent)}

    @property
    def exists(self) -> bool:
        """Whether there is a database to connect to: SQLite would make one."""
        return self._file is None or os.path.lexists(self._file)

    def make_file(self) -> None:
        """SQLite's file, empty where there is none, and its folder: nothing else makes one."""
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.touch()
            except OSError as error:
                raise DatabaseError(f"the database's file cannot be made: {error.strerror}") from error

    def copy_file(self, suffix: str) -> Path | None:
        """A copy of SQLite's file, as was last committed, beside it and its owner's alone; None for PostgreSQL."""
        if self._file is None:
            return None
        copy = self._file.with_name(f"{self._file.name}.{suffix}")
        try:
            copy.touch(0o600)
            with closing(sqlite3.connect(self._file)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseError(f"the database cannot be copied to {copy}: {error}") from error
        return copy

    def close(self) -> None:
        """Close the connections that nobody uses; one that is asked for later is opened again."""
        self._engines["read"].dispose()  # they share one pool

    @contextmanager
    def transaction(self, intent: Intent) -> Iterator[Connection]:
        """A transaction that has `timeout_seconds` from its begin to its end: committed at the end, or rolled back.

        Raises `DatabaseError` where SQLite's file was removed or replaced meanwhile: what was written to it is lost.
        """
        with deadline(self.timeout_seconds), self._errors(), self._engines[intent].connect() as connection:
            with connection.begin():
                yield connection
            if intent == "write" and self._file is not None and not sqlite.kept(connection):
                raise DatabaseError("the database's file was removed or replaced while it was written to")

    def find(self, column: Column[str], value: str) -> Stored | None:
        """The row whose column, a unique one, has this value."""
        table = column.table
        for row in self.fetch(select(table).where(column == value)):
            if is_sound(table, row):
                return row
            self._remove(table, row)
        return None

    def find_all(self, column: Column[str], value: str, *order: Column[Any]) -> list[Stored]:
        """The rows whose column has this value, in this order; a thousand at most."""
        query = select(column.table).where(column == value).order_by(*order).limit(_PAGE)
        return list(self._sound(column.table, self.fetch(query)))

    def walk(self, table: Table) -> Iterator[Stored]:
        """Every row in the order of the keys, a page in a transaction: what changes meanwhile may be missed."""
        return self._sound(table, every_row(table, self.fetch))

    def snapshot(self, connection: Connection, tables: Iterable[Table]) -> Iterator[tuple[Table, Stored]]:
        """Every row of these tables with its table, as `connection` sees them; the time counts for each page anew."""

        def fetch(query: Select[Any]) -> Sequence[Stored]:
            extend(self.timeout_seconds)
            return _fetched(connection, query)

        return ((table, row) for table in tables for row in self._sound(table, every_row(table, fetch)))

    def damage(self) -> Iterator[str]:
        """A line for each row that does not match its checksum, and for what SQLite finds wrong with its file."""
        if self._file is not None:
            lines = self.fetch(text("PRAGMA integrity_check"))
            yield from (f"{line['integrity_check']}" for line in lines if line["integrity_check"] != "ok")
        for table in SCHEMA.sorted_tables:
            for row in every_row(table, self.fetch):
                if not is_sound(table, row):
                    yield f"{table.name} {row[_key(table).name]}: the row does not match its checksum"

    def fetch(self, query: Executable) -> Sequence[Stored]:
        """What a query finds, in a transaction of its own."""
        with self.transaction("read") as connection:
            return _fetched(connection, query)

    def insert_or_get(self, connection: Connection, table: Table, row: Row) -> tuple[Stored, bool]:
        """The row that holds for this one's key: the one that is there, else this one. Whether it is this one.

        The row is locked until the transaction ends.
        """
        ours = stored(table, row)
        insert = _INSERT[connection.dialect.name](table).values(**ours).on_conflict_do_nothing()
        while not connection.execute(insert, execution_options={"preserve_rowcount": True}).rowcount:
            theirs = locked(connection, table, ours[_key(table).name])
            if theirs is not None and is_sound(table, theirs):
                return theirs, False
            if theirs is not None:
                self._note(table, theirs)
                replace_row(connection, table, ours)
                return ours, True
        return ours, True

    def _sound(self, table: Table, rows: Iterable[Stored]) -> Iterator[Stored]:
        for row in rows:
            if is_sound(table, row):
                yield row
            else:
                self._note(table, row)

    def _remove(self, table: Table, row: Stored) -> None:
        """Delete a damaged row, unless another has replaced it by now."""
        with self.transaction("write") as connection:
            key = row[_key(table).name]
            found = locked(connection, table, key)
            if found is not None and not is_sound(table, found):
                self._note(table, found)
                connection.execute(delete(table).where(_key(table) == _literal(key)))

    def _note(self, table: Table, row: Stored) -> None:
        _logger.error("a row of %s does not match its checksum: %s", table.name, one_line(row))
        with self._counting:
            self.damaged_rows += 1

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise DatabaseError(self._message(error)) from error

    def _message(self, error: SQLAlchemyError) -> str:
        """What went wrong, in one line, without the statement and its values."""
        if not remaining():
            return f"the database gave no answer within {self.timeout_seconds:g} seconds"
        reason = error.orig if isinstance(error, DBAPIError) else error
        line = next(iter(str(reason).splitlines()), type(reason).__name__)
        return f"the database refused: {line}"


def every_row(table: Table, fetch: Callable[[Select[Any]], Sequence[Stored]]) -> Iterator[Stored]:
    """Every row in the order of the keys, damaged ones too, read a page at a time."""
    key = _key(table)
    query = select(table).order_by(key).limit(_PAGE)
    page = fetch(query)
    while page:
        yield from page
        page = fetch(query.where(key > _literal(page[-1][key.name])))


def locked(connection: Connection, table: Table, key: object) -> Stored | None:
    """The row with this key, kept as it is until the transaction ends."""
    query = select(table).where(_key(table) == _literal(key)).with_for_update()
    return next(iter(_fetched(connection, query)), None)


def lock_digest(connection: Connection, digest: str) -> None:
    """Let no other transaction decide about this table until this one ends.

    A lock on a row would not do: the row whose absence counts may be inserted by a transaction that is under way.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one transaction that writes at a time
        key = int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8], "big", signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def replace_row(connection: Connection, table: Table, row: Stored) -> None:
    """Put the row in the place of the one with its key."""
    connection.execute(update(table).where(_key(table) == row[_key(table).name]).values(**row))


def _fetched(connection: Connection, query: Executable) -> Sequence[Stored]:
    return [row._asdict() for row in connection.execute(query)]


def _key(table: Table) -> Column[Any]:
    (column,) = table.primary_key
    return column


def _literal(key: object) -> ColumnElement[Any]:
    """A key as it is compared: one that is no text any more has come out of SQLite as bytes."""
    return cast(key, Text) if isinstance(key, bytes) else literal(key)
