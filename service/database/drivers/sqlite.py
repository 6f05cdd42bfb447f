"""Connections to SQLite: durable, and given up when the file that they have open has lost its name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from service.storage.opened import Opened, check_file

_FILES, _NAME = "files", "name"  # what a connection's `info` has: the files that are open, the name of the first


def make_engine(url: URL, timeout_seconds: float) -> Engine:
    """An engine for SQLite's file at this address, which must be there; nothing is connected yet."""
    arguments = {"timeout": timeout_seconds, "isolation_level": None}
    engine = create_engine(url, hide_parameters=True, pool_timeout=timeout_seconds, connect_args=arguments)
    connecting = _Connecting()
    event.listen(engine, "do_connect", connecting.open)
    event.listen(engine, "connect", connecting.prepare)
    event.listen(engine, "checkout", _check)
    event.listen(engine, "begin", _begin)
    return engine


def kept(connection: Connection) -> bool:
    """Whether what the connection has written lies where the next one will find it."""
    files: Opened = connection.info[_FILES]
    return files.is_there


class _Connecting:
    """Opens SQLite's file, and remembers which one was open last, and which log of writes beside it."""

    def __init__(self) -> None:
        self._last: Opened | None = None

    def open(self, dialect: object, record: ConnectionPoolEntry, names: Sequence[str], options: dict[str, Any]) -> Any:
        """A connection to a file that is there: SQLite by itself would make an empty one where it was removed."""
        (name,) = names
        files = Opened(name)  # before it is opened: one that is put in its place meanwhile is another
        try:
            check_file(name)
        except OSError as error:
            raise sqlite3.OperationalError(f"{error.strerror}: {name}") from error
        self._check_log(name)
        record.info.update({_FILES: files, _NAME: name})
        return sqlite3.connect(f"file:{quote(os.fsencode(name))}?mode=rw", uri=True, **options)

    def _check_log(self, name: str) -> None:
        """Refuse a file beside the log of another: SQLite would take what is in that for its own."""
        log = _log(name)
        if self._last is not None and not self._last.leads(name) and self._last.leads(log) and os.path.exists(log):
            raise sqlite3.OperationalError(f"{name} was replaced, and {log} is of the file before: put that back")

    def prepare(self, connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        """What every connection needs: durable commits, and readers that never wait."""
        connection.text_factory = _text
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
        files: Opened = record.info[_FILES]
        name = record.info[_NAME]
        files.add(_log(name))
        files.add(f"{name}-shm")  # where the locks are
        self._last = files


def _log(name: str) -> str:
    return f"{name}-wal"


def _text(data: bytes) -> str | bytes:
    """Text out of SQLite; bytes where it is damaged so that it is none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _check(connection: sqlite3.Connection, record: ConnectionPoolEntry, proxy: object) -> None:
    """Give up every connection to files that were removed or replaced: what they write nobody would find."""
    files: Opened = record.info[_FILES]
    if not files.is_there:
        raise InvalidatePoolError


def _begin(connection: Connection) -> None:
    # IMMEDIATE: a reader that turns into a writer later can be refused at once, instead of waiting for its turn.
    writes = connection.get_execution_options().get("intent") == "write"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
