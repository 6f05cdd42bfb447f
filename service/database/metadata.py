"""What is known of the tables: which spec has which, what each was computed from; and the tokens that may ask."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from sqlalchemy import URL, Connection, delete, exists, select

from scheduler.texts import encodable
from service.database import revisions
from service.database.backup import backup_lines, check_empty, restore_lines
from service.database.database import Database, lock_digest, locked, replace_row
from service.database.deadline import extend
from service.database.engine import parse_url
from service.database.rows import CondemnedRow, SpecRow, TableRow, TokenRow, is_sound, stored
from service.database.schema import CONDEMNED, SCHEMA, SPECS, TABLES, TOKENS
from service.settings import Settings

__all__ = ["Metadata", "SpecRow", "TableRow", "TokenRow", "metadata_of", "open_metadata"]

_FILE = "metadata.sqlite"


class CondemnedError(Exception):
    """A table's file may have been removed since it was seen: write it again, then its row."""


class Metadata:
    """The metadata in a database: SQLite, which several processes of one machine may share, or PostgreSQL.

    Every method blocks and may be called from any thread. Each raises `DatabaseError`, whose message has no secret,
    where the database refuses or does not answer in time; the next call tries again. A row that does not match its
    checksum is logged, counted in `damaged_rows`, and read as if it were not there; what looks it up removes it.

    Args:
        url: `sqlite:///file` or `postgresql://user:password@host/name`.
        timeout_seconds: for the answer to a call, or for a page of those that walk through everything.
    """

    def __init__(self, url: str | URL, *, timeout_seconds: float) -> None:
        self._database = Database(parse_url(url), timeout_seconds)

    @property
    def url(self) -> str:
        """Where the database is: with *** for the password, and without options."""
        url = self._database.url
        path = encodable(url.database or "")  # of a file, it may be no text
        plain = url.set(drivername=url.get_backend_name(), database=path, query={})
        return plain.render_as_string(hide_password=True)

    @property
    def exists(self) -> bool:
        """Whether there is a database to look at: SQLite's is made when it is first used."""
        return self._database.exists

    @property
    def damaged_rows(self) -> int:
        """How many damaged rows were read."""
        return self._database.damaged_rows

    # -- tables and specs ---------------------------------------------------------------------------------------------

    def digest_of(self, spec_id: str) -> str | None:
        """The digest of the spec's table; None where it was never stored."""
        row = self._database.find(SPECS.c.spec_id, spec_id)
        return None if row is None else SpecRow.of(row).digest

    def record(self, spec_id: str, spec: str, digest: str, nbytes: int, provenance: str | None = None) -> str:
        """Keep which table a spec (its JSON) has: this service has computed it.

        What is returned is the digest that holds: the first one kept. Raises `CondemnedError`.
        """
        now = time.time()
        with self._naming(digest) as connection:
            self._database.insert_or_get(connection, TABLES, TableRow(digest, nbytes, None, now))
            row, _ = self._database.insert_or_get(connection, SPECS, SpecRow(spec_id, spec, digest, now, provenance))
            return SpecRow.of(row).digest

    def publish(self, digest: str, nbytes: int, claim: str | None) -> bool:
        """Keep that there is such a table, without a spec that has it, and the first claim of it. Whether it is new.

        Raises `CondemnedError`.
        """
        ours = TableRow(digest, nbytes, claim, time.time())
        with self._naming(digest) as connection:
            row, made = self._database.insert_or_get(connection, TABLES, ours)
            if not made and claim is not None and row["claim"] is None:
                replace_row(connection, TABLES, stored(TABLES, replace(TableRow.of(row), claim=claim)))
            return made

    @contextmanager
    def _naming(self, digest: str) -> Iterator[Connection]:
        """A transaction that gives a table its row.

        Raises `CondemnedError`, once, where the table is condemned: then its file may be gone though it was seen.
        """
        with self._database.transaction("write") as connection:
            lock_digest(connection, digest)
            pardon = delete(CONDEMNED).where(CONDEMNED.c.digest == digest)
            pardoned = connection.execute(pardon, execution_options={"preserve_rowcount": True}).rowcount
            if not pardoned:
                yield connection
                return
        raise CondemnedError(f"the file of the table {digest} may have been removed")

    def condemn(self, digest: str) -> bool:
        """Say that a table's file is about to be removed; False, and nothing is said, where the table has a row."""
        with self._database.transaction("write") as connection:
            if self._is_named(connection, digest):
                return False
            self._database.insert_or_get(connection, CONDEMNED, CondemnedRow(digest, time.time()))
            return True

    def remove_condemned(self, digest: str, remove: Callable[[], None]) -> bool:
        """Call `remove` while nobody can give the table a row. False, and no call, where it has one, or was pardoned.

        The table stays condemned: who saw its file before has yet to hear that it is gone.
        """
        with self._database.transaction("write") as connection:
            if self._is_named(connection, digest) or locked(connection, CONDEMNED, digest) is None:
                return False
            remove()
            extend(self._database.timeout_seconds)
            return True

    def pardon_old(self, before: float) -> None:
        """Forget what was condemned before this time: nobody who saw such a file is under way any more."""
        with self._database.transaction("write") as connection:
            connection.execute(delete(CONDEMNED).where(CONDEMNED.c.condemned_at < before))

    def _is_named(self, connection: Connection, digest: str) -> bool:
        """Whether the table has a row, a damaged one too. Nobody gives it one before the transaction ends."""
        lock_digest(connection, digest)
        return locked(connection, TABLES, digest) is not None

    def facts(self, digest: str) -> list[SpecRow]:
        """The specs from which this service has computed the table, the first one first."""
        found = self._database.find_all(SPECS.c.digest, digest, SPECS.c.created_at, SPECS.c.spec_id)
        return [SpecRow.of(row) for row in found]

    def claim(self, digest: str) -> str | None:
        """What the table's publisher said of it; None where there is no such table, or nothing was said."""
        row = self._database.find(TABLES.c.digest, digest)
        return None if row is None else TableRow.of(row).claim

    def has_table(self, digest: str) -> bool:
        """Whether there is such a table."""
        return self._database.find(TABLES.c.digest, digest) is not None

    def tables(self) -> Iterator[TableRow]:
        """Every table, in the order of the digests."""
        return map(TableRow.of, self._database.walk(TABLES))

    def specs(self) -> Iterator[SpecRow]:
        """Every spec, in the order of the ids."""
        return map(SpecRow.of, self._database.walk(SPECS))

    def forget(self, digest: str) -> None:
        """Keep nothing any more of a table and of the specs that have it. No error where nothing is known."""
        with self._database.transaction("write") as connection:
            connection.execute(delete(TABLES).where(TABLES.c.digest == digest))
            connection.execute(delete(SPECS).where(SPECS.c.digest == digest))

    # -- tokens -------------------------------------------------------------------------------------------------------

    def add(self, token: TokenRow) -> None:
        """Keep a token. Raises `DatabaseError` where its id or its hash is taken."""
        with self._database.transaction("write") as connection:
            connection.execute(TOKENS.insert().values(**stored(TOKENS, token)))

    def token_by_hash(self, hash: str) -> TokenRow | None:  # noqa: A002  # what it is called wherever tokens are kept
        """The token with this SHA-256; None where there is none."""
        row = self._database.find(TOKENS.c.hash, hash)
        return None if row is None else TokenRow.of(row)

    def all_tokens(self) -> list[TokenRow]:
        """Every token, revoked and expired ones too, the oldest first."""
        tokens = map(TokenRow.of, self._database.walk(TOKENS))
        return sorted(tokens, key=lambda token: (token.created_at, token.token_id))

    def revoke(self, token_id: str, at: float) -> bool:
        """Let a token end at this time, in seconds since 1970. False where there is none, or it was revoked before."""
        with self._database.transaction("write") as connection:
            row = locked(connection, TOKENS, token_id)
            if row is None or not is_sound(TOKENS, row) or row["revoked_at"] is not None:
                return False
            replace_row(connection, TOKENS, stored(TOKENS, TokenRow.of({**row, "revoked_at": at})))
            return True

    # -- the database itself ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Nothing, where the database answers."""
        self._database.fetch(select(1))

    def status(self) -> tuple[str | None, str]:
        """The revision that the database has, None where it is empty; and the one that this version needs."""
        if not self.exists:
            return None, revisions.head_revision()
        with self._database.transaction("read") as connection:
            return revisions.current_revision(connection), revisions.head_revision()

    def usable_revision(self) -> str | None:
        """The revision of a database that this version works with; None where it is empty, or not there.

        Raises `DatabaseError`, which says what to do, where the database holds something else, or the data of another
        version.
        """
        if not self.exists:
            return None
        with self._database.transaction("read") as connection:
            return revisions.usable_revision(connection)

    def upgrade(self, revision: str = "head", *, only_empty: bool = False) -> Path | None:
        """Bring the database to this revision, all or nothing; with `only_empty`, where it is empty. SQLite's is made.

        What is returned is the copy that is kept of SQLite's file where it was of an older revision. Raises
        `DatabaseError` where the database holds something else, or the data of a later version; with `only_empty`, of
        an older one too.
        """
        self._database.make_file()
        with self._database.transaction("write") as connection:
            revisions.lock(connection)
            current, head = revisions.usable_revision(connection, older=not only_empty), revisions.head_revision()
            copy = None if current in (None, head) else self._database.copy_file(f"before-{head}")
            revisions.upgrade(connection, revision)
            return copy

    def verify_rows(self) -> Iterator[str]:
        """A line for each problem: a row that does not match its checksum, a spec whose table has no row, a damaged
        file of SQLite's. Nothing is changed.
        """
        yield from self._database.damage()
        orphans = select(SPECS.c.spec_id, SPECS.c.digest).where(~exists().where(TABLES.c.digest == SPECS.c.digest))
        for row in self._database.fetch(orphans):
            yield f"specs {row['spec_id']}: there is no row for its table {row['digest']}"

    def backup(self, path: Path) -> None:
        """Write every row, as all were at one moment, into a new file that only its owner may read.

        Damaged rows are left out, and logged. Raises `OSError` where the file is there already, or cannot be written.
        """
        with _new_file(path) as file, self._database.transaction("snapshot") as connection:
            file.writelines(backup_lines(self._database.snapshot(connection, SCHEMA.sorted_tables)))

    def check_empty(self) -> None:
        """Nothing, where there are no rows: a backup could be restored. Raises `DatabaseError` where there are."""
        with self._database.transaction("read") as connection:
            check_empty(connection)

    def restore(self, path: Path) -> None:
        """Put the rows of a backup, whichever kind of database it is of, into this one, which has none: all or none.

        Raises `DatabaseError` where there are rows, or the file is no whole backup of this revision; `OSError` where it
        cannot be read.
        """
        with path.open("rb") as file, self._database.transaction("write") as connection:
            restore_lines(connection, file, self._database.timeout_seconds)

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()


def open_metadata(settings: Settings) -> Metadata:
    """The metadata where the settings say; an empty database is given its tables.

    Raises `DatabaseError` where the database does not answer, or has another revision than this version needs.
    """
    metadata = metadata_of(settings)
    try:
        current, head = metadata.status()
        if current != head:
            metadata.upgrade(only_empty=True)
    except BaseException:
        metadata.close()
        raise
    return metadata


def metadata_of(settings: Settings) -> Metadata:
    """The metadata where the settings say, of whatever revision; nothing is connected yet."""
    if settings.database_url is None:
        url: str | URL = URL.create("sqlite", database=str(settings.data_dir / _FILE))
    else:
        url = settings.database_url.get_secret_value()
    return Metadata(url, timeout_seconds=settings.database_seconds)


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A file of its owner's, durable when it is closed; gone where something fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise
