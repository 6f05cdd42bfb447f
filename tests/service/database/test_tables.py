"""Tables, specs and pending deletions in the database: one suite for SQLite and PostgreSQL."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from service.database.metadata import Metadata
from service.database.rows import stored
from service.database.schema import TABLES
from service.database.tables import TableRow

Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

_SPEC = '{"schedule":{},"total_steps":3}'


def _digest(number: int) -> str:
    return f"{number:064x}"


def test_a_spec_that_was_not_recorded_has_no_table(metadata: Metadata) -> None:
    """A spec and a table that were never recorded are not found."""
    assert metadata.tables.digest_of("s") is None
    assert metadata.tables.claim(_digest(1)) is None
    assert metadata.tables.specs_of(_digest(1)) == []
    assert not metadata.tables.has_table(_digest(1))
    assert [*metadata.tables.every_table(), *metadata.tables.every_spec()] == []


def test_the_first_digest_of_a_spec_holds(metadata: Metadata) -> None:
    """A spec keeps the digest that was recorded first, which is returned to later callers."""
    assert metadata.tables.record("s", _SPEC, _digest(1), 24) == _digest(1)
    assert metadata.tables.record("s", _SPEC, _digest(2), 24) == _digest(1)
    assert metadata.tables.digest_of("s") == _digest(1)


def test_a_table_keeps_every_spec_it_was_computed_from(metadata: Metadata) -> None:
    """A table has the specs it was computed from, the earliest first, with versions and times."""
    before = time.time()
    metadata.tables.record("t", _SPEC, _digest(1), 24, '{"numpy":"2"}')
    metadata.tables.record("s", "{}", _digest(1), 24)
    metadata.tables.record("u", "{}", _digest(2), 24)
    table, _ = metadata.tables.every_table()
    assert (table.digest, table.nbytes, table.claim) == (_digest(1), 24, None)
    assert before <= table.created_at <= time.time()
    assert [(spec.spec_id, spec.spec, spec.provenance) for spec in metadata.tables.specs_of(_digest(1))] == [
        ("t", _SPEC, '{"numpy":"2"}'),
        ("s", "{}", None),
    ]
    assert [(spec.spec_id, spec.digest) for spec in metadata.tables.every_spec()] == [
        ("s", _digest(1)),
        ("t", _digest(1)),
        ("u", _digest(2)),
    ]


@pytest.mark.parametrize("claims", [[None, "a", "b"], ["a", "b"], ["a", None]])
def test_a_table_is_published_once(metadata: Metadata, claims: list[str | None]) -> None:
    """A published table is new once, keeps the first claim about it, and has no spec."""
    assert [metadata.tables.publish(_digest(1), 24, claim) for claim in claims] == [True, False, False][: len(claims)]
    assert metadata.tables.claim(_digest(1)) == "a"
    assert metadata.tables.has_table(_digest(1))
    assert list(metadata.tables.every_spec()) == []
    assert list(metadata.verify_rows()) == []


def test_a_table_is_deleted_with_its_specs(metadata: Metadata) -> None:
    """A deleted table and its specs are not found, and the others are unchanged."""
    metadata.tables.record("s", _SPEC, _digest(1), 24)
    metadata.tables.record("t", _SPEC, _digest(2), 24)
    metadata.tables.delete(_digest(1))
    metadata.tables.delete(_digest(3))
    assert (metadata.tables.digest_of("s"), metadata.tables.has_table(_digest(1))) == (None, False)
    assert [table.digest for table in metadata.tables.every_table()] == [_digest(2)]


def test_every_table_is_yielded_in_order(metadata: Metadata, execute: Execute) -> None:
    """Tables come in the order of their digests, however many pages they fill."""
    digests = [_digest(number * 7919 % 2503) for number in range(2503)]
    rows = [dict(stored(TABLES, TableRow(digest, 8, None, 0.5))) for digest in digests]
    execute("INSERT INTO tables VALUES (:digest, :nbytes, :claim, :created_at, :checksum)", rows)
    assert [table.digest for table in metadata.tables.every_table()] == sorted(digests)


def test_text_comes_back_as_it_was(metadata: Metadata) -> None:
    """A spec's text keeps every character."""
    spec = '{"name":"η → ½ 😀 \\u0000 \\" \\\\"}' + "x" * 100_000
    metadata.tables.record("s", spec, _digest(1), 2**40)
    metadata.tables.publish(_digest(2), 2**40, spec)
    assert metadata.tables.specs_of(_digest(1))[0].spec == metadata.tables.claim(_digest(2)) == spec


def test_threads_agree_on_the_first(metadata: Metadata, at_once: AtOnce) -> None:
    """When threads record a spec at once, each with another digest, all get the same one back."""
    answers = at_once(32, lambda number: metadata.tables.record("s", _SPEC, _digest(number), 24))
    assert set(answers) == {metadata.tables.digest_of("s")}


def test_processes_agree_on_the_first(database_url: str) -> None:
    """Two processes that open an empty database at once agree on the digest of every spec."""
    script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from service.database.metadata import open_metadata
from service.settings import Settings
url, name = sys.argv[1:]
with closing(open_metadata(Settings(database_url=url, database_seconds=60))) as metadata:
    with ThreadPoolExecutor(8) as threads:
        print(*threads.map(lambda n: metadata.tables.record(str(n % 10), "{}", f"{name}{n}", 8), range(40)))
"""
    running = [_python(script, database_url, name) for name in "ab"]
    printed = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    (one, other) = [out.split() for out, _ in printed]
    assert len(one) == 40
    assert one == other


def test_a_crash_leaves_all_or_nothing(metadata: Metadata, database_url: str) -> None:
    """A process that is killed between the two rows of a record leaves neither row, and no lock."""
    script = """
import os, signal, sys
from service.database.checked_table import CheckedTable
from service.database.metadata import Metadata
insert_or_get = CheckedTable.insert_or_get
def deadly(self, connection, row):
    if self.table.name == "specs":
        os.kill(os.getpid(), signal.SIGKILL)
    return insert_or_get(self, connection, row)
CheckedTable.insert_or_get = deadly
Metadata(sys.argv[1], timeout_seconds=60).tables.record("s", "{}", "d", 8)
"""
    process = _python(script, database_url)
    _, errors = process.communicate()
    assert process.returncode == -9, errors
    assert [*metadata.tables.every_table(), *metadata.tables.every_spec()] == []
    assert metadata.tables.record("s", _SPEC, _digest(1), 24) == _digest(1)


def _python(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
