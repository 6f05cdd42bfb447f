"""A database: SQLite's file or PostgreSQL, its transactions, and the time that each may take."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, get_args

from sqlalchemy import URL, Connection, Executable, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.database.drivers import sqlite
from service.database.drivers.deadline import deadline, remaining
from service.database.drivers.engine import make_engine
from service.database.rows import Stored
from service.errors import DatabaseError

Intent = Literal["read", "write", "snapshot"]


class Database:
    """Transactions on SQLite or PostgreSQL, from any thread.

    Every method raises `DatabaseError` if the database refuses or does not answer within `timeout_seconds`. The next
    call tries again. Rows with checksums are read and written through `service.database.checked_table.CheckedTable`.

    Args:
        url: as `service.database.drivers.engine.parse_url` returns it.
        timeout_seconds: for each transaction; `service.database.drivers.deadline.extend` gives one more time.
    """

    def __init__(self, url: URL, timeout_seconds: float) -> None:
        self.url = url
        self.timeout_seconds = timeout_seconds
        self._file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        engine = make_engine(url, timeout_seconds)
        self._engines = {intent: engine.execution_options(intent=intent) for intent in get_args(Intent)}

    @property
    def exists(self) -> bool:
        """Whether SQLite's file exists; always True for PostgreSQL."""
        return self._file is None or os.path.lexists(self._file)

    def make_file(self) -> None:
        """Create SQLite's file and its folder if they are missing. Nothing else creates them."""
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.touch()
            except OSError as error:
                raise DatabaseError(f"the database's file {self._file} cannot be made: {error.strerror}") from error

    def copy_file(self, suffix: str) -> Path | None:
        """Copy the last committed state of SQLite's file to a file beside it; return None for PostgreSQL.

        Only the owner can read the copy.
        """
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

    def file_problems(self) -> Iterator[str]:
        """Yield a line for each problem that SQLite finds in the structure of its file; none for PostgreSQL."""
        if self._file is not None:
            lines = self.fetch(text("PRAGMA integrity_check"))
            yield from (f"{line['integrity_check']}" for line in lines if line["integrity_check"] != "ok")

    def close(self) -> None:
        """Close the idle connections. A later call opens new ones."""
        self._engines["read"].dispose()  # they share one pool

    @contextmanager
    def transaction(self, intent: Intent) -> Iterator[Connection]:
        """Begin a transaction, and commit it at the end of the `with` block, or roll it back after an exception.

        It may take `timeout_seconds`. A `snapshot` reads one consistent state and cannot write. Raises `DatabaseError`
        if SQLite's file was removed or replaced in the meantime, because what was written to it is lost.
        """
        with deadline(self.timeout_seconds), self._errors(), self._engines[intent].connect() as connection:
            with connection.begin():
                yield connection
            if intent == "write" and self._file is not None and not sqlite.is_file_unchanged(connection):
                raise DatabaseError("the database's file was removed or replaced while it was written to")

    def fetch(self, query: Executable) -> Sequence[Stored]:
        """Return the rows of a query, read in a transaction of its own."""
        with self.transaction("read") as connection:
            return fetch_through(connection, query)

    async def listen(self, channel: str, notified: Callable[[], None]) -> None:
        """Call `notified` for PostgreSQL's notifications on a channel, until cancelled. Ends at once on SQLite."""
        if self._file is None:
            from service.database.drivers.postgres import listen  # noqa: PLC0415  # only PostgreSQL needs its extra

            await listen(self.url, channel, notified)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise DatabaseError(self._message(error)) from error

    def _message(self, error: SQLAlchemyError) -> str:
        """Return the reason in one line, without the statement and its values."""
        if not remaining():
            return f"the database gave no response within {self.timeout_seconds:g} seconds"
        reason = error.orig if isinstance(error, DBAPIError) else error
        line = next(iter(str(reason).splitlines()), type(reason).__name__)
        return f"the database refused: {line}"


def fetch_through(connection: Connection, query: Executable) -> Sequence[Stored]:
    """Return the rows of a query, read through this connection in its transaction."""
    return [row._asdict() for row in connection.execute(query)]
