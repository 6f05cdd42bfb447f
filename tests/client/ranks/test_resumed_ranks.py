"""Jobs that are resumed: the checkpoint's table wins, and what the run has become is reported or followed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from client.distributed import share_table
from client.lr_scheduler import TableLR
from client.pinned_table import PinnedTable
from scheduler import ScheduleWarning, Table
from scheduler.custom import WarmupWithDecay
from tests.support.client.ranks import FolderService, as_ranks
from tests.support.client.tables import RATES, make_sgd, make_table

RUN = "team/bert"
LATER = make_table([*RATES[:6], *[0.5] * 6])  # an amendment from row 6 on


def saved(position: int) -> dict[str, Any]:
    return TableLR(make_sgd(), PinnedTable(make_table(), run=RUN, version=1), start=position).state_dict()


def test_the_checkpoint_wins_and_a_moved_run_is_reported(tmp_path: Path, service: FolderService) -> None:
    """A job that is resumed keeps its checkpoint's table; rank 0 warns of both versions and the first difference."""
    service.move(RUN, make_table())
    service.move(RUN, LATER, action="amend", from_step=6)
    expected = (
        rf"the checkpoint has version 1 of team/bert \(table {make_table().digest[:12]}\), and the newest is version 2 "
        rf"of team/bert \(table {LATER.digest[:12]}\): they differ first in row 6, lr: {RATES[6]} and 0.5"
    )
    with pytest.warns(ScheduleWarning, match=expected):
        found = as_ranks(2, tmp_path, lambda ranks: share_table(service, RUN, group=ranks, checkpoint=saved(4)))
    assert found == [make_table()] * 2
    assert [each.version for each in found if isinstance(each, PinnedTable)] == [1, 1]


def test_a_warning_that_is_an_error_stops_rank_0_alone(tmp_path: Path, service: FolderService) -> None:
    """Where a warning is raised, the other ranks have their table already, and wait for nothing."""
    service.move(RUN, make_table())
    service.move(RUN, LATER, action="amend", from_step=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = as_ranks(
            2, tmp_path, lambda ranks: share_table(service, RUN, group=ranks, checkpoint=saved(4), timeout=10.0)
        )
    assert [type(each) for each in found] == [ScheduleWarning, PinnedTable]


@pytest.mark.parametrize("position", [4, 6])
def test_a_resumed_job_may_follow_its_run(tmp_path: Path, service: FolderService, position: int) -> None:
    """With follow=True a job goes on with the newest version, which repeats the rows that were applied."""
    service.move(RUN, make_table())
    service.move(RUN, LATER, action="amend", from_step=6)
    state = saved(position)
    found = as_ranks(2, tmp_path, lambda ranks: share_table(service, RUN, group=ranks, checkpoint=state, follow=True))
    assert found == [LATER] * 2
    for table in found:
        assert isinstance(table, PinnedTable)
        scheduler = TableLR(make_sgd(), table)
        scheduler.load_state_dict(state)
        assert (scheduler.last_epoch, scheduler.version) == (position, 2)
        assert scheduler.get_last_lr() == [LATER.get_lr(position)]


def test_a_branch_behind_the_checkpoint_is_not_followed(tmp_path: Path, service: FolderService) -> None:
    """A version that differs in a row that was applied is reported with its reason, and the checkpoint's is kept."""
    service.move(RUN, make_table())
    service.move(RUN, LATER, action="rewind", from_step=6)
    message = "Going on with the checkpoint's, because the tables differ in a row that has been applied: row 6, lr"
    with pytest.warns(ScheduleWarning, match=message):
        found = as_ranks(2, tmp_path, lambda ranks: share_table(service, group=ranks, checkpoint=saved(7), follow=True))
    assert found == [make_table()] * 2


def test_a_changed_schedule_is_reported(tmp_path: Path, service: FolderService) -> None:
    """A job that is resumed with another schedule in its script keeps the checkpoint's table, and says so."""
    service.publish(make_table())
    state = TableLR(make_sgd(), make_table(), start=4).state_dict()
    schedule = WarmupWithDecay(0.1, 1, 10)
    with pytest.warns(
        ScheduleWarning, match=r"the checkpoint has table .*, and the newest is table .*: they differ first"
    ):
        found = as_ranks(2, tmp_path, lambda ranks: share_table(service, schedule, group=ranks, checkpoint=state))
    assert found == [make_table()] * 2


def test_a_service_that_is_away_does_not_stop_a_cached_job(
    tmp_path: Path, service: FolderService, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the head cannot be asked, and the checkpoint's table is in the cache, the job goes on; the log says so."""
    service.move(RUN, make_table())

    class Cached(FolderService):
        def get(self, digest: Any) -> Table:
            return self.table(digest)

    cached = Cached(service.away.parent)
    cached.away.touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = as_ranks(2, tmp_path, lambda ranks: share_table(cached, RUN, group=ranks, checkpoint=saved(4)))
    assert found == [make_table()] * 2
    assert "whether run 'team/bert' has moved on is not known: the folder is away" in caplog.text
