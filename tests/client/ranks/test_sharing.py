"""Ranks that get one table, and prove that they have it; each is a thread with a group of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.optim import SGD

from client import DigestMismatchError, RankFailedError, RanksDisagreeError, RankTimeoutError
from client.distributed import Strategy, share_table
from client.lr_scheduler import TableLR
from client.pinned_table import PinnedTable
from client.ranks.file_group import FileGroup
from client.ranks.resolution import Source
from scheduler import Spec, Table
from scheduler.compose import Literal
from scheduler.custom import WarmupWithDecay
from tests.support.client.ranks import FolderService, as_ranks, messages
from tests.support.client.tables import RATES, make_sgd, make_table
from tests.support.client.training import make_groups

SIZE = 3
STRATEGIES: list[Strategy] = ["rank0", "node", "all"]
RUN = "team/bert"


def share_in(folder: Path, share: Callable[..., PinnedTable]) -> list[PinnedTable | Exception]:
    return as_ranks(SIZE, folder, lambda ranks: share(group=ranks))


def one_ulp(table: Table, row: int) -> Table:
    """The table with the next larger number in one row."""
    rates = table.lr.copy()
    rates[row] = math.nextafter(rates[row], 1)
    return Table({"lr": rates})


# -- getting it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_rank_gets_the_table_of_a_run(tmp_path: Path, service: FolderService, strategy: Strategy) -> None:
    """By every strategy each rank has the run's table, with the run and the version that rank 0 resolved."""
    service.move(RUN, make_table())
    service.move(RUN, make_table(RATES[::-1]))
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(service, RUN, group=ranks, strategy=strategy))
    assert found == [make_table(RATES[::-1])] * SIZE
    assert [(each.run, each.version) for each in found if isinstance(each, PinnedTable)] == [(RUN, 2)] * SIZE
    assert service.asked.count(f"run {RUN}") == 2 + 1
    assert (
        service.asked.count(f"get {make_table(RATES[::-1]).digest}")
        == {"rank0": 1, "node": SIZE, "all": SIZE}[strategy]
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_schedule_a_spec_and_a_digest_are_shared_too(
    tmp_path: Path, service: FolderService, strategy: Strategy
) -> None:
    """A schedule, a spec and a table's digest give every rank the same table, which has no run."""
    schedule = WarmupWithDecay(0.1, 10, 100)
    digest = service.publish(make_table())
    sources: list[Source] = [schedule, Spec(schedule=schedule, total_steps=100), digest]
    for number, what in enumerate(sources):
        share = partial(share_table, service, what, strategy=strategy)
        found = share_in(tmp_path / str(number), share)
        assert found == [make_table() if what == digest else schedule.table(100)] * SIZE
        assert [each.run for each in found if isinstance(each, PinnedTable)] == [None] * SIZE


def test_the_first_of_each_machine_leads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: FolderService
) -> None:
    """Where a launcher numbers the ranks of a machine, number 0 of each gets the table before the others."""
    monkeypatch.setenv("LOCAL_RANK", "0")
    digest = service.publish(make_table())
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(service, digest, group=ranks, strategy="node"))
    assert found == [make_table()] * SIZE


def test_one_process_is_a_group_of_its_own(service: FolderService) -> None:
    """Without a launcher and without torch.distributed, a process shares with nobody."""
    service.move(RUN, make_table())
    assert share_table(service, RUN) == make_table()


def test_processes_without_a_group_are_told(monkeypatch: pytest.MonkeyPatch, service: FolderService) -> None:
    """One of several processes that has no way to reach the others is refused, because nothing would be proven."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="group must be given: this is rank 1 of 4 processes"):
        share_table(service, RUN)
    with pytest.raises(TypeError, match="group must be a Group or a torch ProcessGroup, got 3"):
        share_table(service, RUN, group=3)


# -- differences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", range(SIZE))
def test_one_ulp_in_one_row_of_one_rank_stops_all(tmp_path: Path, service: FolderService, wrong: int) -> None:
    """A table of the ranks' own that differs in the last bit stops every rank, naming rank, row and both values."""
    good = make_table()
    bad = one_ulp(good, 7)
    found = as_ranks(
        SIZE, tmp_path, lambda ranks: share_table(service, bad if ranks.rank == wrong else good, group=ranks)
    )
    assert {type(error) for error in found} == {RanksDisagreeError}
    (message,) = messages(found)
    first, second = (bad, good) if wrong == 0 else (good, bad)
    assert f"at row 7, lr: {first.get_lr(7)!r} and {second.get_lr(7)!r}" in message
    assert (f"rank {wrong} " if wrong else "ranks 1-2 ") in message


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_flipped_bit_in_memory_stops_all(tmp_path: Path, service: FolderService, strategy: Strategy) -> None:
    """What is proven are the values in a rank's memory, not the digest that they had when they were read."""
    digest = service.publish(make_table())

    class Damaging(FolderService):
        def table(self, digest: str) -> Table:
            table = super().table(digest)
            assert table.digest == digest
            damaged = np.array(table.lr)
            damaged[7] = math.nextafter(damaged[7], 1)
            other = Table({"lr": damaged})
            other._digest = digest  # as if the memory had changed after it was read
            return other

    damaging = Damaging(service.away.parent)

    def work(ranks: FileGroup) -> Table:
        return share_table(damaging if ranks.rank == 2 else service, digest, group=ranks, strategy=strategy)

    found = as_ranks(SIZE, tmp_path, work)
    if strategy == "rank0":
        assert found == [make_table()] * SIZE  # rank 2 was sent the table of rank 0
    else:
        (message,) = messages(found)
        assert "rank 2 of 3 from table" in message
        assert "rank 2 at row 7, lr: 0.0125 and 0.012500000000000002" in message


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["decay", "no_decay"], "the ranks differ in parameter group 0: ranks 0-1: 'decay'; rank 2: 'no_decay'"),
        (None, "differ in parameter group 0: ranks 0-1: 1 tensors of 2 elements .*; rank 2: 2 tensors of 4 elements"),
    ],
)
def test_a_swapped_group_map_stops_all(
    tmp_path: Path, service: FolderService, names: list[str] | None, message: str
) -> None:
    """Parameter groups in another order on one rank stop every rank, by name or else by size, before any fetch."""
    digest = service.publish(make_table())

    def work(ranks: FileGroup) -> Table:
        groups = [make_groups(1)[0], {"params": [each["params"][0] for each in make_groups(2)]}]
        for group, name in zip(groups, names or (), strict=False):
            group["name"] = name
        return share_table(service, digest, group=ranks, optimizer=SGD(groups[:: -1 if ranks.rank == 2 else 1]))

    found = as_ranks(SIZE, tmp_path, work)
    assert {type(error) for error in found} == {RanksDisagreeError}
    with pytest.raises(RanksDisagreeError, match=message):
        raise found[0] if isinstance(found[0], Exception) else AssertionError(found)
    assert len(messages(found)) == 1
    assert service.asked == []


def test_a_group_more_on_one_rank_stops_all(tmp_path: Path, service: FolderService) -> None:
    """One more parameter group, or no optimizer at all on one rank, stops every rank."""
    digest = service.publish(make_table())
    found = as_ranks(
        2, tmp_path, lambda ranks: share_table(service, digest, group=ranks, optimizer=make_sgd(1 + ranks.rank))
    )
    assert messages(found) == {"the ranks differ in the number of parameter groups: rank 0: 1; rank 1: 2"}
    optimizers = [make_sgd(), None]
    found = as_ranks(
        2, tmp_path, lambda ranks: share_table(service, digest, group=ranks, optimizer=optimizers[ranks.rank])
    )
    assert messages(found) == {"the ranks differ in whether an optimizer is given: rank 0: True; rank 1: False"}


def test_a_rank_resumed_at_another_step_stops_all(tmp_path: Path, service: FolderService) -> None:
    """A rank that starts elsewhere, by its checkpoint or by hand, stops every rank, and both positions are named."""
    digest = service.publish(make_table())
    states = [TableLR(make_sgd(), make_table(), start=start).state_dict() for start in (4, 4, 3)]
    message = "the ranks differ in their start position: ranks 0-1: 4; rank 2: 3"
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(service, group=ranks, checkpoint=states[ranks.rank]))
    assert messages(found) == {message}
    starts = [4, 4, 3]
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(service, digest, group=ranks, start=starts[ranks.rank]))
    assert messages(found) == {message}


def test_ranks_that_ask_for_different_things_stop(tmp_path: Path, service: FolderService) -> None:
    """Another run, strategy or checkpoint on one rank stops all before anything is fetched."""
    names = [RUN, "team/other"]
    found = as_ranks(2, tmp_path, lambda ranks: share_table(service, names[ranks.rank], group=ranks))
    assert messages(found) == {
        "the ranks differ in what they ask for: rank 0: run 'team/bert'; rank 1: run 'team/other'"
    }
    found = as_ranks(2, tmp_path, lambda ranks: share_table(service, RUN, group=ranks, strategy=STRATEGIES[ranks.rank]))
    assert messages(found) == {"the ranks differ in their strategy: rank 0: rank0; rank 1: node"}
    tables = [make_table(), make_table(RATES[:5])]
    found = as_ranks(2, tmp_path, lambda ranks: share_table(service, tables[ranks.rank], group=ranks))
    (message,) = messages(found)
    assert "rank 1 at row 5, lr: 0.01" in message
    assert "and no such row" in message


def test_schedules_that_differ_only_where_their_texts_are_shortened_stop_all(
    tmp_path: Path, service: FolderService
) -> None:
    """Two long schedules that a message shows alike are told apart, alone and in a list, by a hash of all in them."""

    def work(ranks: FileGroup, several: bool) -> Table:
        schedule = Literal([1.0] * 30 + [0.1 * (ranks.rank + 1)] * 30)
        return share_table(service, [schedule, schedule] if several else schedule, group=ranks)

    for several in (False, True):
        found = as_ranks(2, tmp_path / str(several), partial(work, several=several))
        assert {type(error) for error in found} == {RanksDisagreeError}
        (message,) = messages(found)
        assert "Literal(given=(1.0, 1.0" in message


# -- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_error_of_the_fetching_rank_reaches_all(tmp_path: Path, service: FolderService, strategy: Strategy) -> None:
    """Where the service does not answer, every rank raises the same message at once, and none waits."""
    service.away.touch()
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(service, RUN, group=ranks, strategy=strategy))
    assert {type(error) for error in found} == {RankFailedError}
    assert messages(found) == {
        "rank 0 could not resolve run 'team/bert', so every rank stops: "
        "ServiceUnreachableError: the service does not answer"
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_error_of_one_rank_reaches_all(tmp_path: Path, service: FolderService, strategy: Strategy) -> None:
    """Where only one rank cannot have the table, the others stop too, and the rank is named."""
    digest = service.publish(make_table())
    (tmp_path / "lonely").mkdir()
    lonely = FolderService(tmp_path / "lonely")
    lonely.away.touch()
    wrong = 0 if strategy == "rank0" else 2

    def work(ranks: FileGroup) -> Table:
        return share_table(lonely if ranks.rank == wrong else service, digest, group=ranks, strategy=strategy)

    found = as_ranks(SIZE, tmp_path, work)
    assert messages(found) == {
        f"could not get the table, so every rank stops. rank {wrong}: "
        "ServiceUnreachableError: the service does not answer"
    }


def test_a_bad_argument_of_one_rank_reaches_all(tmp_path: Path, service: FolderService) -> None:
    """An argument that cannot be, given by one rank, is an error of all."""
    starts: list[Any] = [0, -1, 0]
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(service, RUN, group=ranks, start=starts[ranks.rank]))
    (message,) = messages(found)
    assert message.startswith("could not prepare, so every rank stops. rank 1: ValueError: ")
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(service, "no name", group=ranks))
    (message,) = messages(found)
    assert "ranks 0-2: ValueError: what must be a run's name like 'namespace/name', a digest" in message


@pytest.mark.parametrize("dead", [0, 2])
def test_a_rank_that_dies_while_fetching_is_named(tmp_path: Path, service: FolderService, dead: int) -> None:
    """A rank that never comes back from its fetch lets the others raise within the time-out, and they name it."""
    digest = service.publish(make_table())

    class Dying(FolderService):
        def table(self, digest: str) -> Table:
            raise SystemExit  # as a process that ends without a word

    dying = Dying(service.away.parent)

    def work(ranks: FileGroup) -> Table | str:
        client = dying if ranks.rank == dead else service
        try:
            return share_table(client, digest, group=ranks, strategy="all", timeout=1.0)
        except SystemExit:
            return "dead"

    found = as_ranks(SIZE, tmp_path, work)
    assert found[dead] == "dead"
    assert {type(error) for rank, error in enumerate(found) if rank != dead} == {RankTimeoutError}
    assert all(f"rank {dead} did not come within 1 s" in message for message in messages(found))


def test_what_is_no_checkpoint_is_refused(service: FolderService) -> None:
    """A checkpoint that is no scheduler's state is refused, and so is a call that names nothing."""
    with pytest.raises(RankFailedError, match=r"checkpoint must be the state of a TableLR, got \{\}"):
        share_table(service, RUN, checkpoint={})
    with pytest.raises(RankFailedError, match="what must be a run's name like"):
        share_table(service)
    with pytest.raises(RankFailedError, match="strategy must be one of rank0, node, all, got 'best'"):
        share_table(service, RUN, strategy="best")  # type: ignore[arg-type]  # the refusal is the test


def test_another_fetched_table_is_refused(tmp_path: Path, service: FolderService) -> None:
    """A rank whose own fetch of a schedule gives another table than rank 0's is named with both digests."""

    class Other(FolderService):
        def fetch(self, schedule: Any) -> Table:
            return one_ulp(super().fetch(schedule), 3)

    other = Other(service.away.parent)
    schedule = WarmupWithDecay(0.1, 1, 10)

    def work(ranks: FileGroup) -> Table:
        return share_table(other if ranks.rank else service, schedule, group=ranks, strategy="all")

    found = as_ranks(2, tmp_path, work)
    (message,) = messages(found)
    assert DigestMismatchError.__name__ in message
    assert f"and {schedule.table(10).digest} on rank 0" in message


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_table_that_the_run_does_not_name_stops_all(
    tmp_path: Path, service: FolderService, strategy: Strategy
) -> None:
    """A whole table with another digest than the run's, the same on every rank, is no table of that run."""
    service.move(RUN, make_table())

    class Wrong(FolderService):
        def table(self, digest: str) -> Table:
            return one_ulp(super().table(digest), 3)

    wrong = Wrong(service.away.parent)
    found = as_ranks(SIZE, tmp_path, lambda ranks: share_table(wrong, RUN, group=ranks, strategy=strategy))
    assert {type(error) for error in found} == {RanksDisagreeError}
    assert messages(found) == {f"no rank has table {make_table().digest}"}
