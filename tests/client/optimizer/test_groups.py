"""Columns in parameter groups, written into real optimizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import ASGD, SGD, Adam, AdamW, Optimizer, RMSprop, Rprop

from client.lr_scheduler import TableLR
from client.plain_loop import set_lr
from scheduler import Schedule, Spec, Table, capture
from scheduler.builtin import CyclicLR, OneCycleLR
from scheduler.compose import Ramp
from tests.support.client.training import make_groups

ROWS = 12
RATES = [0.1 / (row + 1) for row in range(ROWS)]


def train(optimizer: Optimizer, scheduler: Any, read: Callable[[dict[str, Any]], Any]) -> list[list[Any]]:
    """The value that `read` finds in every group during each update, one update per row of the tables."""
    seen = []
    for _ in range(ROWS):
        seen.append([read(group) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


def sgd() -> Optimizer:
    return SGD(make_groups(2), lr=0.05, momentum=0.9)


def adam() -> Optimizer:
    return Adam(make_groups(2), lr=0.05)


def rate_and_momentum(group: dict[str, Any]) -> tuple[float, Any]:
    return group["lr"], group["betas"] if "betas" in group else group["momentum"]


@pytest.mark.parametrize(("make_optimizer", "column"), [(sgd, "momentum"), (adam, "beta1")])
@pytest.mark.parametrize(
    ("twin", "parameters"),
    [
        pytest.param(OneCycleLR, {"max_lr": 0.1, "total_steps": ROWS}, id="one-cycle"),
        pytest.param(CyclicLR, {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3}, id="cyclic"),
    ],
)
def test_momentum_is_driven_as_torch_drives_it(
    make_optimizer: Callable[[], Optimizer], column: str, twin: Any, parameters: dict[str, Any]
) -> None:
    """The table of a twin writes the rates and momenta that torch's own class writes, bit for bit."""
    ours, theirs = make_optimizer(), make_optimizer()
    table = twin(**parameters, momentum_column=column).table(ROWS)
    original = getattr(torch.optim.lr_scheduler, twin.__name__)(theirs, **parameters)
    assert train(ours, TableLR(ours, table), rate_and_momentum) == train(theirs, original, rate_and_momentum)


def test_every_column_of_a_spec_is_applied() -> None:
    """Rates per group, weight decay per group and one beta1 for all meet in the optimizer, each from its schedule."""
    rates = [Ramp(0.0, 0.1, 5), Ramp(0.0, 0.01, 5)]
    decays = [Ramp(0.04, 0.4, ROWS, "cosine"), Ramp(0.0, 0.1, ROWS)]
    beta = Ramp(0.95, 0.85, ROWS)
    spec = Spec(schedule=rates, columns={"weight_decay": decays, "beta1": beta}, total_steps=ROWS)
    optimizer = AdamW(make_groups(2), betas=(0.9, 0.98))
    applied = train(
        optimizer, TableLR(optimizer, spec.table()), lambda group: (group["lr"], group["weight_decay"], group["betas"])
    )
    assert applied == [
        [
            (rate.get_lr(row), decay.get_lr(row), (beta.get_lr(row), 0.98))
            for rate, decay in zip(rates, decays, strict=True)
        ]
        for row in range(ROWS)
    ]


@pytest.mark.parametrize("optimizer_first", [True, False], ids=["optimizer-first", "scheduler-first"])
def test_beta1_comes_back_on_resume(optimizer_first: bool) -> None:
    """A resumed optimizer has the row's beta1 and its own other betas, in either load order."""
    table = Table({"lr": RATES, "beta1": [0.9 - 0.01 * row for row in range(ROWS)]})
    optimizer = adam()
    scheduler = TableLR(optimizer, table)
    scheduler.set_progress(7)
    saved = optimizer.state_dict(), scheduler.state_dict()

    optimizer = adam()
    scheduler = TableLR(optimizer, table)
    if optimizer_first:
        optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    if not optimizer_first:
        optimizer.load_state_dict(saved[0])
    assert [group["betas"] for group in optimizer.param_groups] == [(float(table.columns["beta1"][7]), 0.999)] * 2


@pytest.mark.parametrize("groups", [1, 3])
def test_the_number_of_groups_counts_for_every_column(groups: int) -> None:
    """Weight decay for two groups is refused by an optimizer of another number, though one rate would serve all."""
    table = Table({"lr": RATES, "weight_decay.0": RATES, "weight_decay.1": RATES})
    expected = rf"2 parameter groups \(lr, weight_decay.0, weight_decay.1\), the optimizer has {groups} \(0: 1 para"
    with pytest.raises(ValueError, match=expected):
        TableLR(AdamW(make_groups(groups)), table)


def test_one_tensor_cannot_hold_a_beta_for_each_group() -> None:
    """Groups that share a tensor of beta1 are refused where each has its own column."""
    betas: Any = (torch.tensor(0.9), torch.tensor(0.999))
    optimizer = Adam(make_groups(2), lr=torch.tensor(0.1), betas=betas, foreach=False)
    with pytest.raises(ValueError, match="a beta1 per group, and groups share one beta1 tensor: give each its own"):
        TableLR(optimizer, Table({"lr": RATES, "beta1.0": RATES, "beta1.1": RATES}))


def test_a_shared_tensor_is_fine_where_the_value_is_shared() -> None:
    """One lr tensor for all groups serves a table with one rate and a weight decay for each group."""
    optimizer = AdamW(make_groups(2), lr=torch.tensor(1.0))
    TableLR(optimizer, Table({"lr": RATES, "weight_decay.0": [0.1] * ROWS, "weight_decay.1": [0.2] * ROWS}))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.2]
    assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx([0.1, 0.1])


def test_a_tensor_and_a_number_share_nothing() -> None:
    """Groups may mix tensor rates and plain ones where each has its own column."""
    first, second = make_groups(2)
    optimizer = SGD([{**first, "lr": torch.tensor(1.0)}, second], lr=1.0)
    TableLR(optimizer, Table({"lr.0": RATES, "lr.1": [rate / 2 for rate in RATES]}))
    assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx([0.1, 0.05])


@pytest.mark.parametrize(
    "rate",
    [torch.tensor(1), torch.tensor(True), torch.tensor(1j), torch.tensor([0.1, 0.2]), torch.tensor([])],
    ids=lambda rate: f"{rate!r}",
)
@pytest.mark.parametrize("name", ["lr", "weight_decay"])
def test_a_tensor_that_cannot_hold_a_rate_is_refused_at_once(name: str, rate: torch.Tensor) -> None:
    """A tensor of integers, or of several numbers, is refused when the scheduler is made, and nothing is written."""
    optimizer = SGD(make_groups(2), lr=0.5)
    optimizer.param_groups[1][name] = rate
    before = rate.clone()
    with pytest.raises(ValueError, match=rf"the {name} of group 1 must be a number or a tensor of one float, such as"):
        TableLR(optimizer, Table({"lr": RATES, "weight_decay": RATES}))
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert torch.equal(rate, before)


def test_a_rate_that_is_trained_itself_is_refused_at_once() -> None:
    """A parameter cannot be filled in place: it is refused before another group is written."""
    optimizer = SGD(make_groups(2), lr=0.5)
    optimizer.param_groups[1]["lr"] = rate = torch.nn.Parameter(torch.tensor(0.5))
    with pytest.raises(ValueError, match="the lr of group 1 must not require a gradient, because it is filled in"):
        TableLR(optimizer, Table({"lr": RATES}))
    assert optimizer.param_groups[0]["lr"] == rate.item() == 0.5
    with pytest.raises(ValueError, match="the lr of group 1 must not require a gradient, because it is filled in"):
        set_lr(optimizer, 0.25)


def test_a_tensor_of_integers_is_refused_wherever_it_comes_from() -> None:
    """An integer tensor in a loaded state, in an added group or in set_lr is refused by a ValueError."""
    optimizer = SGD(make_groups(1), lr=0.5)
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = torch.tensor(1)
    scheduler = TableLR(optimizer, Table({"lr": RATES}))
    with pytest.raises(ValueError, match="the lr of group 0 must be a number or a tensor of one float"):
        optimizer.load_state_dict(state)
    with pytest.raises(ValueError, match="the lr of group 0 must be a number or a tensor of one float"):
        set_lr(optimizer, 0.5)
    assert optimizer.param_groups[0]["lr"] == torch.tensor(1)
    optimizer = SGD(make_groups(1), lr=0.5)
    scheduler = TableLR(optimizer, Table({"lr": RATES}))
    optimizer.add_param_group(make_groups(1, lr=torch.tensor(1))[0])
    with pytest.raises(ValueError, match="the lr of group 1 must be a number or a tensor of one float"):
        optimizer.step()
    assert scheduler.last_epoch == 0
    assert scheduler.get_last_lr() == [RATES[0]]
    optimizer.param_groups[1]["lr"] = 0.5
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [RATES[1]] * 2


@pytest.mark.filterwarnings("ignore:another writer:scheduler.ScheduleWarning")  # there is one
def test_a_tensor_of_integers_put_there_in_the_middle_is_refused() -> None:
    """A rate that becomes an integer tensor during training stops the next step by a ValueError, and stays."""
    optimizer = SGD(make_groups(1), lr=0.5)
    scheduler = TableLR(optimizer, Table({"lr": RATES}))
    optimizer.step()
    scheduler.step()
    rate = optimizer.param_groups[0]["lr"] = torch.tensor(3)
    with pytest.raises(ValueError, match="the lr of a group must be a number or a tensor of one float"):
        scheduler.step()
    assert rate == torch.tensor(3)
    assert scheduler.last_epoch == 1


@pytest.mark.parametrize("rate", [np.float32(0.5), np.float64(0.5), 1, Fraction(1, 2), np.array(0.5)], ids=repr)
def test_any_number_gives_way_to_a_python_float(rate: Any) -> None:
    """A rate that is an int, NumPy's or any other number becomes a Python float."""
    optimizer = SGD(make_groups(1), lr=0.5)
    optimizer.param_groups[0]["lr"] = rate
    scheduler = TableLR(optimizer, Table({"lr": RATES}))
    assert type(optimizer.param_groups[0]["lr"]) is float
    assert optimizer.param_groups[0]["lr"] == RATES[0] == scheduler.get_last_lr()[0]


OTHER_COLUMNS: list[tuple[Callable[..., Optimizer], dict[str, tuple[float, float]]]] = [
    (Adam, {"beta1": (0.5, 0.9), "beta2": (0.9, 0.999)}),
    (Adam, {"beta2": (0.9, 0.999), "eps": (1e-3, 1e-8)}),
    (RMSprop, {"alpha": (0.5, 0.99), "eps": (1e-3, 1e-8), "momentum": (0.1, 0.9)}),
    (ASGD, {"lambd": (0.0, 1e-2), "alpha": (0.5, 0.75)}),
    (Rprop, {"eta1": (0.3, 0.5), "eta2": (1.1, 1.5)}),
]


@pytest.mark.parametrize(("kind", "ends"), OTHER_COLUMNS, ids=["betas", "adam", "rmsprop", "asgd", "rprop"])
def test_any_number_of_a_group_can_be_driven(
    kind: Callable[..., Optimizer], ends: dict[str, tuple[float, float]]
) -> None:
    """A training with a table's columns equals one whose groups a plain loop sets by hand, bit for bit."""
    columns: dict[str, Schedule | Sequence[Schedule]] = {name: Ramp(*both, ROWS) for name, both in ends.items()}
    table = Spec(schedule=Ramp(0.1, 0.01, ROWS), columns=columns, total_steps=ROWS).table()
    ours, by_hand = (torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    optimizer = kind([ours], lr=0.1)
    scheduler, other = TableLR(optimizer, table), kind([by_hand], lr=0.1)
    for row in range(ROWS):
        for parameter in (ours, by_hand):
            parameter.grad = torch.tensor([0.3, -0.1]) * (-1) ** row
        set_by_hand(other.param_groups[0], {name: float(values[row]) for name, values in table.columns.items()})
        optimizer.step()
        other.step()
        scheduler.step()
        assert torch.equal(ours, by_hand)


def set_by_hand(group: dict[str, Any], values: dict[str, float]) -> None:
    """As one would write it without a table."""
    pairs = {"beta": "betas", "eta": "etas"}
    for name, value in values.items():
        if name[:-1] in pairs:
            both = [*group[pairs[name[:-1]]]]
            both[int(name[-1]) - 1] = value
            group[pairs[name[:-1]]] = tuple(both)
        else:
            assert name in group
            group[name] = value


def test_a_captured_beta2_is_applied() -> None:
    """TableLR writes every column that `capture` finds: the same betas are in force at every update."""

    def warm_beta2(optimizer: Optimizer, update: int) -> None:
        for group in optimizer.param_groups:
            group["betas"] = (0.9, 1 - 1 / (update + 10))

    table = capture(adam(), ROWS, step=warm_beta2)
    assert set(table.columns) == {"lr", "beta2"}
    optimizer = adam()
    applied = train(optimizer, TableLR(optimizer, table), lambda group: group["betas"])
    assert applied == [[(0.9, float(beta2))] * 2 for beta2 in table.columns["beta2"]]


def test_beta2_comes_back_on_resume_and_relative_to_each_groups_own() -> None:
    """A table of factors multiplies each group's own beta2, and a resumed optimizer has the row's."""
    table = Table({"lr": [1.0] * ROWS, "beta2": [1.0 - 0.01 * row for row in range(ROWS)]})
    optimizer = Adam([{**group, "betas": (0.9, own)} for group, own in zip(make_groups(2), (0.9, 0.8), strict=True)])
    scheduler = TableLR(optimizer, table, relative=True)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    expected = [(0.9, own * float(table.columns["beta2"][5])) for own in (0.9, 0.8)]
    assert [group["betas"] for group in optimizer.param_groups] == expected
    again = Adam(make_groups(2))
    again.load_state_dict(optimizer.state_dict())
    TableLR(again, table, relative=True).load_state_dict(scheduler.state_dict())
    assert [group["betas"] for group in again.param_groups] == expected
