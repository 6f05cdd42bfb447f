"""Backups: the same bytes from SQLite and PostgreSQL, refused if damaged."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.database.metadata import Metadata
from service.database.tokens import TokenRow
from service.errors import DatabaseError
from tests.support.servers.postgres import PostgresServer

OpenDatabase = Callable[..., Metadata]
Execute = Callable[..., list[dict[str, Any]]]

_SPEC = '{"schedule":{},"total_steps":3}'
_TOKEN = TokenRow("id-1", "nightly", "5e" * 32, ["read", "compute"], ["team-a/*"], {"max_steps": 9}, 1.5, 2.5)


def _digest(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def backup(metadata: Metadata, tmp_path: Path) -> Path:
    for number in range(1, 4):
        metadata.tables.record(f"s{number}", _SPEC, _digest(number), 24)
    metadata.tables.publish(_digest(9), 24, None)
    metadata.tokens.add(_TOKEN)
    metadata.backup(tmp_path / "backup")
    return tmp_path / "backup"


@pytest.fixture
def empty(open_database: OpenDatabase, tmp_path: Path) -> Metadata:
    return open_database(f"sqlite:///{tmp_path / 'empty.sqlite'}")


def test_a_backup_goes_into_either_kind_of_database(
    metadata: Metadata, backup: Path, open_database: OpenDatabase, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Restored into SQLite, from there into PostgreSQL and back, a backup stays the same to the byte."""
    original = backup
    for number, url in enumerate([f"sqlite:///{tmp_path / 'a'}", postgres.url(), f"sqlite:///{tmp_path / 'b'}"]):
        restored = open_database(url)
        restored.restore(backup)
        assert list(restored.tables.every_table()) == list(metadata.tables.every_table())
        assert list(restored.tables.every_spec()) == list(metadata.tables.every_spec())
        assert restored.tokens.every_token() == [_TOKEN]
        backup = tmp_path / f"backup-{number}"
        restored.backup(backup)
    assert backup.read_bytes() == original.read_bytes()


def test_a_backup_is_for_its_owner(metadata: Metadata, backup: Path) -> None:
    """A backup may be read by its owner only, and is never written over."""
    assert backup.stat().st_mode & 0o777 == 0o600
    content = backup.read_bytes()
    with pytest.raises(FileExistsError, match="exists"):
        metadata.backup(backup)
    assert backup.read_bytes() == content


def test_a_backup_is_of_one_moment(metadata: Metadata, empty: Metadata, tmp_path: Path) -> None:
    """Every spec in a backup has its table in it, also while others record."""
    done = threading.Event()

    def record() -> None:
        for number in range(10_000):
            metadata.tables.record(f"s{number}", _SPEC, _digest(number), 24)
            if done.is_set():
                return

    with ThreadPoolExecutor(1) as executors:
        recording = executors.submit(record)
        for number in range(5):
            metadata.backup(tmp_path / f"backup-{number}")
        done.set()
        recording.result()
    empty.restore(tmp_path / "backup-4")
    assert list(empty.verify_rows()) == []


def test_damaged_rows_are_left_out(metadata: Metadata, execute: Execute, empty: Metadata, tmp_path: Path) -> None:
    """A backup leaves damaged rows out, and can be restored."""
    metadata.tables.record("s", _SPEC, _digest(1), 24)
    metadata.tokens.add(_TOKEN)
    execute("UPDATE tokens SET name = 'weekly'")
    metadata.backup(tmp_path / "backup")
    assert metadata.damaged_rows == 1
    empty.restore(tmp_path / "backup")
    assert (empty.tables.digest_of("s"), empty.tokens.every_token()) == (_digest(1), [])


def test_a_backup_is_restored_into_an_empty_database_only(metadata: Metadata, backup: Path) -> None:
    """A database with rows refuses a backup."""
    with pytest.raises(DatabaseError, match="restored into an empty database, and this one has rows in specs"):
        metadata.restore(backup)


def test_a_backup_that_is_cut_short_is_refused(backup: Path, empty: Metadata, tmp_path: Path) -> None:
    """Cut short at any line, a backup is refused, and leaves nothing behind."""
    lines = backup.read_text(encoding="utf-8").splitlines(keepends=True)
    for count in range(len(lines)):
        short = tmp_path / f"short-{count}"
        short.write_text("".join(lines[:count]), encoding="utf-8")
        with pytest.raises(
            DatabaseError, match="this file is not a backup" if count == 0 else "the backup is cut short"
        ):
            empty.restore(short)
    assert [*empty.tables.every_table(), *empty.tables.every_spec(), *empty.tokens.every_token()] == []


def test_a_damaged_backup_is_refused(backup: Path, empty: Metadata, tmp_path: Path) -> None:
    """Changed in any line, a backup is refused, and leaves nothing behind."""
    lines = backup.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        for old, new in ((line[-4], "!"), ("{", "["), ('"', '"!')):
            damaged = tmp_path / "damaged"
            changed = line[: line.rindex(old)] + new + line[line.rindex(old) + 1 :]
            damaged.write_text("".join([*lines[:number], changed, *lines[number + 1 :]]), encoding="utf-8")
            with pytest.raises(DatabaseError, match="backup"):
                empty.restore(damaged)
    assert [*empty.tables.every_table(), *empty.tables.every_spec(), *empty.tokens.every_token()] == []


def test_the_backup_of_another_revision_is_refused(backup: Path, empty: Metadata) -> None:
    """The backup of another revision is refused, and the error says how to restore it."""
    backup.write_text(backup.read_text(encoding="utf-8").replace('"revision": "', '"revision": "x'))
    way = r"the backup has revision x.*, and this version needs .*: restore it with .* made it; .*'lrtables db upgrade'"
    with pytest.raises(DatabaseError, match=way):
        empty.restore(backup)
