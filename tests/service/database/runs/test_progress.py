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
from service.database.runs.rows import RunEdit, RunName, RunRow, RunTarget

Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

NAME, OTHER = RunName("team-a", "bert"), RunName("team-a", "gpt")


def steps(metadata: Metadata, name: RunName = NAME) -> dict[str, int]:
    """The positions of a run's workers."""
    return {row.worker: row.step for row in metadata.progress.reports(name)}


def test_the_last_report_of_each_worker_is_kept(metadata: Metadata) -> None:
    """Reports replace each other; the highest one is that of all workers of the run."""
    assert metadata.progress.report(NAME, "rank-0", 5) == 5
    assert metadata.progress.report(NAME, "rank-1", 9) == 9
    assert metadata.progress.report(NAME, "rank-1", 3) == 5
    assert metadata.progress.report(OTHER, "rank-0", 99) == 99
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
    assert metadata.progress.report(NAME, "rank-00", 31) == 31


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
    metadata.tables.record("s1", "{}", "1" * 64, 64)
    target = RunTarget("1" * 64, 8, "step", 1)
    metadata.runs.change(NAME, None, target, RunEdit("create"))
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

    metadata.runs.change(NAME, 1, target, RunEdit("rewind"), check)
    thread.join(60)
    assert reported.is_set()
    assert steps(metadata) == {"rank-0": 5}
