"""TableLR beside other schedulers of torch, and where it is not stepped."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
)

from client.lr_scheduler import TableLR
from scheduler import ScheduleWarning
from tests.support.client.tables import RATES, make_sgd, make_table, rates_in_force
from tests.support.client.training import make_groups, through_file, update, values_of

# -- other schedulers -------------------------------------------------------------------------------------------------


def sequential(optimizer: Optimizer) -> SequentialLR:
    tables = [TableLR(optimizer, make_table([1.0, 2.0])), TableLR(optimizer, make_table())]
    warmup = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    return SequentialLR(optimizer, [tables[0], warmup, tables[1]], milestones=[2, 4])


def test_a_member_of_sequential_lr() -> None:
    """A SequentialLR starts each table at its row 0 when its turn comes."""
    optimizer = make_sgd()
    applied = rates_in_force(optimizer, sequential(optimizer), 8)
    assert applied == [1.0, 2.0, 0.5, 0.75, *RATES[:4]]


@pytest.mark.parametrize("optimizer_first", [True, False])
@pytest.mark.parametrize("saved_at", range(9))
def test_a_resumed_sequential_lr_goes_on_as_if_uninterrupted(saved_at: int, optimizer_first: bool) -> None:
    """A member writes on resume only what was in force, whether its turn is over, now, or still to come."""
    optimizer = make_sgd()
    whole = rates_in_force(optimizer, sequential(optimizer), 12)
    optimizer = make_sgd()
    scheduler = sequential(optimizer)
    rates_in_force(optimizer, scheduler, saved_at)
    states = through_file((optimizer.state_dict(), scheduler.state_dict()))

    optimizer = make_sgd()
    if optimizer_first:
        optimizer.load_state_dict(states[0])
    scheduler = sequential(optimizer)
    scheduler.load_state_dict(states[1])
    if not optimizer_first:
        optimizer.load_state_dict(states[0])
    assert rates_in_force(optimizer, scheduler, 12 - saved_at) == whole[saved_at:]


def test_a_waiting_member_is_not_in_force() -> None:
    """A member whose turn is to come has nothing in force, even where the rate is as large as its own first."""
    optimizer = AdamW(make_groups(1), lr=torch.tensor(1.0))
    members = [TableLR(optimizer, make_table()), TableLR(optimizer, make_table())]
    SequentialLR(optimizer, [*members], milestones=[5])
    assert [member.state_dict()["in_force"] for member in members] == [True, False]


def test_a_member_of_chained_scheduler() -> None:
    """In a ChainedScheduler the factor of another scheduler is undone by the table, and that is warned about."""
    optimizer = make_sgd()
    scheduler = ChainedScheduler([TableLR(optimizer, make_table()), ConstantLR(optimizer, factor=1.0)], optimizer)
    assert rates_in_force(optimizer, scheduler, 5) == RATES[:5]
    optimizer = make_sgd()
    scheduler = ChainedScheduler([ExponentialLR(optimizer, gamma=0.5), TableLR(optimizer, make_table())], optimizer)
    with pytest.warns(ScheduleWarning, match="another writer changed the learning rate"):
        assert rates_in_force(optimizer, scheduler, 5) == RATES[:5]


# -- pitfalls ---------------------------------------------------------------------------------------------------------


class TwoSchedulers:
    """Steps one scheduler after another, as a loop does that uses both."""

    def __init__(self, *schedulers: LRScheduler) -> None:
        self.schedulers = schedulers

    def step(self) -> None:
        for scheduler in self.schedulers:
            scheduler.step()


@pytest.mark.parametrize("lr", [1.0, torch.tensor(1.0)], ids=["float", "tensor"])
def test_a_second_writer_is_warned_about_once(lr: Any) -> None:
    """Pitfall 3: two schedulers on one optimizer are noticed, once, at the line that steps."""
    optimizer = AdamW(make_groups(2), lr=lr)
    scheduler = TableLR(optimizer, make_table())
    other = CosineAnnealingLR(optimizer, T_max=10)
    with pytest.warns(ScheduleWarning, match="another writer changed the learning rate since") as caught:
        rates_in_force(optimizer, TwoSchedulers(other, scheduler), 5)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_writer_of_a_later_group_is_noticed() -> None:
    """A change of the last group's rate alone is noticed and undone."""
    optimizer = make_sgd(2)
    scheduler = TableLR(optimizer, make_table([0.1] * 10))
    rates_in_force(optimizer, scheduler, 3)
    optimizer.param_groups[1]["lr"] = 0.0
    with pytest.warns(ScheduleWarning, match="another writer"):
        rates_in_force(optimizer, scheduler, 1)
    assert values_of(optimizer) == [0.1, 0.1]


def test_a_scheduler_never_stepped_is_warned_about() -> None:
    """Pitfall 1: a TableLR that counts no updates and goes away unstepped, while its optimizer was stepped, warns."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(axis="epoch"))
    update(optimizer)
    with pytest.warns(ScheduleWarning, match="this TableLR was never stepped, though its optimizer was"):
        del scheduler


def test_a_single_update_needs_no_step() -> None:
    """A training of one update has had the row that is meant: nothing is warned of, with or without step()."""
    for steps in (0, 1):
        optimizer = make_sgd()
        scheduler = TableLR(optimizer, make_table())
        update(optimizer)
        for _ in range(steps):
            scheduler.step()
        del scheduler


def test_a_script_that_never_steps_is_warned_at_its_end() -> None:
    """Pitfall 1 in a script: the warning is on standard error when the interpreter ends."""
    script = """
import torch
from client.lr_scheduler import TableLR
from scheduler import Table
parameter = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([parameter], lr=0.1)
scheduler = TableLR(optimizer, Table({"lr": [0.1, 0.2]}, axis="epoch"))
parameter.grad = torch.ones(1)
optimizer.step()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "this TableLR was never stepped" in done.stderr


@pytest.mark.parametrize("use", ["step", "set_progress", "nothing", "waiting", "over", "after earlier updates"])
def test_no_false_alarm(use: str) -> None:
    """A TableLR that was used, that nobody trained with, or whose turn did not come, goes away silently."""
    optimizer = make_sgd()
    if use == "after earlier updates":
        TableLR(make_sgd(), make_table())
        rates_in_force(optimizer, ConstantLR(optimizer), 1)
    scheduler: LRScheduler = TableLR(optimizer, make_table())
    if use == "waiting":
        scheduler = SequentialLR(optimizer, [LinearLR(optimizer), scheduler], milestones=[5])
    if use == "over":
        scheduler = SequentialLR(optimizer, [scheduler, LinearLR(optimizer)], milestones=[1])
    if use != "nothing":
        update(optimizer)
    if use == "set_progress":
        assert isinstance(scheduler, TableLR)
        scheduler.set_progress(0)
    if use in ("step", "waiting", "over"):
        scheduler.step()
    del scheduler
