"""Groups with values of their own: tables relative to them, and the warning where one value replaces several."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR, SequentialLR

from client.lr_scheduler import TableLR
from scheduler import ScheduleWarning, Table
from scheduler.interop.capture import capture
from tests.support.client.training import make_groups, pickled, through_file, train, update, values_of

FACTORS = [1.0, 0.7, 0.3, 0.1, 1 / 3, 1e-3, 0.0]
TABLE = Table({"lr": FACTORS})
OWN = [1e-3, 1e-4, 0.3]


def make_adamw(rates: list[Any] = OWN, decays: list[Any] | None = None) -> AdamW:
    groups = zip(make_groups(len(rates)), rates, decays or [0.01] * len(rates), strict=True)
    return AdamW([{**group, "lr": rate, "weight_decay": decay} for group, rate, decay in groups])


def as_tensors(values: list[float]) -> list[torch.Tensor]:
    return [torch.tensor(value) for value in values]


# -- the values -------------------------------------------------------------------------------------------------------


@given(
    own=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=4),
    factors=st.lists(st.floats(0.0, 1e6), min_size=2, max_size=12),
)
def test_a_relative_table_is_lambda_lr_of_its_values(own: list[float], factors: list[float]) -> None:
    """Each group gets its own rate times the table's, the very bits of LambdaLR with the table's values as factors."""
    ours, theirs = make_adamw(own), make_adamw(own)
    applied = train(ours, TableLR(ours, Table({"lr": factors}), relative=True), len(factors) - 1)
    assert applied == train(theirs, LambdaLR(theirs, factors.__getitem__), len(factors) - 1)
    assert values_of(ours) == values_of(theirs)


def test_one_rate_for_all_takes_the_short_way_with_the_same_bits() -> None:
    """Groups with one rate among them have the products of a long table, too, by step, stride and set_progress."""
    factors = np.random.default_rng(0).uniform(0.0, 1.0, 300).tolist()
    for stride in (1, 3):
        ours, theirs = make_adamw([3e-4, 3e-4]), make_adamw([3e-4, 3e-4])
        scheduler = TableLR(ours, Table({"lr": factors}, stride=stride), relative=True)
        assert train(ours, scheduler, 299) == train(theirs, LambdaLR(theirs, lambda k, s=stride: factors[k // s]), 299)  # type: ignore[misc]  # a default binds the loop's value
        scheduler.set_progress(7)
        assert values_of(ours) == [3e-4 * factors[7 // stride]] * 2 == scheduler.get_lr() == scheduler.get_last_lr()


def test_a_tensor_gets_the_product_rounded_once() -> None:
    """A rate that is a tensor is filled with its own first value times the table's, computed in float64."""
    optimizer = make_adamw(as_tensors(OWN))
    tensors = [group["lr"] for group in optimizer.param_groups]
    applied = train(optimizer, TableLR(optimizer, TABLE, relative=True), 6)
    assert applied == [[float(np.float32(float(np.float32(own)) * factor)) for own in OWN] for factor in FACTORS[:6]]
    assert all(group["lr"] is tensor for group, tensor in zip(optimizer.param_groups, tensors, strict=True))


def test_groups_that_share_a_tensor_share_its_value() -> None:
    """One tensor for all groups is filled with one product."""
    rate = torch.tensor(0.5)
    optimizer = AdamW(make_groups(3), lr=rate)
    assert train(optimizer, TableLR(optimizer, TABLE, relative=True), 2) == [[0.5] * 3, [float(np.float32(0.35))] * 3]
    optimizer.param_groups[1]["initial_lr"] = torch.tensor(0.25)
    with pytest.raises(ValueError, match="a lr per group, and groups share one lr tensor: give each its own"):
        TableLR(optimizer, TABLE, relative=True)


def test_a_bias_keeps_its_weight_decay_of_zero() -> None:
    """A relative column of weight decay leaves a group without any at 0, and beta1 and momentum are relative, too."""
    optimizer = make_adamw([1e-3, 1e-3], decays=[0.1, 0.0])
    table = Table({"lr": FACTORS, "weight_decay": FACTORS, "beta1": FACTORS})
    scheduler = TableLR(optimizer, table, relative=True)
    assert train(optimizer, scheduler, 6, "weight_decay") == [[0.1 * factor, 0.0] for factor in FACTORS[:6]]
    assert optimizer.param_groups[0]["betas"] == (0.9 * FACTORS[6], 0.999)
    assert optimizer.param_groups[1]["initial_weight_decay"] == 0.0


def test_a_column_per_group_multiplies_that_group_s_own() -> None:
    """`lr.1` is a factor of group 1's own rate."""
    optimizer = make_adamw([0.5, 0.25])
    TableLR(optimizer, Table({"lr.0": [0.5], "lr.1": [0.125]}), relative=True)
    assert values_of(optimizer) == [0.25, 0.03125]


@pytest.mark.parametrize("rates", [[0.25], [0.25, 0.25]])
@pytest.mark.parametrize("added", [0.5, 0.25, None])
def test_an_added_group_has_a_value_of_its_own(rates: list[float], added: float | None) -> None:
    """A group added in the middle, with a rate of its own or the optimizer's, has that times the table's."""
    optimizer = SGD(make_groups(len(rates)), lr=0.25)
    scheduler = TableLR(optimizer, TABLE, relative=True)
    train(optimizer, scheduler, 2)
    optimizer.add_param_group(make_groups(1, **({} if added is None else {"lr": added}))[0])
    scheduler.load_state_dict(scheduler.state_dict())
    update(optimizer)
    scheduler.step()
    own = [*rates, 0.25 if added is None else added]
    saved = own if len(set(own)) > 1 else own[0]  # one number is saved for all groups where they have the same
    assert scheduler.state_dict()["initial"] == {"lr": saved}
    assert train(optimizer, scheduler, 3) == [[one * factor for one in own] for factor in FACTORS[3:6]]
    assert [group["initial_lr"] for group in optimizer.param_groups] == own


def test_own_values_outlive_other_schedulers() -> None:
    """A group's own rate is the one before any scheduler, as torch keeps it, whatever has changed it since."""
    optimizer = make_adamw()
    warmup = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    scheduler = SequentialLR(optimizer, [warmup, TableLR(optimizer, TABLE, relative=True)], milestones=[2])
    applied = train(optimizer, scheduler, 5)
    assert applied[2:] == [[own * factor for own in OWN] for factor in FACTORS[:3]]


# -- saving and resuming ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["optimizer, new scheduler", "optimizer, scheduler", "scheduler, optimizer", "alone"])
@pytest.mark.parametrize("rates", [OWN, as_tensors(OWN), [0.5] * 3], ids=["floats", "tensors", "the same"])
@pytest.mark.parametrize("new", [OWN, [7.0] * 3], ids=["same script", "other rates"])
def test_a_resumed_run_has_the_own_values_that_it_began_with(order: str, rates: list[Any], new: list[float]) -> None:
    """After a resume each group's own values are the saved ones, in either load order, though the script has others."""

    def make(own: list[Any]) -> tuple[Optimizer, TableLR]:
        own = [copy.deepcopy(rate) for rate in own]
        optimizer = make_adamw(own, decays=[0.1, 0.0, 0.1])
        return optimizer, TableLR(optimizer, Table({"lr": FACTORS, "weight_decay": FACTORS}), relative=True)

    whole = train(*make(rates), 6)
    optimizer, scheduler = make(rates)
    train(optimizer, scheduler, 3)
    states = through_file((optimizer.state_dict(), scheduler.state_dict()))
    as_the_script = [torch.tensor(rate) if torch.is_tensor(rates[0]) else rate for rate in new]
    optimizer, scheduler = make(as_the_script)
    if order == "optimizer, new scheduler":
        optimizer = make_adamw(as_the_script)
        optimizer.load_state_dict(states[0])
        scheduler = TableLR(optimizer, scheduler.table, relative=True)
    if order == "optimizer, scheduler":
        optimizer.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    if order == "scheduler, optimizer":
        optimizer.load_state_dict(states[0])
    assert scheduler.state_dict() == states[1]
    assert train(optimizer, scheduler, 3) == whole[3:]
    assert values_of(optimizer, "weight_decay") == [0.1 * FACTORS[6], 0.0, 0.1 * FACTORS[6]]


def test_an_optimizer_state_without_own_values_keeps_ours() -> None:
    """An optimizer's state that was saved without a scheduler does not make the rate in force a group's own."""
    optimizer = make_adamw()
    bare = make_adamw([0.9] * 3).state_dict()
    scheduler = TableLR(optimizer, TABLE, relative=True)
    train(optimizer, scheduler, 2)
    optimizer.load_state_dict(bare)
    assert train(optimizer, scheduler, 2) == [[own * factor for own in OWN] for factor in FACTORS[2:4]]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_is_relative_too(copied: Callable[[Any], Any]) -> None:
    """A copy of optimizer and scheduler goes on with the same products, and keeps them when a state is loaded."""
    optimizer = make_adamw()
    scheduler = TableLR(optimizer, TABLE, relative=True)
    train(optimizer, scheduler, 2)
    other_optimizer, other = copied((optimizer, scheduler))
    assert other.state_dict() == scheduler.state_dict()
    other_optimizer.load_state_dict(make_adamw([0.9] * 3).state_dict())
    assert train(other_optimizer, other, 3) == [[own * factor for own in OWN] for factor in FACTORS[2:5]]


def test_the_state_says_that_it_is_relative_and_is_plain() -> None:
    """The state holds `relative` and each group's own values, as plain numbers."""
    optimizer = make_adamw(as_tensors(OWN))
    state = TableLR(optimizer, TABLE, relative=True).state_dict()
    assert state["relative"] is True
    assert state["initial"] == {"lr": [float(np.float32(own)) for own in OWN]}
    assert values_of(optimizer, "initial_lr") == state["initial"]["lr"]
    assert through_file(state) == state == json.loads(json.dumps(state))


def test_a_factor_that_makes_no_rate_is_refused_when_it_is_made() -> None:
    """An own rate and a factor that give more than a rate can be are refused together, and nothing is kept."""
    optimizer = make_adamw([1e3])
    with pytest.raises(
        ValueError, match=r"lr of group 0 must be from 0 to 1e\+12, got 10000000000000.0: its own 1000.0 times"
    ):
        TableLR(optimizer, Table({"lr": [1.0, 1e10]}), relative=True)
    assert "initial_lr" not in optimizer.param_groups[0]


def test_a_capture_of_a_relative_table_has_each_group_s_values() -> None:
    """`capture` of a relative TableLR gives the products, a column per group, and changes nothing."""
    optimizer = make_adamw()
    scheduler = TableLR(optimizer, TABLE, relative=True)
    captured = capture(scheduler, len(FACTORS))
    assert train(optimizer, scheduler, 6) == [
        [captured.get_lr(row, group=group) for group in range(len(OWN))] for row in range(6)
    ]


@pytest.mark.parametrize("relative", ["yes", 2, []])
def test_relative_is_true_or_false(relative: Any) -> None:
    """`relative` of another type is refused with its value."""
    with pytest.raises(TypeError, match="relative must be True or False, got"):
        TableLR(make_adamw(), TABLE, relative=relative)


# -- one value for all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "decays", "said"),
    [
        ([1e-3, 1e-4], [0.01, 0.01], r"\(lr 0.001, 0.0001\)"),
        ([1e-3, 1e-3], [0.04, 0.0], r"\(weight_decay 0.04, 0\)"),
        ([1e-3, 1e-4], [0.04, 0.0], r"\(lr 0.001, 0.0001; weight_decay 0.04, 0\)"),
        ([0.1 / (k + 1) for k in range(9)], [0.0] * 9, r"\(lr 0.1, 0.05, .*, 0.0166667, ... \(9 different ones\)\)"),
        (as_tensors([0.5, 0.25]), [0.0, 0.0], r"\(lr 0.5, 0.25\)"),
    ],
)
def test_one_value_for_groups_with_their_own_is_warned_about(rates: list[Any], decays: list[float], said: str) -> None:
    """A table with one value for groups that have their own says so once, with those and the ways out."""
    optimizer = make_adamw(rates, decays)
    with pytest.warns(ScheduleWarning, match=said) as caught:
        scheduler = TableLR(optimizer, Table({"lr": FACTORS, "weight_decay": FACTORS}))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    for way in ("relative=True", "lr.0, lr.1", "layer_decay", "relative=False"):
        assert way in str(caught[0].message)
    train(optimizer, scheduler, 2)


@pytest.mark.parametrize("case", ["alike", "relative", "absolute", "per group", "not driven"])
def test_what_was_meant_is_not_warned_about(case: str) -> None:
    """Equal values, a stated `relative`, columns per group, and what the table does not drive are silent."""
    rates = [0.5, 0.5] if case in ("alike", "not driven") else [0.5, 0.25]
    optimizer = make_adamw(rates, [0.1, 0.0] if case == "not driven" else [0.1, 0.1])
    columns = {"lr.0": FACTORS, "lr.1": FACTORS} if case == "per group" else {"lr": FACTORS}
    TableLR(optimizer, Table(columns), relative={"relative": True, "absolute": False}.get(case))
    assert values_of(optimizer) == [0.5, 0.25] if case == "relative" else [1.0, 1.0]


def test_an_added_group_with_its_own_value_is_warned_about() -> None:
    """A group that is added with a rate of its own, which the table replaces, is told once, at the next step."""
    optimizer = SGD(make_groups(1), lr=0.5)
    scheduler = TableLR(optimizer, TABLE)
    train(optimizer, scheduler, 1)
    optimizer.add_param_group(make_groups(1, lr=0.25)[0])
    with pytest.warns(ScheduleWarning, match=r"values of their own \(lr 0.5, 0.25\)") as caught:
        train(optimizer, scheduler, 3)
    assert len(caught) == 1
    assert caught[0].filename.endswith("training.py")
    assert values_of(optimizer) == [FACTORS[4]] * 2


def test_an_added_group_with_the_optimizer_s_rate_is_no_surprise() -> None:
    """A group that is added without a rate of its own is driven silently."""
    optimizer = SGD(make_groups(1), lr=0.5)
    scheduler = TableLR(optimizer, TABLE)
    train(optimizer, scheduler, 1)
    optimizer.add_param_group(make_groups(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(optimizer, scheduler, 2)
