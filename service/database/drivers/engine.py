"""Connections to SQLite or PostgreSQL that wait no longer than the deadline."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from service.database.drivers import sqlite
from service.errors import DatabaseError

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


def parse_url(text: str | URL) -> URL:
    """Return the database's address with its driver. Raises `DatabaseError`, which does not repeat the address."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in _DRIVERS or not url.database or "@" in (url.host or ""):
        raise DatabaseError(
            "database_url must be like postgresql://user:password@host/name or sqlite:///file, "
            "with %40 for an @ in a password, and so on"
        )
    return url.set(drivername=_DRIVERS[url.get_backend_name()])


def make_engine(url: URL, timeout_seconds: float) -> Engine:
    """Return an engine for this address; nothing is connected yet.

    `engine.execution_options(intent="write")` is for transactions that write, `intent="snapshot"` for those that read
    one consistent state. SQLite waits `timeout_seconds` for another writer, PostgreSQL until the deadline. Raises
    `DatabaseError` if PostgreSQL's driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return sqlite.make_engine(url, timeout_seconds)
    return _postgres_engine(url, timeout_seconds)


def _postgres_engine(url: URL, timeout_seconds: float) -> Engine:
    try:
        from service.database.drivers.postgres import connect  # noqa: PLC0415  # only PostgreSQL needs its extra
    except ModuleNotFoundError as error:
        raise DatabaseError(f"PostgreSQL needs {error.name}: pip install 'lrtables[postgres]'") from error
    milliseconds = max(1, round(1000 * timeout_seconds))
    # If this process is frozen or cut off in a transaction, the server must release its locks some time.
    limits = f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={10 * milliseconds}"
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_timeout=timeout_seconds,
        pool_pre_ping=True,  # a connection that the server closed meanwhile is replaced, and no caller sees it
        connect_args={"options": limits, "prepare_threshold": None},
    )

    def connected(dialect: object, record: object, arguments: tuple[str, ...], options: dict[str, Any]) -> object:
        return connect(*arguments, **options)

    event.listen(engine, "do_connect", connected)
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get("intent") == "snapshot":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
