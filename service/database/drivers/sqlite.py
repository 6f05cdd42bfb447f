"""Connections to SQLite: commits are durable, and a connection is closed if its file was removed or replaced."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from service.storage.files import FileIdentities, check_file

_FILES, _NAME = "files", "name"  # keys of a connection's `info`: its open files, and the database file's name


def make_engine(url: URL, timeout_seconds: float) -> Engine:
    """Return an engine for SQLite's file at this address, which must exist; nothing is connected yet."""
    arguments = {"timeout": timeout_seconds, "isolation_level": None}
    engine = create_engine(url, hide_parameters=True, pool_timeout=timeout_seconds, connect_args=arguments)
    connecting = _Connecting()
    event.listen(engine, "do_connect", connecting.open)
    event.listen(engine, "connect", connecting.prepare)
    event.listen(engine, "checkout", _check)
    event.listen(engine, "begin", _begin)
    return engine


def is_file_unchanged(connection: Connection) -> bool:
    """Return whether the connection still has the files open that a new connection would open."""
    files: FileIdentities = connection.info[_FILES]
    return files.are_unchanged


class _Connecting:
    """Opens SQLite's file, and remembers which file and which write-ahead log were open last."""

    def __init__(self) -> None:
        self._last: FileIdentities | None = None

    def open(self, dialect: object, record: ConnectionPoolEntry, names: Sequence[str], options: dict[str, Any]) -> Any:
        """Connect to an existing file: SQLite by itself would create an empty one if it was removed."""
        (name,) = names
        files = FileIdentities(name)  # before it is opened, so that a replacement in the meantime is noticed
        try:
            check_file(name)
        except OSError as error:
            raise sqlite3.OperationalError(f"{error.strerror}: {name}") from error
        self._check_log(name)
        record.info.update({_FILES: files, _NAME: name})
        return sqlite3.connect(f"file:{quote(os.fsencode(name))}?mode=rw", uri=True, **options)

    def _check_log(self, name: str) -> None:
        """Refuse a file beside the write-ahead log of another file, which SQLite would replay into this one."""
        log = _log(name)
        if (
            self._last is not None
            and not self._last.is_unchanged(name)
            and self._last.is_unchanged(log)
            and os.path.exists(log)
        ):
            raise sqlite3.OperationalError(f"{name} was replaced, and {log} is of the file before: put that back")

    def prepare(self, connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        """Set up a connection: durable commits, and readers that never wait for a writer."""
        connection.text_factory = _text
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
        files: FileIdentities = record.info[_FILES]
        name = record.info[_NAME]
        files.add(_log(name))
        files.add(f"{name}-shm")  # where the locks are
        self._last = files


def _log(name: str) -> str:
    return f"{name}-wal"


def _text(data: bytes) -> str | bytes:
    """Return text from SQLite, or bytes if they are not UTF-8 because of damage."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _check(connection: sqlite3.Connection, record: ConnectionPoolEntry, proxy: object) -> None:
    """Close every connection to files that were removed or replaced: what it writes would be lost."""
    files: FileIdentities = record.info[_FILES]
    if not files.are_unchanged:
        raise InvalidatePoolError


def _begin(connection: Connection) -> None:
    # IMMEDIATE: a transaction that begins as a reader and writes later may be refused at once, without waiting.
    writes = connection.get_execution_options().get("intent") == "write"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
