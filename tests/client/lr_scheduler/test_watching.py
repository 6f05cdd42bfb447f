"""What counts as an update, on which axis, and what happens where updates cannot be seen."""

from __future__ import annotations

import copy
import gc
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import ConstantLR

from client.lr_scheduler import TableLR
from scheduler import ScheduleWarning
from scheduler.table_format import Axis
from tests.support.client.tables import RATES, make_sgd, make_table, rates_in_force
from tests.support.client.training import by_hand, make_groups, pickled, record_rates, update, values_of

unfollowed_is_fine = pytest.mark.filterwarnings("ignore:an update followed another:scheduler.ScheduleWarning")


# -- other axes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["sample", "token"])
@unfollowed_is_fine
def test_per_step_counts_samples_and_tokens(axis: Axis) -> None:
    """With `per_step=N` an update is N units, whoever steps."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table(axis=axis, stride=512), per_step=256)
    for k in range(8):
        update(optimizer)
        if k % 4:
            scheduler.step()
        if k % 2:
            scheduler.step()
    assert applied == [RATES[k // 2] for k in range(8)]
    assert scheduler.last_epoch == 8 * 256


@pytest.mark.parametrize(
    ("axis", "per_step", "message"),
    [
        ("step", 8, "per_step is for tables that count samples or tokens, and this one counts steps"),
        ("epoch", 8, "and this one counts epochs"),
        ("sample", 0, "per_step must be a whole number of samples from 1, got 0"),
        ("token", 2.5, "per_step must be a whole number of tokens from 1, got 2.5"),
        ("token", True, "per_step must be a whole number of tokens from 1, got True"),
    ],
)
def test_a_per_step_that_means_nothing_is_refused(axis: Axis, per_step: Any, message: str) -> None:
    """`per_step` is a number of samples or tokens, for tables that count these."""
    with pytest.raises(ValueError, match=message):
        TableLR(make_sgd(), make_table(axis=axis), per_step=per_step)


def test_without_per_step_the_error_names_both_ways() -> None:
    """A bare step() on samples says set_progress and per_step."""
    scheduler = TableLR(make_sgd(), make_table(axis="sample"))
    with pytest.raises(RuntimeError, match=r"call set_progress\(n\).* make the TableLR with per_step=N, the samples"):
        scheduler.step()


def test_on_the_axis_epoch_each_step_is_an_epoch() -> None:
    """Updates do not count on the axis `epoch`: each step() is a row, however many updates came before."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table(axis="epoch"))
    for updates in (3, 1, 0, 2):
        for _ in range(updates):
            update(optimizer)
        scheduler.step()
    assert applied == [RATES[0]] * 3 + [RATES[1]] + [RATES[3]] * 2


# -- what is no update ------------------------------------------------------------------------------------------------


@unfollowed_is_fine
def test_a_step_that_only_makes_the_optimizer_s_state_does_not_count() -> None:
    """The step with rates of 0 that torch.distributed.checkpoint makes is neither written to nor counted."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict  # noqa: PLC0415  # slow to import

    model = torch.nn.Linear(2, 2)
    before = [weight.detach().clone() for weight in model.parameters()]
    optimizer = AdamW(model.parameters(), lr=1.0, weight_decay=0.5)
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    get_optimizer_state_dict(model, optimizer)
    assert applied == [0.0]
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
    for _ in range(3):
        update(optimizer)
    assert applied[1:] == RATES[:3]
    scheduler.step()


@pytest.mark.parametrize("followed", [True, False])
@pytest.mark.parametrize("with_deepspeed", [True, False])
@unfollowed_is_fine
def test_a_first_step_of_zeros_does_not_count_beside_deepspeed(
    followed: bool, with_deepspeed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As DeepSpeed makes an optimizer's state for bf16: a first step with gradients of 0, and no step() after it."""
    if with_deepspeed:
        monkeypatch.setitem(sys.modules, "deepspeed", ModuleType("deepspeed"))
    else:
        monkeypatch.delitem(sys.modules, "deepspeed", raising=False)
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for _ in range(4):
        update(optimizer)
        if followed:
            scheduler.step()
    assert applied == ([RATES[0], *RATES[:4]] if with_deepspeed else RATES[:5])
    scheduler.step()


def test_a_rate_of_zero_in_the_table_counts() -> None:
    """An update with the table's own rate of 0 is one."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table([0.0, 0.0, 0.5]))
    for _ in range(2):
        update(optimizer)
        scheduler.step()
        scheduler.step()
    assert values_of(optimizer) == [0.5]


def test_groups_that_are_stepped_one_by_one_are_one_update() -> None:
    """As DeepSpeed does for ZeRO 1 and 2: each group through the optimizer by itself, its list of groups cut down."""
    optimizer = make_sgd(3)
    scheduler = TableLR(optimizer, make_table())
    groups = optimizer.param_groups
    for k in range(4):
        assert values_of(optimizer) == [RATES[k]] * 3
        for group in groups:
            optimizer.param_groups = [group]
            update(optimizer)
        optimizer.param_groups = groups
        scheduler.step()
        scheduler.step()


@unfollowed_is_fine
def test_parts_of_a_group_that_are_stepped_one_by_one_are_one_update() -> None:
    """As DeepSpeed does for ZeRO 3: parts of groups, by exchanging the parameters, and with no step() at all."""
    optimizer = make_sgd(2)
    applied: list[list[float]] = []
    scheduler = TableLR(optimizer, make_table())
    parts = [(0, torch.ones(2)), (0, torch.ones(2)), (1, torch.ones(2))]
    for _ in range(4):
        for index, part in parts:
            for group in optimizer.param_groups:
                group["params"] = []
            optimizer.param_groups[index]["params"] = [part]
            update(optimizer)
            applied.append(values_of(optimizer))
    assert applied == [[RATES[k]] * 2 for k in range(4) for _ in parts]
    scheduler.step()


@pytest.mark.parametrize("followed", [True, False])
@unfollowed_is_fine
def test_another_parameter_leads_where_the_first_is_stepped_no_more(followed: bool) -> None:
    """Where the parameter by which updates are counted leaves the optimizer, alive or not, rows go on counting.

    Where it lives on and nobody calls step(), the update after it cannot be told from a part of the last one.
    """
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    kept = optimizer.param_groups[0]["params"][0]
    for k in range(8):
        if k in (3, 6):
            optimizer.param_groups[0]["params"] = [torch.nn.Parameter(torch.ones(2))]
            gc.collect()
        update(optimizer)
        if followed:
            scheduler.step()
            scheduler.step()
    assert len(kept) == 2
    assert applied == [*RATES[:3], RATES[3 if followed else 2], *RATES[4:8]]
    scheduler.step()


# -- where updates cannot be seen -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step:UserWarning")  # no update was seen
def test_updates_by_hand_follow_torch_s_protocol() -> None:
    """Where the weights are updated without the optimizer, each step() is a row; one too many warns with the line."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    applied = []
    for _ in range(3):
        applied += values_of(optimizer)
        by_hand(optimizer)
        scheduler.step()
    assert applied == RATES[:3]
    with pytest.warns(ScheduleWarning, match=r"step\(\) was called again .* scheduler.advance\(stepped=updated\)"):
        scheduler.step()


def test_updates_that_are_seen_no_more_are_noticed_within_three() -> None:
    """Where hooks were called and are no more, the third update warns, and set_progress goes on from there."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    assert rates_in_force(optimizer, scheduler, 2) == RATES[:2]
    by_hand(optimizer)
    scheduler.step()
    by_hand(optimizer)
    scheduler.step()
    by_hand(optimizer)
    with pytest.warns(ScheduleWarning, match="step hooks saw no update: no row was passed"):
        scheduler.step()
    for k in range(5, 8):
        scheduler.set_progress(k)
        assert values_of(optimizer) == [RATES[k]]
        by_hand(optimizer)


# -- beside others, and after the end ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")  # torch's, of any scheduler
def test_another_optimizer_of_the_same_parameters_is_told_of_at_the_second_update() -> None:
    """A scheduler of an optimizer that is never stepped, while another one trains its parameters, warns, once."""
    idle, trains = make_sgd(), SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    trains.add_param_group({"params": idle.param_groups[0]["params"], "lr": 0.5})
    scheduler = TableLR(idle, make_table())
    update(trains)
    scheduler.step()
    update(trains)
    with pytest.warns(ScheduleWarning, match="another optimizer, SGD, updates the parameters .* reach nothing"):
        scheduler.step()
    for _ in range(3):
        update(trains)
        scheduler.step()


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")  # torch's, of any scheduler
def test_two_optimizers_of_their_own_parameters_are_no_cause_for_a_warning() -> None:
    """While one of two optimizers waits for its turn, its scheduler says nothing of the other, and leaves no hook."""
    hooks = vars(sys.modules["torch.optim.optimizer"])["_global_optimizer_post_hooks"]
    before = {*hooks}
    first, second = make_sgd(), make_sgd()
    schedulers = [TableLR(each, make_table()) for each in (first, second)]
    for _ in range(2):
        update(first)
        for scheduler in schedulers:
            scheduler.step()
    update(second)
    assert {*hooks} <= before
    for scheduler in schedulers:
        scheduler.step()


def test_another_writer_s_rates_are_left_alone() -> None:
    """Between two updates without a step() nothing is written where another scheduler's rate is in force."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    ConstantLR(optimizer, factor=0.5)
    update(optimizer)
    update(optimizer)
    assert values_of(optimizer) == [RATES[0] / 2]
    assert scheduler.last_epoch == 0


def test_a_scheduler_s_hooks_go_with_it() -> None:
    """An optimizer keeps no hook of a scheduler that is gone."""
    optimizer = make_sgd()
    hooks = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    scheduler = TableLR(optimizer, make_table())
    assert [len(each) for each in hooks] == [1, 1]
    del scheduler
    gc.collect()
    assert [len(each) for each in hooks] == [0, 0]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
@pytest.mark.parametrize("stepped", [True, False])
def test_a_copy_knows_of_the_update_before_it(copied: Callable[[Any], Any], stepped: bool) -> None:
    """A copy made between an update and its step() moves on with that step(), or with the next update."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 2)
    update(optimizer)
    optimizer, scheduler = copied((optimizer, scheduler))
    applied = record_rates(optimizer)
    if stepped:
        scheduler.step()
        rates_in_force(optimizer, scheduler, 2)
    else:
        with pytest.warns(ScheduleWarning, match="an update followed another"):
            rates_in_force(optimizer, scheduler, 2)
    assert applied == RATES[3:5]


# -- arguments --------------------------------------------------------------------------------------------------------


def test_last_epoch_is_torch_s() -> None:
    """`last_epoch=k` starts at row k + 1, as in torch, and needs no `initial_lr`."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(), last_epoch=4)
    assert scheduler.last_epoch == 5
    assert values_of(optimizer) == [RATES[5]]
    assert TableLR(make_sgd(), make_table(), last_epoch=4, start=5).last_epoch == 5
    assert TableLR(make_sgd(), make_table(), last_epoch=-1, start=5).last_epoch == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"last_epoch": 4, "start": 4}, "last_epoch=4 starts at 5, and start=4 says otherwise"),
        ({"last_epoch": -2}, "last_epoch must be a whole number from -1, got -2"),
        ({"last_epoch": 1.5}, "last_epoch must be a whole number from -1, got 1.5"),
        ({"last_epoch": None}, "last_epoch must be a whole number from -1, got None"),
    ],
)
def test_a_last_epoch_that_contradicts_is_refused(arguments: Any, message: str) -> None:
    """A last_epoch that is none, or that contradicts start, is refused."""
    with pytest.raises(ValueError, match=message):
        TableLR(make_sgd(), make_table(), **arguments)
    with pytest.raises(ValueError, match="last_epoch=3 says nothing about samples: give start"):
        TableLR(make_sgd(), make_table(axis="sample"), last_epoch=3)


def test_another_table_may_be_meant_by_the_one_who_makes_the_scheduler() -> None:
    """`TableLR(..., allow_other_table=True)` is for trainers that load the scheduler's state themselves."""
    state = TableLR(SGD(make_groups(1), lr=1.0), make_table(), start=4).state_dict()
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(RATES[::-1]), allow_other_table=True)
    scheduler.load_state_dict(state)
    assert values_of(optimizer) == [RATES[::-1][4]]
    with pytest.raises(TypeError, match="allow_other_table must be True, False or the old Table, got 'yes'"):
        TableLR(make_sgd(), make_table(), allow_other_table="yes")  # type: ignore[arg-type]  # the mistake under test
