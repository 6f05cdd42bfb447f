"""TableLR where the rate stays as it is for many rows, which it then does not look up one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from torch.optim import SGD

from client.lr_scheduler import TableLR
from client.optimizer.groups import SEARCHED
from scheduler import ScheduleWarning, Table
from tests.support.client.tables import make_sgd, make_table
from tests.support.client.training import make_groups, pickled, through_file, train, update, values_of

RATES = [0.1 * (k + 1) for k in range(5)] + [0.5] * 60 + [0.5 / (k + 2) for k in range(5)] + [0.05] * 40
MIDDLE = 40  # a row within the first run, which the scheduler has noticed by then


def in_the_middle() -> TableLR:
    scheduler = TableLR(make_sgd(), make_table(RATES))
    train(scheduler.optimizer, scheduler, MIDDLE)
    assert scheduler._run_start < MIDDLE < scheduler._run_end
    return scheduler


@pytest.mark.parametrize(
    "rates",
    [
        RATES,
        [0.1 / (k // 2 + 1) for k in range(60)],
        [0.1 * (k % 2 + 1) for k in range(20)] + [0.3] * (SEARCHED + 50) + [0.1, 0.2],
        [0.0] * 30 + [-0.0] * 30 + [0.1],
    ],
    ids=["runs", "pairs", "longer than is searched at once", "both zeros"],
)
def test_each_update_has_its_row(rates: list[float]) -> None:
    """Runs of equal rates, of any length, end at their row, and the position and torch's count move on in them."""
    scheduler = TableLR(make_sgd(), make_table(rates))
    for row, rate in enumerate(rates):
        assert (scheduler.last_epoch, scheduler._step_count) == (row, row + 1)
        assert values_of(scheduler.optimizer) == scheduler.get_last_lr() == [rate]
        update(scheduler.optimizer)
        scheduler.step()


def back(scheduler: TableLR) -> int:
    scheduler.set_progress(2)
    return 2


def back_by_hand(scheduler: TableLR) -> int:
    scheduler.last_epoch = 1
    update(scheduler.optimizer)
    scheduler.step()
    return 2


def back_into_the_run(scheduler: TableLR) -> int:
    train(scheduler.optimizer, scheduler, 27)
    scheduler.last_epoch = MIDDLE - 1
    update(scheduler.optimizer)
    scheduler.step()
    return MIDDLE


def past_the_run(scheduler: TableLR) -> int:
    scheduler.set_progress(64)
    return 64


def loaded(scheduler: TableLR) -> int:
    optimizer, saved = scheduler.optimizer, through_file(scheduler.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    train(optimizer, scheduler, 27)
    optimizer.load_state_dict(state)
    scheduler.load_state_dict(saved)
    return MIDDLE


def replaced(scheduler: TableLR) -> int:
    scheduler.replace_table(make_table(RATES[: MIDDLE + 3] + [0.7] * (len(RATES) - MIDDLE - 3)))
    return MIDDLE


def replaced_under_another_rate(scheduler: TableLR) -> int:
    [group] = scheduler.optimizer.param_groups
    ours, group["lr"] = group["lr"], 0.9
    row = replaced(scheduler)
    group["lr"] = ours
    return row


@pytest.mark.parametrize(
    "move", [back, back_by_hand, back_into_the_run, past_the_run, loaded, replaced, replaced_under_another_rate]
)
def test_a_position_set_in_a_run_goes_on_from_there(move: Callable[[TableLR], int]) -> None:
    """Whatever moves the position, or replaces the table, is followed by the rows from there on."""
    scheduler = in_the_middle()
    row = move(scheduler)
    rates = scheduler.table.lr.tolist()
    assert [rate for [rate] in train(scheduler.optimizer, scheduler, 27)] == rates[row : row + 27]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_made_in_a_run_goes_on(copied: Callable[[Any], Any]) -> None:
    """A copy of a scheduler and its optimizer applies the rows that follow."""
    scheduler = copied(in_the_middle())
    optimizer = scheduler.optimizer
    assert [rate for [rate] in train(optimizer, scheduler, 27)] == RATES[MIDDLE : MIDDLE + 27]


def test_another_writer_in_a_run_is_noticed() -> None:
    """A rate that somebody else wrote is undone by the next step, with a warning, as anywhere else."""
    scheduler = in_the_middle()
    scheduler.optimizer.param_groups[0]["lr"] = 0.9
    update(scheduler.optimizer)
    with pytest.warns(ScheduleWarning, match="another writer changed the learning rate"):
        scheduler.step()
    assert values_of(scheduler.optimizer) == [0.5]
    assert scheduler.last_epoch == MIDDLE + 1


@pytest.mark.parametrize("groups", [1, 2, 3, 8, 300])
@pytest.mark.parametrize("rates", [[0.1] * 700, [0.1 / (k + 1) for k in range(700)]], ids=["one rate", "changing"])
def test_another_writer_in_any_group_is_noticed_at_once(groups: int, rates: list[float]) -> None:
    """Whichever group's rate another has written, the next step() overwrites it and warns; an equal one is no news."""
    optimizer = SGD(make_groups(groups), lr=0.1)
    scheduler = TableLR(optimizer, make_table(rates))
    optimizer.step()
    scheduler.step()
    for place in range(groups):
        optimizer.param_groups[place]["lr"] = float(repr(rates[place * 2 + 1]))  # equal, and another object
        optimizer.step()
        scheduler.step()
        optimizer.param_groups[place]["lr"] = 0.9
        scheduler._warned.discard("writer")  # which is given once
        optimizer.step()
        with pytest.warns(ScheduleWarning, match="another writer changed the learning rate"):
            scheduler.step()
        assert values_of(optimizer) == scheduler.get_last_lr() == [rates[place * 2 + 3]] * groups


def test_a_group_added_in_a_run_gets_the_rate() -> None:
    """A group added in a run has the table's rate at its first update, and after a step() that comes before it."""
    scheduler = in_the_middle()
    scheduler.optimizer.add_param_group(make_groups(1, lr=1.0)[0])
    assert train(scheduler.optimizer, scheduler, 2)[1] == [0.5, 0.5]
    scheduler = in_the_middle()
    update(scheduler.optimizer)
    scheduler.optimizer.add_param_group(make_groups(1, lr=1.0)[0])
    scheduler.step()
    assert values_of(scheduler.optimizer) == [0.5, 0.5]


def test_steps_without_an_update_move_nothing_in_a_run() -> None:
    """A step without an update keeps the row in a run, too, and a relative table's factor stays one."""
    scheduler = TableLR(SGD(make_groups(1), lr=2.0), Table({"lr": RATES}), relative=True)
    for row in range(70):
        assert values_of(scheduler.optimizer) == [2.0 * RATES[row]]
        update(scheduler.optimizer)
        for _ in range(3):
            scheduler.step()
    assert scheduler.last_epoch == 70
