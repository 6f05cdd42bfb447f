"""What others write between two updates, and what schedulers leave behind: rows stay right, and nothing is left."""

from __future__ import annotations

import functools
import gc
from typing import Any

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.tables import RATES, make_sgd, make_table
from tests.support.client.training import by_hand, record_rates, update, values_of

early_steps_are_meant = pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
unfollowed_is_fine = pytest.mark.filterwarnings("ignore:an update followed another:scheduler.ScheduleWarning")


@pytest.mark.filterwarnings("ignore:the weights changed between:scheduler.ScheduleWarning")
@early_steps_are_meant
def test_weights_that_are_written_between_updates_pass_no_row() -> None:
    """Clamped or perturbed weights are no updates: with accumulation and a step() for each batch, rows stay right."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    for batch in range(1, 33):
        by_hand(optimizer)
        if batch % 8 == 0:
            update(optimizer)
        scheduler.step()
    assert applied == RATES[:4]


@early_steps_are_meant
def test_schedulers_leave_nothing_on_an_optimizer() -> None:
    """However many schedulers an optimizer had, its hooks and its step are those of the living ones."""
    for replaced in (False, True):
        optimizer = make_sgd()
        if replaced:  # by what may lead past the hooks, as a compiled step does
            optimizer.step = functools.partial(optimizer.step)  # type: ignore[method-assign]  # as torch does
        for _ in range(5):
            TableLR(optimizer, make_table()).step()
        gc.collect()
        hooks = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks", "_optimizer_load_state_dict_pre_hooks")
        assert [len(vars(optimizer)[name]) for name in hooks] == [0, 0, 0]
        depth, step = 0, optimizer.step
        while (inner := getattr(step, "__wrapped__", None)) is not None:
            depth, step = depth + 1, inner
        assert depth <= 3


def test_a_position_that_was_set_after_an_update_counts_it() -> None:
    """set_progress after the first update says where the training is: the step() that follows moves nothing."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    update(optimizer)
    scheduler.set_progress(1)
    scheduler.step()
    update(optimizer)
    assert applied == RATES[:2]


@early_steps_are_meant
def test_rows_shown_ahead_are_taken_back_after_a_skipped_update() -> None:
    """advance(stepped=False) says that an update was skipped, not that rows which came before any update count."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    parameter = optimizer.param_groups[0]["params"][0]
    parameter.grad = torch.ones_like(parameter)
    scheduler.step()
    scheduler.advance(stepped=False)
    update(optimizer)
    assert applied == RATES[:1]


@unfollowed_is_fine
def test_the_same_rate_written_again_ends_nothing() -> None:
    """Somebody who writes the number that is in force, as a new object, does not stop the rows."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    for _ in range(5):
        update(optimizer)
        optimizer.param_groups[0]["lr"] = float(repr(optimizer.param_groups[0]["lr"]))
    assert applied == RATES[:5]
    assert scheduler.last_epoch == 4


def test_a_group_added_with_the_rate_in_force_is_a_new_group() -> None:
    """A group that shares the very object of the rate is bound like any other: relative to its own rate."""
    optimizer = make_sgd()
    table = Table({"lr": [1.0, 0.9, 0.8, 0.7]})
    scheduler = TableLR(optimizer, table, relative=True)
    update(optimizer)
    scheduler.step()
    rate = optimizer.param_groups[0]["lr"]
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate})
    update(optimizer)
    scheduler.step()
    assert values_of(optimizer) == [0.8 * 1.0, 0.8 * rate]


class Found:
    """What a GradScaler leaves for a fused optimizer, with a count of how often it is read: each waits for a device."""

    def __init__(self) -> None:
        self.reads = 0

    def item(self) -> float:
        self.reads += 1
        return 0.0


class Still(Optimizer):
    """An optimizer that changes nothing."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # as plain as an optimizer can be
        del closure


@pytest.mark.parametrize("prepare", [id, ConstantLR], ids=["alone", "after another scheduler"])
def test_an_update_is_looked_at_once(prepare: Any) -> None:
    """An update is watched by the hooks alone where its step leads to them, also through torch's wrapper of it."""
    optimizer = Still([torch.nn.Parameter(torch.zeros(1))], {"lr": 0.1})
    prepare(optimizer)
    scheduler = TableLR(optimizer, Table({"lr": [0.1, 0.2, 0.3]}))
    optimizer.found_inf = found = Found()  # type: ignore[attr-defined]  # as a GradScaler does
    optimizer.step()
    assert found.reads == 1
    scheduler.step()
    assert scheduler.last_epoch == 1
