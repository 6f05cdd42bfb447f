"""Damage to runs: it is reported, it stops nothing else, and a backup brings everything back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from service.database.checked_table import DamagedRowError
from service.database.metadata import Metadata
from service.database.runs.listing import RunFilter
from service.database.runs.rows import Author, RunEdit, RunName, RunTarget
from service.database.schema import CHANGES, RUN_VERSIONS, RUNS

Execute = Callable[..., list[dict[str, Any]]]
OpenDatabase = Callable[..., Metadata]

NAME, OTHER = RunName("team-a", "bert"), RunName("team-b", "gpt")
AUTHOR = Author("nightly", "id-1")
COLUMNS = [
    pytest.param(table, column.name, id=f"{table.name}.{column.name}")
    for table in (RUNS, RUN_VERSIONS, CHANGES)
    for column in table.columns
]


def target(number: int) -> RunTarget:
    """The table of a digest."""
    return RunTarget(f"{number:064x}", 8, "step", 1, "Constant", f"s{number}", '{"schedule":{},"total_steps":8}')


@pytest.fixture
def metadata(metadata: Metadata) -> Metadata:
    """Metadata with two runs, one of them with three versions."""
    for number in range(1, 4):
        metadata.tables.record(f"s{number}", "{}", target(number).digest, 64)
    edit = RunEdit("create", AUTHOR, "first", "x", labels={"é": '"'}, rules={"max_lr": 0.1, "margin_steps": 5})
    metadata.runs.change(NAME, None, target(1), edit)
    metadata.runs.change(NAME, 1, target(2), RunEdit("amend", AUTHOR, from_step=3, amendment='{"template":"hold"}'))
    metadata.runs.change(NAME, 2, None, RunEdit("delete", AUTHOR))
    metadata.runs.change(OTHER, None, target(3), RunEdit("create", AUTHOR))
    metadata.runs.set(OTHER, 1, AUTHOR, locked=True)
    return metadata


def damage(execute: Execute, table: Table, column: str) -> None:
    """Change a character, or a number, in the rows of one run."""
    is_text = table.columns[column].type.python_type is str
    changed = f"'!' || substr({column}, 2)" if is_text else f"coalesce({column}, 0) + 7"
    execute(f"UPDATE {table.name} SET {column} = {changed} WHERE name = 'bert'")


def read_all(metadata: Metadata) -> None:
    """Read the feed, and the run under each name that it may have by now."""
    metadata.changes.since(0)
    names = (NAME, RunName("team-a", "!ert"), RunName("!eam-a", "bert"))
    for name in names:
        metadata.runs.versions(name)
    for name in names:
        metadata.runs.head(name)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_damage_is_reported_and_refused(
    metadata: Metadata, execute: Execute, tmp_path: Path, table: Table, column: str
) -> None:
    """A change in any column is reported by `verify`, refused by what reads the row, and kept out of a backup."""
    assert list(metadata.verify_rows()) == []
    before = execute(f"SELECT count(*) AS n FROM {table.name}")
    damage(execute, table, column)
    assert any(f"{table.name} " in line and "checksum" in line for line in metadata.verify_rows())
    with pytest.raises(DamagedRowError, match=f"{table.name} .*does not match its checksum"):
        metadata.backup(tmp_path / "backup")
    with pytest.raises(DamagedRowError, match=f"{table.name} .*does not match its checksum"):
        read_all(metadata)
    head = metadata.runs.head(OTHER)
    assert head is not None
    assert (head.run.version, head.run.locked) == (1, 1)
    assert execute(f"SELECT count(*) AS n FROM {table.name}") == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "DELETE FROM run_versions WHERE name = 'bert' AND version = 3",
            ["run team-a/bert has no version 3 with its table, which is its head"],
        ),
        ("DELETE FROM run_versions WHERE version = 2", ["run team-a/bert has 2 versions, and the newest is 3"]),
        ("DELETE FROM runs WHERE name = 'bert'", ["run team-a/bert has versions, but no head"]),
        (
            f"DELETE FROM tables WHERE digest = '{target(1).digest}'",
            [
                f"specs s1: there is no row for its table {target(1).digest}",
                f"run team-a/bert, version 1: there is no row for its table {target(1).digest}",
            ],
        ),
        ("DELETE FROM changes WHERE sequence = 2", ["changes 2 to 2 are missing"]),
    ],
)
def test_a_contradiction_is_reported(metadata: Metadata, execute: Execute, statement: str, said: list[str]) -> None:
    """A row that is missing is found by those that need it."""
    execute(statement)
    assert list(metadata.verify_rows()) == said


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_has_all_of_a_run(
    metadata: Metadata, open_database: OpenDatabase, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    """Restored into either kind of database, runs have every version, and the feed every change."""
    metadata.backup(tmp_path / "backup")
    sqlite = f"sqlite:///{tmp_path / 'restored.sqlite'}"
    url = sqlite if kind == "sqlite" else request.getfixturevalue("postgres").url()
    restored = open_database(url)
    restored.restore(tmp_path / "backup")
    assert restored.runs.versions(NAME) == metadata.runs.versions(NAME)
    assert [restored.runs.head(name) for name in (NAME, OTHER)] == [metadata.runs.head(name) for name in (NAME, OTHER)]
    assert restored.changes.since(0) == metadata.changes.since(0)
    assert restored.runs.page(RunFilter()) == metadata.runs.page(RunFilter())
    assert list(restored.verify_rows()) == []
    restored.backup(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "backup").read_bytes()
    restored.runs.change(NAME, None, target(1), RunEdit("create", AUTHOR))
    assert [change.sequence for change in restored.changes.since(0)] == [1, 2, 3, 4, 5, 6]


def test_a_table_that_a_version_names_is_kept(metadata: Metadata, execute: Execute) -> None:
    """`gc` marks no table of any version of a run, of a deleted one too, even where the table's own row is lost."""
    digests = [target(number).digest for number in (1, 2, 3)]
    assert [metadata.tables.mark_for_deletion(digest) for digest in digests] == [False] * 3
    execute("DELETE FROM tables")
    assert [metadata.tables.mark_for_deletion(digest) for digest in digests] == [False] * 3
    assert metadata.tables.mark_for_deletion(target(9).digest)
