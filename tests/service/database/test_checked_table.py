"""Tables with keys of several columns, and damage decided by their owner: a toy aggregate on SQLite and PostgreSQL."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, func, select

from service.database.backup import backup_lines
from service.database.checked_table import CheckedTable, DamagedRow, DamagedRowError, Decision
from service.database.database import Database
from service.database.drivers.dialects import lock_name
from service.database.drivers.engine import parse_url
from service.database.rows import Row
from service.errors import DatabaseError

Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

_SCHEMA = MetaData()
_KEY = Text().with_variant(Text(collation="C"), "postgresql")
_VERSIONS = Table(
    "toy_versions",
    _SCHEMA,
    Column("namespace", _KEY, primary_key=True),
    Column("name", _KEY, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    sqlite_with_rowid=False,
)
_CHANGES = Table(
    "toy_changes",
    _SCHEMA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False, unique=True),
    Column("checksum", Text, nullable=False),
    sqlite_with_rowid=False,
)
_PROGRESS = Table(
    "toy_progress",
    _SCHEMA,
    Column("name", _KEY, primary_key=True),
    Column("worker", _KEY, primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True)
class Version(Row):
    namespace: str
    name: str
    version: int
    digest: str = "d"


@dataclass(frozen=True)
class Change(Row):
    sequence: int
    author: str


@dataclass(frozen=True)
class Progress(Row):
    name: str
    worker: str
    step: int


class History:
    """An aggregate that refuses to go on without its history, and drops what workers report again anyway."""

    def __init__(self, database: Database) -> None:
        self.told: list[DamagedRow] = []
        self.database = database
        self.versions = CheckedTable(database, _VERSIONS, Version, self._decide)
        self.changes = CheckedTable(database, _CHANGES, Change, self._decide)
        self.progress = CheckedTable(database, _PROGRESS, Progress, self._decide)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        return self.versions, self.changes, self.progress

    def problems(self) -> Iterator[str]:
        return iter(())

    def add(self, row: Version) -> bool:
        with self.database.transaction("write") as connection:
            return self.versions.insert_or_get(connection, row)[1]

    def report(self, row: Progress) -> bool:
        with self.database.transaction("write") as connection:
            return self.progress.insert_or_get(connection, row)[1]

    def append(self, author: str) -> int:
        """Append a change under the next number, in the transaction that makes it."""
        with self.database.transaction("write") as connection:
            lock_name(connection, "toy changes")
            last = connection.scalar(select(func.max(_CHANGES.c.sequence))) or 0
            self.changes.insert(connection, Change(last + 1, author))
            return last + 1

    def _decide(self, damaged: DamagedRow) -> Decision:
        self.told.append(damaged)
        return "drop" if damaged.table is _PROGRESS else "refuse"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(parse_url(database_url), 60.0)) as database:
        database.make_file()
        with database.transaction("write") as connection:
            _SCHEMA.create_all(connection)
        yield database


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


def _snapshot(history: History, checked: CheckedTable[Any]) -> list[str]:
    with history.database.transaction("snapshot") as connection:
        return list(backup_lines((checked.table, row) for row in checked.snapshot(connection)))


def test_a_row_is_found_by_its_whole_key(history: History) -> None:
    """Rows that share all columns of the key but one are different rows."""
    rows = [Version("a", "x", 1), Version("a", "x", 2), Version("a", "y", 1), Version("b", "x", 1, "other")]
    assert [history.add(row) for row in rows] == [True] * 4
    assert [history.versions.find(row.namespace, row.name, row.version) for row in rows] == rows
    assert history.versions.find("b", "y", 1) is None
    found = history.versions.find_all(_VERSIONS.c.name == "x", order_by=[_VERSIONS.c.version, _VERSIONS.c.namespace])
    assert found == [rows[0], rows[3], rows[1]]


def test_a_taken_key_keeps_its_first_row(history: History) -> None:
    """A second row with the same key is not stored, and its writer is given the first one."""
    assert history.add(Version("a", "x", 2**40, "first"))
    with history.database.transaction("write") as connection:
        row = history.versions.insert_or_get(connection, Version("a", "x", 2**40, "second"))
    assert row == (Version("a", "x", 2**40, "first"), False)


def test_every_row_comes_in_the_order_of_the_key(history: History) -> None:
    """Rows come in the order of the key's columns, the numbers as numbers, however many pages they fill."""
    rows = [
        Version(f"n{number * 7919 % 2503 % 3}", f"r{number % 2}", number * 7919 % 2503) for number in range(1, 2504)
    ]
    with history.database.transaction("write") as connection:
        for row in rows:
            history.versions.insert(connection, row)
    assert list(history.versions.every_row()) == sorted(rows, key=lambda row: (row.namespace, row.name, row.version))
    assert len(_snapshot(history, history.versions)) == 2503 + 2


def test_of_many_that_take_a_key_at_once_one_does(history: History, at_once: AtOnce) -> None:
    """However many threads insert a row with one key at once, one of them creates it."""
    answers = at_once(32, lambda number: f"{history.add(Version('a', 'x', 1, f'd{number}'))}")
    assert sorted(answers) == ["False"] * 31 + ["True"]


def test_a_sequence_has_no_gap(history: History, at_once: AtOnce) -> None:
    """Numbers that are taken in the transaction of their change have no gap, also where changes fail."""

    def change(number: int) -> str:
        try:
            return str(history.append(f"author {number // 2}"))
        except DatabaseError:
            return "refused"

    numbers = at_once(32, change)
    assert numbers.count("refused") == 16
    assert [row.sequence for row in history.changes.every_row()] == list(range(1, 17))


def test_a_row_is_changed_under_its_lock(history: History, at_once: AtOnce) -> None:
    """What is read under a lock is still true when it is written: no step of any thread is lost."""
    history.report(Progress("a", "w", 0))

    def advance(number: int) -> str:
        with history.database.transaction("write") as connection:
            row = history.progress.lock(connection, "a", "w")
            assert row is not None
            history.progress.replace(connection, Progress("a", "w", row.step + 1))
        return ""

    at_once(16, advance)
    assert history.progress.find("a", "w") == Progress("a", "w", 16)


def test_a_value_that_is_taken_is_no_taken_key(history: History) -> None:
    """Where another column must be unique, a row that repeats its value is refused, not taken for the stored one."""
    history.append("author")
    with (
        pytest.raises(DatabaseError, match=r"(?i)unique"),
        history.database.transaction("write") as connection,
    ):
        history.changes.insert_or_get(connection, Change(7, "author"))


_READS: dict[str, Callable[[History], object]] = {
    "find": lambda history: history.versions.find("a", "x", 1),
    "find_by": lambda history: history.versions.find_by(_VERSIONS.c.version, 1),
    "find_all": lambda history: history.versions.find_all(_VERSIONS.c.name == "x", order_by=[_VERSIONS.c.version]),
    "every_row": lambda history: list(history.versions.every_row()),
    "insert_or_get": lambda history: history.add(Version("a", "x", 1)),
    "backup": lambda history: _snapshot(history, history.versions),
    "lock": lambda history: _lock(history),
}


def _lock(history: History) -> None:
    with history.database.transaction("write") as connection:
        history.versions.lock(connection, "a", "x", 1)


@pytest.mark.parametrize("read", _READS)
def test_damaged_history_is_refused_and_kept(
    history: History, execute: Execute, caplog: pytest.LogCaptureFixture, read: str
) -> None:
    """Whatever meets a damaged row that its owner does not drop fails, names the row, and leaves it as it is."""
    history.add(Version("a", "x", 1))
    history.add(Version("a", "x", 2))
    execute("UPDATE toy_versions SET digest = 'forged' WHERE version = 1")
    before = execute("SELECT * FROM toy_versions ORDER BY version")
    with (
        caplog.at_level(logging.ERROR, "lrtables"),
        pytest.raises(DamagedRowError, match="toy_versions a/x/1: the row does not match its checksum"),
    ):
        _READS[read](history)
    assert execute("SELECT * FROM toy_versions ORDER BY version") == before
    assert [damaged.name for damaged in history.told] == ["toy_versions a/x/1"]
    assert history.versions.damaged_rows == 1
    assert "a row of toy_versions does not match its checksum" in caplog.text


def test_the_owner_decides_by_the_table(history: History, execute: Execute) -> None:
    """The same owner drops damaged rows of another table: a look-up deletes one, and the next row replaces one."""
    for worker in ("v", "w"):
        history.report(Progress("a", worker, 5))
    execute("UPDATE toy_progress SET step = 6")
    assert history.progress.find("a", "v") is None
    assert execute("SELECT worker FROM toy_progress") == [{"worker": "w"}]
    assert history.report(Progress("a", "w", 7))
    assert list(history.progress.every_row()) == [Progress("a", "w", 7)]
    assert [damaged.name for damaged in history.told] == ["toy_progress a/v", "toy_progress a/w"]


def test_damage_is_listed_without_a_decision(history: History, execute: Execute) -> None:
    """Verification names damaged rows by their whole key, asks no owner, and changes nothing."""
    history.add(Version("a", "x", 1))
    history.add(Version("a", "x", 2))
    execute("UPDATE toy_versions SET version = 3 WHERE version = 2")
    assert [damaged.name for damaged in history.versions.damaged()] == ["toy_versions a/x/3"]
    assert (history.told, history.versions.damaged_rows) == ([], 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_key_stops_no_reader(history: History, execute: Execute) -> None:
    """Keys that are no text or no number any more, as only SQLite allows, hide no row behind them."""
    with history.database.transaction("write") as connection:
        for number in range(2500):
            history.progress.insert(connection, Progress("a", f"{number:04}", 1))
    execute("UPDATE toy_progress SET worker = CAST(X'30FF' || worker AS TEXT) WHERE worker IN ('0998', '0999', '1000')")
    execute("UPDATE toy_progress SET name = CAST(X'FF' AS TEXT) WHERE worker IN ('1999', '2000')")
    assert len(list(history.progress.every_row())) == 2495
    assert history.progress.damaged_rows == 5
