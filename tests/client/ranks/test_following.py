"""Trainings that follow their run: every rank switches at the same step, or none does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.optim import SGD

from client import ClientError, NotAllowedError, RanksDisagreeError
from client.distributed import Follower, follow, share_table
from client.lr_scheduler import TableLR
from client.ranks.file_group import FileGroup
from scheduler import ScheduleWarning, Table
from tests.support.client.ranks import FolderService, as_ranks, messages
from tests.support.client.tables import RATES, make_sgd, make_table
from tests.support.client.training import make_groups, update

RUN = "team/bert"
SIZE = 3
LATER = make_table([*RATES[:6], *[0.5] * 6])  # an amendment from row 6 on
PATIENCE = 30.0  # seconds


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def train(
    ranks: FileGroup,
    service: FolderService,
    at_step: Callable[[int], None],
    steps: int = 12,
    **options: Any,
) -> list[float]:
    """The rates of a rank's updates; rank 0 calls `at_step` before each."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, share_table(service, RUN, group=ranks, optimizer=optimizer))
    applied = []
    with follow(scheduler, service, group=ranks, **{"every": 2, "poll": 0.005, **options}) as follower:
        for step in range(steps):
            if ranks.rank == 0:
                at_step(step)
            applied.append(optimizer.param_groups[0]["lr"])
            update(optimizer)
            scheduler.step()
            follower.step()
    return applied


def moving(
    service: FolderService, table: Table, *, at: int = 3, ready: bool = True, **how: Any
) -> Callable[[int], None]:
    """At a step, give the run another version, and wait until rank 0's thread has its table."""

    def at_step(step: int) -> None:
        if step == at:
            service.asked.clear()
            service.move(RUN, table, **how)  # which asks for the run once itself
            wanted = f"get {table.digest}" if ready else f"run {RUN}"
            until(lambda: service.asked.count(wanted) >= (1 if ready else 4))
            until(lambda: service.asked[-1] != wanted or not ready)  # the next question: so the table is in its place

    return at_step


def test_an_amendment_is_taken_up_by_all_at_the_same_step(tmp_path: Path, service: FolderService) -> None:
    """A version that comes in mid-training is in force on every rank from its first step, whoever is slow."""
    service.move(RUN, make_table())

    def work(ranks: FileGroup) -> list[float]:
        def at_step(step: int) -> None:
            moving(service, LATER, action="amend", from_step=6)(step)

        if ranks.rank == 2:
            time.sleep(0.2)
        return train(ranks, service, at_step)

    assert as_ranks(SIZE, tmp_path, work) == [LATER.lr.tolist()] * SIZE


def test_the_step_of_the_switch_is_the_same(tmp_path: Path, service: FolderService) -> None:
    """The call in which the table is taken up has the same number on each rank, and the new version is remembered."""
    service.move(RUN, make_table())

    def work(ranks: FileGroup) -> tuple[list[bool], dict[str, Any]]:
        optimizer = make_sgd()
        scheduler = TableLR(optimizer, share_table(service, RUN, group=ranks))
        switched = []
        with follow(scheduler, service, group=ranks, every=2, poll=0.005) as follower:
            for step in range(6):
                if ranks.rank == 0:
                    moving(service, LATER, at=1)(step)
                update(optimizer)
                scheduler.step()
                switched.append(follower.step())
        return switched, scheduler.state_dict()

    found = as_ranks(SIZE, tmp_path, work)
    assert found == found[:1] * SIZE
    assert not isinstance(found[0], Exception)
    switched, state = found[0]
    assert switched == [False, True, False, False, False, False]
    assert (state["run"], state["version"], state["digest"]) == (RUN, 2, LATER.digest)


def test_a_rewind_to_a_step_ahead_is_taken_up(tmp_path: Path, service: FolderService) -> None:
    """A rewind whose table repeats every row applied so far is in force from its first step, as any version is."""
    service.move(RUN, make_table())
    at_step = moving(service, LATER, action="rewind", from_step=6)
    assert as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, service, at_step)) == [LATER.lr.tolist()] * SIZE


def test_a_rewind_behind_the_training_is_reported(tmp_path: Path, service: FolderService) -> None:
    """A rewind to a row that was applied changes nothing in a running job: it says where to restart."""
    service.move(RUN, make_table())
    at_step = moving(service, make_table([*RATES[:2], *[0.5] * 8]), action="rewind", from_step=2)
    message = (
        "version 2 of run team/bert is not taken up at step 4, and 1 stays: .*row 2, .*takes a restart from a check"
    )
    with pytest.warns(ScheduleWarning, match=message) as caught:
        found = as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, service, at_step, 10))
    assert found == [RATES] * SIZE
    assert len(caught) == 1


def test_factors_that_give_no_rate_are_taken_up_by_none(tmp_path: Path, service: FolderService) -> None:
    """A relative table whose product is no rate on one rank is reported before any rank takes it up."""
    service.move(RUN, make_table())

    def work(ranks: FileGroup) -> bool:
        optimizer = SGD(make_groups(1), lr=1e6 if ranks.rank == 1 else 1.0)
        scheduler = TableLR(optimizer, share_table(service, RUN, group=ranks), relative=True)
        with follow(scheduler, service, group=ranks, every=1, poll=0.005) as follower:
            if ranks.rank == 0:
                moving(service, make_table([*RATES[:6], 1e10]), at=0)(0)
            return follower.step()

    message = r"and 1 stays: rank 1: lr of group 0 must be from 0 to 1e\+12, got"
    with pytest.warns(ScheduleWarning, match=message):
        assert as_ranks(SIZE, tmp_path, work) == [False] * SIZE


def test_a_version_that_changes_an_applied_row_is_refused_by_all(tmp_path: Path, service: FolderService) -> None:
    """A move to a table that differs in a row that was applied is reported with the row, and nobody switches."""
    service.move(RUN, make_table())
    at_step = moving(service, make_table([*RATES[:2], *[0.5] * 8]))
    message = "ranks 0-2: the tables differ in a row that has been applied: row 2, lr"
    with pytest.warns(ScheduleWarning, match=message):
        found = as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, service, at_step, 10))
    assert found == [RATES] * SIZE


def test_a_table_that_comes_too_late_is_not_taken_up(tmp_path: Path, service: FolderService) -> None:
    """Where rank 0 cannot get the table before its first step, nobody switches, and the warning says why."""
    service.move(RUN, make_table())

    class Half(FolderService):
        """Knows the run's versions, and cannot send the new table."""

        def table(self, digest: str) -> Table:
            if digest == LATER.digest:
                self.asked.append("refused")
                raise ClientError("the bucket is on fire")
            return super().table(digest)

    half = Half(service.away.parent)

    def at_step(step: int) -> None:
        if step == 3:
            service.move(RUN, LATER, action="amend", from_step=6)
        if step == 7:
            until(lambda: "refused" in half.asked)

    message = "its table did not come before step 6 .the bucket is on fire."
    with pytest.warns(ScheduleWarning, match=message) as caught:
        found = as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, half, at_step, 10))
    assert found == [RATES] * SIZE
    assert len(caught) == 1


def test_a_table_damaged_on_its_way_to_one_rank_is_taken_up_by_none(tmp_path: Path, service: FolderService) -> None:
    """Where one rank cannot have the table, nobody switches, and the rank is named."""
    service.move(RUN, make_table())
    at_step = moving(service, LATER, action="amend", from_step=6)

    class Noisy(FileGroup):
        """A group in which what is large and comes late arrives with a flipped bit."""

        def broadcast(self, data: bytes | bytearray | None, *, source: int, timeout: float) -> memoryview:
            sent = bytearray(super().broadcast(data, source=source, timeout=timeout))
            if self.rank == 2 and LATER.digest.encode() in sent and len(sent) > 300:
                sent[-3] ^= 1
            return memoryview(sent).toreadonly()

    def work(ranks: FileGroup) -> list[float]:
        return train(Noisy(tmp_path / "noisy", ranks.rank, SIZE), service, at_step, 10)

    with pytest.warns(ScheduleWarning, match="and 1 stays: rank 2: damaged table"):
        found = as_ranks(SIZE, tmp_path, work)
    assert found == [RATES] * SIZE


def test_a_service_that_is_away_leaves_the_table_in_force(
    tmp_path: Path, service: FolderService, caplog: pytest.LogCaptureFixture
) -> None:
    """While rank 0 cannot reach the service the training goes on as it was; once it can, it follows again."""
    service.move(RUN, make_table())

    def at_step(step: int) -> None:
        if step == 1:
            service.away.touch()
            service.asked.clear()
            until(lambda: service.asked.count(f"run {RUN}") + service.asked.count("report") > 2)
        if step == 3:
            service.away.unlink()
            moving(service, LATER, action="amend", from_step=6)(step)

    assert as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, service, at_step)) == [LATER.lr.tolist()] * SIZE
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said.startswith(f"run {RUN}: its table stays in force; following it meets a problem: the service does not")


def test_a_version_with_the_same_table_is_only_a_new_number(tmp_path: Path, service: FolderService) -> None:
    """A rollback to the same values changes no rate; the version after it is taken up all the same."""
    service.move(RUN, make_table())
    versions = []

    def at_step(step: int) -> None:
        moving(service, make_table(), at=1, action="rollback")(step)
        moving(service, LATER, at=3)(step)
        versions.append(step)

    assert as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, service, at_step)) == [LATER.lr.tolist()] * SIZE


def test_rank_0_reports_the_position(tmp_path: Path, service: FolderService) -> None:
    """The thread of rank 0 reports the start at once, the position of an agreement when it is new, and the end."""
    service.move(RUN, make_table())
    log = service.away.parent / "progress"

    def at_step(step: int) -> None:
        if step in (2, 4):
            until(lambda: log.exists() and log.read_text().endswith(f" {step}\n"))

    as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, service, at_step, 5))
    assert log.read_text() == "".join(f"team/bert rank-0 {step}\n" for step in (0, 2, 4, 5))
    as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, service, lambda _: time.sleep(0.02), 5, report=False))
    assert log.read_text().count("\n") == 4


def test_ranks_at_different_steps_stop(tmp_path: Path, service: FolderService) -> None:
    """A rank that has stepped once more than the others is found at the next agreement."""
    service.move(RUN, make_table())

    def work(ranks: FileGroup) -> list[float]:
        scheduler = TableLR(make_sgd(), share_table(service, RUN, group=ranks))
        with follow(scheduler, service, group=ranks, every=1) as follower:
            scheduler.set_progress(3 if ranks.rank == 1 else 2)
            follower.step()
        return []

    found = as_ranks(SIZE, tmp_path, work)
    assert {type(error) for error in found} == {RanksDisagreeError}
    assert messages(found) == {"the ranks differ in their position, in steps: ranks 0, 2: 2; rank 1: 3"}


def test_a_service_that_takes_no_reports_is_followed_all_the_same(
    tmp_path: Path, service: FolderService, caplog: pytest.LogCaptureFixture
) -> None:
    """Where reports are refused, for instance for want of a scope, versions are taken up, and the log says it once."""
    service.move(RUN, make_table())

    class Deaf(FolderService):
        def report_progress(self, *_: Any, **__: Any) -> None:
            raise NotAllowedError("/v1/runs/team/bert/progress", 403, b"{}", True)

    deaf = Deaf(service.away.parent)
    at_step = moving(deaf, LATER, action="amend", from_step=6)
    assert as_ranks(SIZE, tmp_path, lambda ranks: train(ranks, deaf, at_step)) == [LATER.lr.tolist()] * SIZE
    assert caplog.text.count("the token that was sent does not allow this") == 1


def test_a_bug_in_the_thread_does_not_end_it(
    tmp_path: Path, service: FolderService, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that is none of the client's is logged with its traceback, and the thread asks again."""
    service.move(RUN, make_table())

    class Odd(FolderService):
        def report_progress(self, *_: Any, **__: Any) -> None:
            raise ZeroDivisionError("odd")

    odd = Odd(service.away.parent)
    as_ranks(1, tmp_path, lambda ranks: train(ranks, odd, lambda _: time.sleep(0.02), 5))
    assert "ZeroDivisionError: odd" in caplog.text


def test_what_cannot_be_followed_is_refused(service: FolderService) -> None:
    """Without a run, or with an interval that is none, there is nothing to follow."""
    scheduler = TableLR(make_sgd(), make_table())
    with pytest.raises(ValueError, match="run must be given: the scheduler's table came from no run"):
        follow(scheduler, service)
    with pytest.raises(ValueError, match="every must be a whole number of steps from 1, got 0"):
        follow(scheduler, service, RUN, every=0)
    with pytest.raises(ValueError, match="poll must be a number of seconds above 0, got 0"):
        follow(scheduler, service, RUN, poll=0)


def test_a_follower_that_is_forgotten_ends_its_thread(service: FolderService) -> None:
    """A follower that nobody closed stops asking when it is collected, and keeps no scheduler alive."""
    service.move(RUN, make_table())
    follower: Follower | None = follow(TableLR(make_sgd(), make_table()), service, RUN, poll=0.005)
    until(lambda: len(service.asked) > 2)
    assert follower is not None
    del follower
    time.sleep(0.1)
    service.asked.clear()
    time.sleep(0.1)
    assert len(service.asked) <= 1
