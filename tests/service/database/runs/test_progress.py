"""Reports of workers in the database: one suite for SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from service.database.metadata import Metadata
from service.database.runs import progress
from service.database.runs.progress import TooManyWorkersError
from service.database.runs.rows import Author, RunEdit, RunName, RunRow, RunTarget

Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

NAME, OTHER = RunName("team-a", "bert"), RunName("team-a", "gpt")
TARGET = RunTarget("1" * 64, 8, "step", 1)


@pytest.fixture
def metadata(metadata: Metadata) -> Metadata:
    """Metadata with two runs of one table."""
    metadata.tables.record("s1", "{}", TARGET.digest, 64)
    for name in (NAME, OTHER):
        metadata.runs.change(name, None, TARGET, RunEdit("create", begins_branch=True))
    return metadata


def report(metadata: Metadata, name: RunName, worker: str, step: int, version: int | None = None) -> int | None:
    """Report a position; return the highest one of the run then."""
    found = metadata.progress.report(name, worker, step, version)
    assert found is not None
    return found.highest


def steps(metadata: Metadata, name: RunName = NAME) -> dict[str, int]:
    """The positions of a run's workers."""
    return {row.worker: row.step for row in metadata.progress.reports(name)}


def test_the_last_report_of_each_worker_is_kept(metadata: Metadata) -> None:
    """Reports replace each other; the highest one is that of all workers of the run."""
    assert report(metadata, NAME, "rank-0", 5) == 5
    assert report(metadata, NAME, "rank-1", 9) == 9
    assert report(metadata, NAME, "rank-1", 3) == 5
    assert report(metadata, OTHER, "rank-0", 99) == 99
    assert steps(metadata) == {"rank-0": 5, "rank-1": 3}
    highest = metadata.progress.highest_now(NAME)
    assert highest is not None
    assert (highest.worker, highest.step) == ("rank-0", 5)
    assert metadata.progress.highest_now(RunName("team-a", "t5")) is None
    assert list(metadata.verify_rows()) == []


def test_reports_at_the_same_moment_are_all_kept(metadata: Metadata, at_once: AtOnce) -> None:
    """Sixteen workers, and one worker sixteen times, lose nothing and wait for nobody for long."""
    at_once(16, lambda number: f"{metadata.progress.report(NAME, f'rank-{number}', number)}")
    assert steps(metadata) == {f"rank-{number}": number for number in range(16)}
    at_once(16, lambda number: f"{metadata.progress.report(OTHER, 'rank-0', number)}")
    assert len(steps(metadata, OTHER)) == 1


def test_more_than_a_thousand_workers_are_listed(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are read in pages; a run takes only so many workers, and those it has may go on reporting."""
    monkeypatch.setattr(progress, "MOST_WORKERS", 30)
    monkeypatch.setattr("service.database.checked_table._PAGE", 7)
    for number in range(30):
        metadata.progress.report(NAME, f"rank-{number:02d}", number)
    assert steps(metadata) == {f"rank-{number:02d}": number for number in range(30)}
    with pytest.raises(TooManyWorkersError, match="team-a/bert has 30 workers"):
        metadata.progress.report(NAME, "rank-30", 30)
    assert report(metadata, NAME, "rank-00", 31) == 31


def test_a_damaged_report_is_passed_over(metadata: Metadata, execute: Execute) -> None:
    """The highest intact report counts; the damaged one is dropped."""
    for number in range(10):
        metadata.progress.report(NAME, f"rank-{number}", number)
    execute("UPDATE run_progress SET step = step + 1000 WHERE worker > 'rank-3'")
    highest = metadata.progress.highest_now(NAME)
    assert highest is not None
    assert highest.step == 3
    assert set(steps(metadata)) == {"rank-0", "rank-1", "rank-2", "rank-3"}


def test_a_report_waits_for_a_change_of_its_run(metadata: Metadata) -> None:
    """While a change is being made, a report of its run waits until it is done; then it is kept."""
    reported = threading.Event()

    def work() -> None:
        metadata.progress.report(NAME, "rank-0", 5)
        reported.set()

    thread = threading.Thread(target=work)

    def check(connection: Connection, run: RunRow | None) -> None:
        metadata.progress.clear(connection, NAME)
        thread.start()
        assert not reported.wait(0.5)
        assert metadata.progress.highest(connection, NAME) is None

    metadata.runs.change(NAME, 1, TARGET, RunEdit("rewind"), check)
    thread.join(60)
    assert reported.is_set()
    assert steps(metadata) == {"rank-0": 5}


def test_a_run_that_is_not_there_keeps_no_report(metadata: Metadata) -> None:
    """Nothing is written for a run that does not exist, or that was deleted."""
    assert metadata.progress.report(RunName("team-a", "t5"), "rank-0", 5) is None
    metadata.runs.change(NAME, 1, None, RunEdit("delete"))
    found = metadata.progress.report(NAME, "rank-0", 5)
    assert found is not None
    assert (found.run.deleted, found.counted, found.highest) == (1, False, None)
    assert steps(metadata) == {}


def test_reports_of_a_branch_that_was_left_do_not_count(metadata: Metadata) -> None:
    """After a rewind the reports of workers at an older version are not kept; those without a version are."""
    assert report(metadata, NAME, "rank-0", 7, 1) == 7
    edit = RunEdit("rewind", begins_branch=True)
    metadata.runs.change(NAME, 1, TARGET, edit, lambda connection, _: metadata.progress.clear(connection, NAME))
    late = metadata.progress.report(NAME, "rank-0", 8, 1)
    assert late is not None
    assert (late.counted, late.highest, late.run.version) == (False, None, 2)
    assert report(metadata, NAME, "rank-1", 3, 2) == 3
    assert report(metadata, NAME, "rank-0", 9, 1) == 3
    assert steps(metadata) == {"rank-1": 3}
    metadata.runs.change(NAME, 2, TARGET, RunEdit("amend"))
    assert report(metadata, NAME, "rank-0", 4, 2) == 4  # it has not learned of the amendment, and counts
    assert report(metadata, NAME, "rank-2", 5) == 5
    assert [(row.worker, row.version) for row in metadata.progress.reports(NAME)] == [
        ("rank-0", 2),
        ("rank-1", 2),
        ("rank-2", None),
    ]
    assert list(metadata.verify_rows()) == []


def test_reports_are_forgotten_with_an_entry_in_the_feed(metadata: Metadata) -> None:
    """One worker's, or all; whoever did it is in the feed, once, and only where there was something to forget."""
    for number in range(3):
        report(metadata, NAME, f"rank-{number}", number)
    author = Author("anna", "id-1")
    assert metadata.progress.forget(NAME, "rank-1", author) == ["rank-1"]
    assert metadata.progress.forget(NAME, "rank-1", author) == []
    assert steps(metadata) == {"rank-0": 0, "rank-2": 2}
    assert metadata.progress.forget(NAME, None, author) == ["rank-0", "rank-2"]
    assert metadata.progress.forget(RunName("team-a", "t5"), None, author) == []
    told = [(each.action, each.author, each.details) for each in metadata.changes.since(2)]
    assert told == [("forget", "anna", {"worker": "rank-1"}), ("forget", "anna", {"workers": 2})]
