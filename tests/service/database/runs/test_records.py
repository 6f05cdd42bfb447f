"""Named runs in the database: one suite for SQLite and PostgreSQL."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from service.database.metadata import Metadata
from service.database.runs.records import LockedError, RunConflictError
from service.database.runs.rows import Author, RunEdit, RunHead, RunName, RunRow, RunTarget
from service.errors import DatabaseError

Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

NAME = RunName("team-a", "bert")
AUTHOR = Author("nightly", "id-1")
CREATE, MOVE = RunEdit("create", AUTHOR), RunEdit("move", AUTHOR)


def target(number: int) -> RunTarget:
    """The table of a digest, with a spec."""
    return RunTarget(f"{number:064x}", 8, "step", 1, "Constant", f"s{number}", '{"schedule":{},"total_steps":8}')


@pytest.fixture
def metadata(metadata: Metadata) -> Metadata:
    """Metadata with a few tables."""
    for number in range(1, 5):
        metadata.tables.record(f"s{number}", "{}", target(number).digest, 64)
    return metadata


def create(metadata: Metadata, number: int = 1, name: RunName = NAME, edit: RunEdit = CREATE) -> RunHead:
    """Create a run, which must be new."""
    head, made = metadata.runs.change(name, None, target(number), edit)
    assert made
    return head


def feed(metadata: Metadata) -> list[tuple[int, str, int, str]]:
    """What the feed has, in short."""
    return [(each.sequence, each.name, each.version, each.action) for each in metadata.changes.since(0)]


def test_a_run_is_created_with_all_that_is_said(metadata: Metadata) -> None:
    """What was recorded comes back: head, version and the entry in the feed."""
    before = time.time()
    edit = RunEdit("create", AUTHOR, "first", "https://example.com", labels={"a": "b"}, rules={"max_lr": 0.5})
    head = create(metadata, edit=edit)
    assert metadata.runs.head(NAME) == head
    assert metadata.runs.version(NAME, 1) == head.version
    assert head.version.target == target(1)
    assert (head.run.version, head.run.digest, head.run.kind) == (1, target(1).digest, "Constant")
    assert (head.run.labels, head.run.rules, head.run.locked, head.run.deleted) == ({"a": "b"}, {"max_lr": 0.5}, 0, 0)
    version = head.version
    assert (version.action, version.parent, version.from_step, version.amendment) == ("create", None, None, None)
    assert (version.author, version.token_id, version.reason) == ("nightly", "id-1", "first")
    assert before <= version.created_at <= time.time()
    [change] = metadata.changes.since(0)
    assert (change.sequence, change.namespace, change.name, change.version) == (1, "team-a", "bert", 1)
    assert (change.action, change.digest, change.author) == ("create", target(1).digest, "nightly")
    assert (change.created_at, change.reason) == (version.created_at, "first")
    assert metadata.runs.head(RunName("team-a", "gpt")) is None


def test_to_create_it_again_is_a_success(metadata: Metadata) -> None:
    """The same table again makes no version; another one, or a create of an existing run, is refused."""
    head = create(metadata)
    assert metadata.runs.change(NAME, None, target(1), CREATE) == (head, False)
    with pytest.raises(RunConflictError, match="at version 1") as refused:
        metadata.runs.change(NAME, None, target(2), CREATE)
    assert refused.value.run == head.run
    assert feed(metadata) == [(1, "bert", 1, "create")]


def test_a_move_takes_the_version_that_the_run_has(metadata: Metadata) -> None:
    """A move from the newest version makes the next one; from any other it is refused, and changes nothing."""
    create(metadata)
    moved, made = metadata.runs.change(NAME, 1, target(2), RunEdit("move", AUTHOR, from_step=3))
    assert made
    assert (moved.version.version, moved.version.parent, moved.version.from_step) == (2, 1, 3)
    for expected in (1, 3, -1):
        with pytest.raises(RunConflictError, match="at version 2"):
            metadata.runs.change(NAME, expected, target(3), MOVE)
    with pytest.raises(RunConflictError, match="no such run"):
        metadata.runs.change(RunName("team-a", "gpt"), 1, target(3), MOVE)
    assert metadata.runs.change(NAME, 2, target(2), MOVE) == (moved, False)
    assert metadata.runs.head(NAME) == moved
    assert feed(metadata) == [(1, "bert", 1, "create"), (2, "bert", 2, "move")]


def test_versions_stay(metadata: Metadata) -> None:
    """Every version can be read after any number of later ones, alone and in pages."""
    heads = [create(metadata)]
    for expected in range(1, 7):
        edit = RunEdit("rollback" if expected % 3 == 0 else "move", AUTHOR, f"number {expected}")
        head, _ = metadata.runs.change(NAME, expected, target(1 + expected % 4), edit)
        heads.append(head)
    create(metadata, name=RunName("team-a", "bert-2"))
    assert metadata.runs.versions(NAME) == [head.version for head in heads]
    assert [row.version for row in metadata.runs.versions(NAME, after=2, limit=3)] == [3, 4, 5]
    assert metadata.runs.version(NAME, 8) is None
    assert list(metadata.verify_rows()) == []


def test_a_locked_run_refuses_versions(metadata: Metadata) -> None:
    """Until it is unlocked, a locked run takes no new version; the version stays what it is."""
    create(metadata)
    assert metadata.runs.set(NAME, 1, AUTHOR, locked=True, reason="done").run.locked == 1
    assert metadata.runs.set(NAME, 1, AUTHOR, locked=True).run.locked == 1
    for edit, to in ((MOVE, target(2)), (RunEdit("delete", AUTHOR), None)):
        with pytest.raises(LockedError, match="team-a/bert is locked"):
            metadata.runs.change(NAME, 1, to, edit)
    assert metadata.runs.set(NAME, 1, AUTHOR, locked=False).run.version == 1
    metadata.runs.change(NAME, 1, target(2), MOVE)
    assert [action for *_, action in feed(metadata)] == ["create", "lock", "unlock", "move"]
    assert [each.reason for each in metadata.changes.since(1)] == ["done", None, None]


def test_labels_and_rules_are_replaced(metadata: Metadata) -> None:
    """What is given replaces what was there, each with an entry in the feed; what is not given is kept."""
    create(metadata, edit=RunEdit("create", AUTHOR, labels={"a": "b"}, rules={"max_lr": 0.5}))
    head = metadata.runs.set(NAME, 1, AUTHOR, labels={"c": "d"}, rules={"max_lr": 0.5})
    assert (head.run.labels, head.run.rules) == ({"c": "d"}, {"max_lr": 0.5})
    head, _ = metadata.runs.change(NAME, 1, target(2), RunEdit("move", AUTHOR, labels={}))
    assert (head.run.labels, head.run.rules) == ({}, {"max_lr": 0.5})
    head, made = metadata.runs.change(NAME, 2, target(2), RunEdit("move", AUTHOR, rules={}))
    assert (head.run.rules, head.run.version, made) == ({}, 2, False)
    with pytest.raises(RunConflictError, match="at version"):
        metadata.runs.set(NAME, 1, AUTHOR, labels={"e": "f"})
    assert [action for *_, action in feed(metadata)] == ["create", "labels", "move", "rules"]


def test_a_deleted_run_keeps_its_history(metadata: Metadata) -> None:
    """A tombstone is a version; the run counts as missing then, and is created anew as the next version."""
    create(metadata, edit=RunEdit("create", AUTHOR, labels={"a": "b"}))
    deleted, _ = metadata.runs.change(NAME, 1, None, RunEdit("delete", AUTHOR, "unused"))
    assert (deleted.run.deleted, deleted.version.version, deleted.version.target) == (1, 2, target(1))
    for expected in (1, 2):
        with pytest.raises(RunConflictError, match="at version"):
            metadata.runs.change(NAME, expected, target(2), MOVE)
        with pytest.raises(RunConflictError, match="at version"):
            metadata.runs.set(NAME, expected, AUTHOR, locked=True)
    again = create(metadata)
    assert (again.run.version, again.run.deleted, again.run.labels) == (3, 0, {})
    assert again.run.created_at == deleted.run.created_at
    assert [row.action for row in metadata.runs.versions(NAME)] == ["create", "delete", "create"]


def test_a_check_sees_the_head_and_can_stop_the_change(metadata: Metadata) -> None:
    """The check runs in the transaction, after the version was compared; what it raises leaves nothing behind."""
    create(metadata)
    seen: list[RunRow | None] = []

    def refuse(connection: Connection, run: RunRow | None) -> None:
        seen.append(run)
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        metadata.runs.change(NAME, 1, target(2), MOVE, refuse)
    with pytest.raises(RunConflictError, match="at version"):
        metadata.runs.change(NAME, 7, target(2), MOVE, refuse)
    head = metadata.runs.head(NAME)
    assert head is not None
    assert (seen, head.run.version, len(feed(metadata))) == ([head.run], 1, 1)


def test_a_table_without_a_row_is_refused(metadata: Metadata) -> None:
    """A run names no table that `gc` may delete."""
    with pytest.raises(DatabaseError, match="no row"):
        metadata.runs.change(NAME, None, target(9), CREATE)
    assert metadata.runs.head(NAME) is None


def test_of_many_at_once_one_creates_and_one_moves(metadata: Metadata, at_once: AtOnce) -> None:
    """Of threads with one expectation exactly one makes the version; the feed has each version once."""

    def work(expected: int | None, number: int) -> str:
        edit, to = (CREATE, target(1)) if expected is None else (MOVE, target(2 + number % 3))
        try:
            head, made = metadata.runs.change(NAME, expected, to, edit)
        except RunConflictError:
            return "refused"
        return "made" if made else f"kept {head.run.version}"

    created = at_once(16, lambda number: work(None, number))
    assert sorted(created) == ["kept 1"] * 15 + ["made"]
    moved = at_once(16, lambda number: work(1, number))
    assert sorted(moved) == ["made"] + ["refused"] * 15
    assert feed(metadata) == [(1, "bert", 1, "create"), (2, "bert", 2, "move")]


def test_different_runs_are_numbered_without_a_gap(metadata: Metadata, at_once: AtOnce) -> None:
    """Runs that change at the same time share one feed, in which each change has the next number."""

    def work(number: int) -> str:
        name = RunName("team-a", f"run-{number}")
        metadata.runs.change(name, None, target(1), CREATE)
        for expected in range(1, 5):
            metadata.runs.change(name, expected, target(1 + expected % 2), MOVE)
        return "done"

    at_once(8, work)
    found = feed(metadata)
    assert [sequence for sequence, *_ in found] == list(range(1, 41))
    for number in range(8):
        assert [version for _, name, version, _ in found if name == f"run-{number}"] == [1, 2, 3, 4, 5]
