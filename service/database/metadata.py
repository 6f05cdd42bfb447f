"""All metadata of a server: its aggregates in one database, with upgrades, verification and backups of all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sqlalchemy import URL, Connection, Table, select

from scheduler.texts import encodable
from service.database import revisions
from service.database.backup import backup_lines, check_empty, restore_lines
from service.database.changes import ChangeRecords
from service.database.checked_table import Aggregate
from service.database.database import Database
from service.database.drivers.engine import parse_url
from service.database.rows import Stored
from service.database.runs.progress import ProgressRecords
from service.database.runs.proposals import ProposalRecords
from service.database.runs.records import RunRecords
from service.database.schema import SCHEMA
from service.database.tables import TableRecords
from service.database.tokens import TokenRecords
from service.settings import Settings

_FILE = "metadata.sqlite"


class Metadata:
    """The metadata in a database: SQLite, which several processes of one machine may share, or PostgreSQL.

    `tables`, `tokens`, `changes`, `runs`, `proposals` and `progress` are its aggregates. `is_new` is whether it was
    empty when `open_metadata` opened it. Every method blocks and may be called from any thread. Each raises
    `DatabaseError`, whose message has no secret, if the database refuses or does not answer in time; the next call
    tries again.

    Args:
        url: `sqlite:///file` or `postgresql://user:password@host/name`.
        timeout_seconds: for the response to a call, or for a page of those that read every row.
    """

    def __init__(self, url: str | URL, *, timeout_seconds: float) -> None:
        self.is_new = False
        self._database = Database(parse_url(url), timeout_seconds)
        self.tables = TableRecords(self._database)
        self.tokens = TokenRecords(self._database)
        self.changes = ChangeRecords(self._database)
        self.runs = RunRecords(self._database, self.changes)
        self.proposals = ProposalRecords(self._database, self.runs)
        self.progress = ProgressRecords(self._database, self.runs)
        runs: tuple[Aggregate, ...] = (self.runs, self.proposals, self.progress)
        self.aggregates: tuple[Aggregate, ...] = (self.tables, self.tokens, self.changes, *runs)
        self._checked = {checked.table: checked for each in self.aggregates for checked in each.checked_tables}

    @property
    def url(self) -> str:
        """The database's address, with *** for the password and without options."""
        url = self._database.url
        path = encodable(url.database or "")  # a file's name may hold bytes that are no text
        plain = url.set(drivername=url.get_backend_name(), database=path, query={})
        return plain.render_as_string(hide_password=True)

    @property
    def exists(self) -> bool:
        """Whether there is a database to connect to: SQLite's file is created by `upgrade`."""
        return self._database.exists

    @property
    def damaged_rows(self) -> int:
        """How many damaged rows were read."""
        return sum(checked.damaged_rows for checked in self._checked.values())

    def check(self) -> None:
        """Return if the database answers; raise `DatabaseError` if not."""
        self._database.fetch(select(1))

    def status(self) -> tuple[str | None, str]:
        """Return the revision of the database, None if it is empty, and the revision that this version needs."""
        if not self.exists:
            return None, revisions.head_revision()
        with self._database.transaction("read") as connection:
            return revisions.current_revision(connection), revisions.head_revision()

    def usable_revision(self) -> str | None:
        """Return the revision of a database that this version can use; None if it is empty or does not exist.

        Raises `DatabaseError`, which says what to do, if the database has another revision or tables of something else.
        """
        if not self.exists:
            return None
        with self._database.transaction("read") as connection:
            return revisions.usable_revision(connection)

    def upgrade(self, revision: str = "head", *, only_empty: bool = False) -> Path | None:
        """Bring the database to this revision, all or nothing. SQLite's file is created if it is missing.

        Return the copy that was made of SQLite's file if it had an older revision, else None. Raises `DatabaseError` if
        the database has a later revision or tables of something else; with `only_empty`, an older revision too.
        """
        self._database.make_file()
        with self._database.transaction("write") as connection:
            revisions.lock(connection)
            current, head = revisions.usable_revision(connection, older=not only_empty), revisions.head_revision()
            copy = None if current in (None, head) else self._database.copy_file(f"before-{head}")
            revisions.upgrade(connection, revision)
            return copy

    def verify_rows(self) -> Iterator[str]:
        """Yield a line for each problem: damage to SQLite's file, damaged rows, contradictions between intact rows.

        Nothing is changed.
        """
        yield from self._database.file_problems()
        for table in SCHEMA.sorted_tables:
            for row in self._checked[table].damaged():
                yield f"{row.name}: the row does not match its checksum"
        for aggregate in self.aggregates:
            yield from aggregate.problems()

    def backup(self, path: Path) -> None:
        """Write every row, all as they were at one moment, into a new file that only its owner may read.

        Damaged rows that their aggregate drops are left out, and logged. Raises `DamagedRowError` if an aggregate
        refuses to drop one, `OSError` if the file exists or cannot be written.
        """
        with _new_file(path) as file, self._database.transaction("snapshot") as connection:
            file.writelines(backup_lines(self._snapshot(connection)))

    def _snapshot(self, connection: Connection) -> Iterator[tuple[Table, Stored]]:
        return ((table, row) for table in SCHEMA.sorted_tables for row in self._checked[table].snapshot(connection))

    def check_empty(self) -> None:
        """Return if there are no rows, so that a backup can be restored; raise `DatabaseError` if there are."""
        with self._database.transaction("read") as connection:
            check_empty(connection)

    def restore(self, path: Path) -> None:
        """Insert the rows of a backup, made from either kind of database, into this empty one: all or none.

        Raises `DatabaseError` if there are rows, or the backup is damaged, cut short, or of another revision; `OSError`
        if it cannot be read.
        """
        with path.open("rb") as file, self._database.transaction("write") as connection:
            restore_lines(connection, file, self._database.timeout_seconds)

    def close(self) -> None:
        """Close the idle connections. A later call opens new ones."""
        self._database.close()


def open_metadata(settings: Settings) -> Metadata:
    """Open the metadata in the database of these settings, and create the tables if it is empty.

    Raises `DatabaseError` if the database does not answer, or has another revision than this version needs.
    """
    metadata = metadata_of(settings)
    try:
        current, head = metadata.status()
        metadata.is_new = current is None
        if current != head:
            metadata.upgrade(only_empty=True)
    except BaseException:
        metadata.close()
        raise
    return metadata


def metadata_of(settings: Settings) -> Metadata:
    """Return the metadata in the database of these settings, whatever its revision; nothing is connected yet."""
    if settings.database_url is None:
        url: str | URL = URL.create("sqlite", database=str(settings.data_dir / _FILE))
    else:
        url = settings.database_url.get_secret_value()
    return Metadata(url, timeout_seconds=settings.database_seconds)


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """Create a file that only its owner may read, durable when the block ends; an exception removes it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise
