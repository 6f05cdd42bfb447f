"""The metadata: one suite for SQLite and PostgreSQL."""

import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table

from service.database.metadata import Metadata, TableRow, TokenRow
from service.database.rows import Row, SpecRow, stored
from service.database.schema import SPECS, TABLES, TOKENS
from service.errors import DatabaseError

Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

_SPEC = '{"schedule":{},"total_steps":3}'
_TOKEN = TokenRow("id-1", "nightly", "5e" * 32, ["read", "compute"], ["team-a/*"], {"max_steps": 9}, 1.5, 2.5)


def _digest(number: int) -> str:
    return f"{number:064x}"


class TestRecords:
    def test_a_spec_that_was_not_recorded_has_no_table(self, metadata: Metadata) -> None:
        """Nothing is known of what was never kept."""
        assert metadata.digest_of("s") is None
        assert metadata.claim(_digest(1)) is None
        assert metadata.facts(_digest(1)) == []
        assert not metadata.has_table(_digest(1))
        assert [*metadata.tables(), *metadata.specs()] == []

    def test_the_first_digest_of_a_spec_holds(self, metadata: Metadata) -> None:
        """A spec keeps the digest that was recorded first, and whoever records another is told."""
        assert metadata.record("s", _SPEC, _digest(1), 24) == _digest(1)
        assert metadata.record("s", _SPEC, _digest(2), 24) == _digest(1)
        assert metadata.digest_of("s") == _digest(1)

    def test_a_table_keeps_every_spec_it_was_computed_from(self, metadata: Metadata) -> None:
        """A table remembers the specs it was computed from, the first one first, with what versions, and when."""
        before = time.time()
        metadata.record("t", _SPEC, _digest(1), 24, '{"numpy":"2"}')
        metadata.record("s", "{}", _digest(1), 24)
        metadata.record("u", "{}", _digest(2), 24)
        table, _ = metadata.tables()
        assert (table.digest, table.nbytes, table.claim) == (_digest(1), 24, None)
        assert before <= table.created_at <= time.time()
        assert [(spec.spec_id, spec.spec, spec.provenance) for spec in metadata.facts(_digest(1))] == [
            ("t", _SPEC, '{"numpy":"2"}'),
            ("s", "{}", None),
        ]
        assert [(spec.spec_id, spec.digest) for spec in metadata.specs()] == [
            ("s", _digest(1)),
            ("t", _digest(1)),
            ("u", _digest(2)),
        ]

    @pytest.mark.parametrize("claims", [[None, "a", "b"], ["a", "b"], ["a", None]])
    def test_a_table_is_published_once(self, metadata: Metadata, claims: list[str | None]) -> None:
        """A table by value is new once, keeps the first claim that there is of it, and has no spec row."""
        assert [metadata.publish(_digest(1), 24, claim) for claim in claims] == [True, False, False][: len(claims)]
        assert metadata.claim(_digest(1)) == "a"
        assert metadata.has_table(_digest(1))
        assert list(metadata.specs()) == []
        assert list(metadata.verify_rows()) == []

    def test_a_table_is_forgotten_with_its_specs(self, metadata: Metadata) -> None:
        """After `forget` nothing leads to the table, and the others are as they were."""
        metadata.record("s", _SPEC, _digest(1), 24)
        metadata.record("t", _SPEC, _digest(2), 24)
        metadata.forget(_digest(1))
        metadata.forget(_digest(3))
        assert (metadata.digest_of("s"), metadata.has_table(_digest(1))) == (None, False)
        assert [table.digest for table in metadata.tables()] == [_digest(2)]

    def test_a_walk_comes_past_every_row_in_order(self, metadata: Metadata, execute: Execute) -> None:
        """Tables come in the order of their digests, however many pages they fill."""
        digests = [_digest(number * 7919 % 2503) for number in range(2503)]
        _insert(execute, TABLES, *(TableRow(digest, 8, None, 0.5) for digest in digests))
        assert [table.digest for table in metadata.tables()] == sorted(digests)

    def test_text_comes_back_as_it_was(self, metadata: Metadata) -> None:
        """A spec's text keeps every character."""
        spec = '{"name":"η → ½ 😀 \\u0000 \\" \\\\"}' + "x" * 100_000
        metadata.record("s", spec, _digest(1), 2**40)
        metadata.publish(_digest(2), 2**40, spec)
        assert metadata.facts(_digest(1))[0].spec == metadata.claim(_digest(2)) == spec

    def test_a_working_database_passes_its_check(self, metadata: Metadata) -> None:
        """`check` is silent, and closing twice, or using what was closed, does no harm."""
        metadata.check()
        metadata.close()
        metadata.check()
        metadata.close()


class TestTokens:
    def test_a_token_is_found_by_its_hash(self, metadata: Metadata) -> None:
        """What was added comes back equal, by its hash and in the list."""
        metadata.add(_TOKEN)
        assert metadata.token_by_hash(_TOKEN.hash) == _TOKEN
        assert metadata.all_tokens() == [_TOKEN]
        assert metadata.token_by_hash("5f" * 32) is None

    def test_tokens_are_listed_by_age(self, metadata: Metadata) -> None:
        """The oldest token comes first."""
        made = [TokenRow(f"id-{n}", "", f"{n}" * 64, [], [], {}, float(n * 7 % 10)) for n in range(10)]
        for token in made:
            metadata.add(token)
        assert metadata.all_tokens() == sorted(made, key=lambda token: token.created_at)

    def test_a_token_is_revoked_once(self, metadata: Metadata) -> None:
        """A revoked token keeps the time of the first revocation."""
        metadata.add(_TOKEN)
        assert metadata.revoke("id-1", 7.5)
        assert not metadata.revoke("id-1", 8.5)
        assert not metadata.revoke("id-2", 8.5)
        revoked = metadata.token_by_hash(_TOKEN.hash)
        assert revoked is not None
        assert revoked.revoked_at == 7.5

    def test_no_two_tokens_share_a_hash(self, metadata: Metadata) -> None:
        """A token whose hash or id is taken is refused, and the error does not repeat the hash."""
        metadata.add(_TOKEN)
        with pytest.raises(DatabaseError, match=r"(?i)unique") as refused:
            metadata.add(TokenRow("id-2", "", _TOKEN.hash, [], [], {}, 1.0))
        assert _TOKEN.hash not in "".join(traceback.format_exception(refused.value)).replace(f"({_TOKEN.hash})", "")


class TestConcurrency:
    def test_threads_agree_on_the_first(self, metadata: Metadata, at_once: AtOnce) -> None:
        """However many threads record a spec at once, each with another digest, all are told the same one."""
        answers = at_once(32, lambda number: metadata.record("s", _SPEC, _digest(number), 24))
        assert set(answers) == {metadata.digest_of("s")}

    def test_processes_agree_on_the_first(self, database_url: str) -> None:
        """Two processes that start on an empty database at once both open it, and agree on every spec."""
        script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from service.database.metadata import open_metadata
from service.settings import Settings
url, name = sys.argv[1:]
with closing(open_metadata(Settings(database_url=url, database_seconds=60))) as metadata:
    with ThreadPoolExecutor(8) as threads:
        print(*threads.map(lambda n: metadata.record(str(n % 10), "{}", f"{name}{n}", 8), range(40)))
"""
        running = [_python(script, database_url, name) for name in "ab"]
        printed = [process.communicate() for process in running]
        assert [process.returncode for process in running] == [0, 0], printed
        (one, other) = [out.split() for out, _ in printed]
        assert len(one) == 40
        assert one == other

    def test_a_crash_leaves_all_or_nothing(self, metadata: Metadata, database_url: str) -> None:
        """A process that is killed between the two rows of a record leaves neither, and blocks nobody."""
        script = """
import os, signal, sys
from service.database.database import Database
from service.database.metadata import Metadata
keep = Database.insert_or_get
def deadly(self, connection, table, row):
    if table.name == "specs":
        os.kill(os.getpid(), signal.SIGKILL)
    return keep(self, connection, table, row)
Database.insert_or_get = deadly
Metadata(sys.argv[1], timeout_seconds=60).record("s", "{}", "d", 8)
"""
        process = _python(script, database_url)
        _, errors = process.communicate()
        assert process.returncode == -9, errors
        assert [*metadata.tables(), *metadata.specs()] == []
        assert metadata.record("s", _SPEC, _digest(1), 24) == _digest(1)


def _python(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _insert(execute: Execute, table: Table, *rows: Row) -> None:
    names = table.columns.keys()
    values = [dict(stored(table, row)) for row in rows]
    execute(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})", values)


_ROWS: tuple[tuple[Table, Row], ...] = (
    (TABLES, TableRow(_digest(1), 24, _SPEC, 1.5)),
    (SPECS, SpecRow("s", _SPEC, _digest(1), 1.5, "{}")),
    (TOKENS, _TOKEN),
)
_COLUMNS = [
    pytest.param(column.table, column.name, id=f"{column.table}.{column.name}")
    for table, _ in _ROWS
    for column in table.columns
]


class TestDamage:
    @pytest.fixture(autouse=True)
    def _rows(self, metadata: Metadata, execute: Execute) -> None:
        for table, row in _ROWS:
            _insert(execute, table, row)

    @pytest.mark.parametrize(("table", "column"), _COLUMNS)
    def test_a_damaged_row_is_as_if_it_were_not_there(
        self, metadata: Metadata, execute: Execute, caplog: pytest.LogCaptureFixture, table: Table, column: str
    ) -> None:
        """A change in any column makes the row absent: it is logged, counted, reported, and can be written anew."""
        assert list(metadata.verify_rows()) == []
        _damage(execute, table, column)
        assert any("does not match its checksum" in line for line in metadata.verify_rows())
        assert metadata.damaged_rows == 0
        reads: dict[str, Callable[[], object]] = {
            "tables": lambda: metadata.has_table(_digest(1)) or list(metadata.tables()),
            "specs": lambda: metadata.digest_of("s") or list(metadata.specs()),
            "tokens": lambda: metadata.token_by_hash(_TOKEN.hash) or metadata.all_tokens(),
        }
        with caplog.at_level(logging.ERROR, "lrtables"):
            assert not reads[table.name]()
        assert metadata.damaged_rows == 1
        assert f"a row of {table.name} does not match its checksum" in caplog.text
        assert _TOKEN.hash not in caplog.text
        metadata.record("s", "{}", _digest(1), 24)
        assert (metadata.digest_of("s"), metadata.has_table(_digest(1))) == (_digest(1), True)

    def test_a_damaged_row_is_replaced_by_the_next_record(self, metadata: Metadata, execute: Execute) -> None:
        """Recording over damaged rows puts sound ones in their place, in the same transaction."""
        _damage(execute, TABLES, "claim")
        _damage(execute, SPECS, "digest")
        assert metadata.record("s", "{}", _digest(1), 24) == _digest(1)
        assert metadata.damaged_rows == 2
        assert (metadata.claim(_digest(1)), metadata.damaged_rows) == (None, 2)

    def test_a_damaged_token_is_not_revoked(self, metadata: Metadata, execute: Execute) -> None:
        """A damaged token allows nothing already, and is not made sound by revoking it."""
        _damage(execute, TOKENS, "scopes")
        assert not metadata.revoke("id-1", 7.5)
        assert metadata.token_by_hash(_TOKEN.hash) is None

    def test_a_spec_without_its_table_is_reported(self, metadata: Metadata, execute: Execute) -> None:
        """`verify_rows` names a spec whose table has no row."""
        execute("DELETE FROM tables")
        assert list(metadata.verify_rows()) == [f"specs s: there is no row for its table {_digest(1)}"]


def _damage(execute: Execute, table: Table, column: str) -> None:
    """Change a character, or a number by one, in every row."""
    is_text = table.columns[column].type.python_type is str
    changed = f"'!' || substr({column}, 2)" if is_text else f"coalesce({column}, 0) + 1"
    execute(f"UPDATE {table.name} SET {column} = {changed}")
