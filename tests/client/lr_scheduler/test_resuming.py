"""TableLR, saved and resumed."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
)

from client import DigestMismatchError
from client.lr_scheduler import TableLR
from client.plain_loop import set_lr
from scheduler import Table
from scheduler.views.difference import first_difference
from tests.support.client.tables import RATES, make_sgd, make_table, per_group_table, rates_in_force
from tests.support.client.training import make_groups, pickled, through_file, update, values_of


def adamw_with_floats() -> Optimizer:
    return AdamW(make_groups(2), lr=1.0)


def adamw_with_tensors() -> Optimizer:
    return AdamW(make_groups(2), lr=torch.tensor(1.0))


def sgd_with_momentum() -> Optimizer:
    return make_sgd(2, momentum=0.5)


TABLE_WITH_MOMENTUM = Table({"lr": RATES, "momentum": [0.9 - rate for rate in RATES]})

RESUMES = [
    pytest.param(adamw_with_floats, make_table(), id="floats"),
    pytest.param(adamw_with_tensors, make_table(), id="tensors"),
    pytest.param(sgd_with_momentum, TABLE_WITH_MOMENTUM, id="momentum"),
    pytest.param(sgd_with_momentum, per_group_table(2), id="per-group"),
]


def run(optimizer: Optimizer, scheduler: TableLR, steps: int) -> list[bytes]:
    """Every parameter's bytes after each of `steps` updates."""
    seen = []
    for _ in range(steps):
        update(optimizer)
        scheduler.step()
        seen.append(b"".join(group["params"][0].detach().numpy().tobytes() for group in optimizer.param_groups))
    return seen


@pytest.mark.parametrize("optimizer_first", [True, False], ids=["optimizer-first", "scheduler-first"])
@pytest.mark.parametrize(("make_optimizer", "table"), RESUMES)
def test_a_resumed_run_equals_an_uninterrupted_one(
    make_optimizer: Callable[[], Optimizer], table: Table, optimizer_first: bool
) -> None:
    """Training resumed through files gives the same weights, bit for bit, in either load order."""
    whole_optimizer = make_optimizer()
    whole = run(whole_optimizer, TableLR(whole_optimizer, table), 9)

    optimizer = make_optimizer()
    scheduler = TableLR(optimizer, table)
    first = run(optimizer, scheduler, 4)
    saved = through_file((optimizer.state_dict(), scheduler.state_dict()))
    weights = [group["params"][0].detach().clone() for group in optimizer.param_groups]

    optimizer = make_optimizer()
    for group, weight in zip(optimizer.param_groups, weights, strict=True):
        group["params"][0].data.copy_(weight)
    if optimizer_first:
        optimizer.load_state_dict(saved[0])
    scheduler = TableLR(optimizer, table)
    scheduler.load_state_dict(saved[1])
    if not optimizer_first:
        optimizer.load_state_dict(saved[0])
    assert first + run(optimizer, scheduler, 5) == whole


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_resumed_plateau_keeps_its_cuts(optimizer_first: bool) -> None:
    """Where the table had released the rate, resuming puts the other scheduler's rate back, and never row 0."""
    table = make_table([0.4, 0.3], after="release")
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, table)
    rates_in_force(optimizer, scheduler, 3)
    set_lr(optimizer, 0.07)
    saved = through_file((optimizer.state_dict(), scheduler.state_dict()))

    optimizer = make_sgd()
    if optimizer_first:
        optimizer.load_state_dict(saved[0])
    scheduler = TableLR(optimizer, table)
    scheduler.load_state_dict(saved[1])
    if not optimizer_first:
        optimizer.load_state_dict(saved[0])
    assert values_of(optimizer) == [0.07]
    assert rates_in_force(optimizer, scheduler, 2) == [0.07, 0.07]


def test_an_optimizer_state_from_elsewhere_does_not_move_the_table() -> None:
    """Loading an optimizer's state with another rate in it leaves the table's row in force."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(), start=3)
    optimizer.load_state_dict(make_sgd().state_dict())
    assert values_of(optimizer) == [RATES[3]]
    assert rates_in_force(optimizer, scheduler, 3) == RATES[3:6]


def test_the_state_is_small_and_plain() -> None:
    """The state holds a position and a digest, never the table."""
    table = make_table([0.1] * 100_000)
    state = TableLR(make_sgd(), table).state_dict()
    assert state["digest"] == table.digest
    assert state["last_epoch"] == 0
    assert through_file(state) == state
    assert len(pickle.dumps(state)) < 1000


def test_another_table_is_refused_with_both_digests() -> None:
    """A state saved with another table is refused, nothing changes, and both digests are in the message."""
    old, new = make_table(), make_table(RATES[::-1])
    state = TableLR(make_sgd(), old, start=4).state_dict()
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, new)
    with pytest.raises(DigestMismatchError, match=f"saved with table {old.digest}, and this .* table {new.digest}"):
        scheduler.load_state_dict(state)
    assert scheduler.last_epoch == 0
    assert values_of(optimizer) == [new.get_lr(0)]


@pytest.mark.parametrize("given", ["yes", "the old table"])
def test_another_table_may_be_meant(given: str, caplog: pytest.LogCaptureFixture) -> None:
    """An allowed change goes on from the new table's row, and the log names digests, jump and first difference."""
    old, new = make_table(), make_table([*RATES[:3], *[0.5] * 7])
    state = TableLR(make_sgd(), old, start=4).state_dict()
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, new)
    scheduler.load_state_dict(state, allow_other_table=True if given == "yes" else old)
    assert rates_in_force(optimizer, scheduler, 2) == [0.5, 0.5]
    assert f"from step 4 on: {new.digest} instead of {old.digest}, lr {RATES[4]} -> 0.5" in caplog.text
    assert ("they differ from row 3" in caplog.text) == (given != "yes")


@pytest.mark.parametrize(("rank", "is_said"), [("0", True), ("3", False), ("x", True)])
def test_another_table_is_said_once_a_job(
    rank: str, is_said: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the processes that a launcher has started, rank 0 logs that the job goes on with another table."""
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "4")
    state = TableLR(make_sgd(), make_table(), start=4).state_dict()
    TableLR(make_sgd(), make_table([0.5] * 10)).load_state_dict(state, allow_other_table=True)
    assert ("another table from step 4 on" in caplog.text) == is_said


def test_the_old_table_given_must_be_the_old_table() -> None:
    """A table given as the old one is checked against the state's digest."""
    scheduler = TableLR(make_sgd(), make_table())
    state = TableLR(make_sgd(), make_table(RATES[::-1])).state_dict()
    with pytest.raises(DigestMismatchError, match="and the old table given is"):
        scheduler.load_state_dict(state, allow_other_table=scheduler.table)


def test_tables_of_another_length_or_columns_differ_somewhere() -> None:
    """Tables that agree as far as both go differ from the shorter one's end; other columns differ from row 0."""
    assert first_difference(make_table(), make_table([*RATES, 0.5])) == 10
    assert first_difference(make_table(), per_group_table(2)) == 0


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_shorter_table_that_releases_leaves_the_rate_in_force(optimizer_first: bool) -> None:
    """An allowed other table that has released the rate at the saved position leaves the saved rate, not its row 0."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 6)
    states = optimizer.state_dict(), scheduler.state_dict()
    optimizer = make_sgd()
    if optimizer_first:
        optimizer.load_state_dict(states[0])
    scheduler = TableLR(optimizer, make_table([0.5, 0.4], after="release"))
    scheduler.load_state_dict(states[1], allow_other_table=True)
    if not optimizer_first:
        optimizer.load_state_dict(states[0])
    assert rates_in_force(optimizer, scheduler, 2) == [RATES[6]] * 2
    assert not scheduler.state_dict()["in_force"]


def test_another_axis_is_never_allowed() -> None:
    """A position in steps means nothing in samples, whatever is allowed."""
    state = TableLR(make_sgd(), make_table()).state_dict()
    scheduler = TableLR(make_sgd(), make_table(axis="sample", stride=8))
    with pytest.raises(ValueError, match="the state counts steps by 1, the table samples by 8"):
        scheduler.load_state_dict(state, allow_other_table=True)


def test_a_state_of_another_class_is_refused() -> None:
    """A stock scheduler's state is refused, and what it lacks is named."""
    state = CosineAnnealingLR(make_sgd(), T_max=10).state_dict()
    with pytest.raises(ValueError, match="not the state of a TableLR: it has no axis, digest"):
        TableLR(make_sgd(), make_table()).load_state_dict(state)


def test_a_released_state_of_other_groups_is_refused() -> None:
    """Rates to put back must be as many as the optimizer has groups."""
    scheduler = TableLR(make_sgd(2), make_table(after="release"), start=20)
    with pytest.raises(ValueError, match="the state is of 2 parameter groups, the optimizer has 1"):
        TableLR(make_sgd(), make_table(after="release")).load_state_dict(scheduler.state_dict())


def test_a_dead_scheduler_leaves_the_optimizer_alone() -> None:
    """The optimizer does not keep a scheduler alive, and loads its state without it."""
    optimizer = make_sgd()
    state = optimizer.state_dict()
    TableLR(optimizer, make_table())
    gc.collect()
    optimizer.load_state_dict(state)
    assert values_of(optimizer) == [1.0]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
@pytest.mark.parametrize("steps", [0, 4])
def test_a_copy_goes_on_by_itself(steps: int, copied: Callable[[Any], Any]) -> None:
    """A copy of optimizer and scheduler, made by deepcopy or pickle, goes on from the same row, hooks included."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, steps)
    other_optimizer, other = copied((optimizer, scheduler))
    assert rates_in_force(other_optimizer, other, 3) == RATES[steps : steps + 3]
    assert scheduler.last_epoch == steps
    other_optimizer.load_state_dict(make_sgd().state_dict())
    assert values_of(other_optimizer) == [RATES[steps + 3]]
