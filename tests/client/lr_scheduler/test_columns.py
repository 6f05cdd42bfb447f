"""TableLR against real torch: groups, tensors, columns beside lr, compiled steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import Adam, AdamW

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.tables import RATES, make_sgd, make_table, per_group_table, rates_in_force
from tests.support.client.training import make_groups, record_rates, update, values_of

# -- tensors, groups, columns -----------------------------------------------------------------------------------------


def test_a_tensor_rate_is_filled_in_place() -> None:
    """A rate that is a tensor stays the same tensor object and takes the table's values."""
    rate = torch.tensor(1.0)
    optimizer = AdamW(make_groups(1), lr=rate)
    scheduler = TableLR(optimizer, make_table())
    applied = rates_in_force(optimizer, scheduler, 5)
    assert applied == [float(np.float32(value)) for value in RATES[:5]]
    assert optimizer.param_groups[0]["lr"] is rate
    assert scheduler.get_last_lr() == [RATES[5]]


class CountingTensor(torch.Tensor):
    """A tensor that counts its fills."""

    fills = 0

    def fill_(self, value: Any) -> torch.Tensor:
        type(self).fills += 1
        return super().fill_(value)


def test_a_shared_tensor_is_filled_once() -> None:
    """Groups that share one tensor cost one fill per step."""
    optimizer = AdamW(make_groups(5), lr=torch.tensor(1.0).as_subclass(CountingTensor))
    scheduler = TableLR(optimizer, make_table())
    CountingTensor.fills = 0
    rates_in_force(optimizer, scheduler, 3)
    assert CountingTensor.fills == 3


def test_an_added_group_gets_the_table_s_rate() -> None:
    """A group added later is scheduled from the next step on, without a warning, even where the rate stands still."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table([0.1, 0.1, 0.1, 0.05]))
    rates_in_force(optimizer, scheduler, 1)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})
    rates_in_force(optimizer, scheduler, 1)
    assert values_of(optimizer) == scheduler.get_last_lr() == [0.1, 0.1]
    rates_in_force(optimizer, scheduler, 1)
    assert values_of(optimizer) == [0.05, 0.05]


def test_an_added_group_has_the_row_of_its_first_update() -> None:
    """A group that is added between two updates has the row of the next one, not the rate that it came with."""
    optimizer = make_sgd()
    groups = [record_rates(optimizer)]
    scheduler = TableLR(optimizer, make_table())
    for _ in range(2):
        update(optimizer)
        scheduler.step()
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})
    groups.append(record_rates(optimizer, group=1))
    for _ in range(2):
        update(optimizer)
        scheduler.step()
    assert groups == [RATES[:4], RATES[2:4]]


def test_each_group_gets_its_own_column() -> None:
    """`lr.k` goes to parameter group k."""
    optimizer = make_sgd(3)
    scheduler = TableLR(optimizer, per_group_table(3))
    for rate in RATES:
        assert values_of(optimizer) == scheduler.get_last_lr() == [rate, rate / 2, rate / 3]
        update(optimizer)
        scheduler.step()


@pytest.mark.parametrize("groups", [1, 3])
def test_another_number_of_groups_is_an_error_that_lists_both(groups: int) -> None:
    """A table for two groups and an optimizer with another number is refused, with both written out."""
    with pytest.raises(ValueError, match=rf"2 parameter groups \(lr.0, lr.1\), the optimizer has {groups} \(0: 1 para"):
        TableLR(make_sgd(groups), per_group_table(2))


def test_a_group_added_to_rates_per_group_is_an_error() -> None:
    """A group that the table has no rate for stops the update that would use its own."""
    optimizer = make_sgd(2)
    scheduler = TableLR(optimizer, per_group_table(2))
    rates_in_force(optimizer, scheduler, 1)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))], "name": "head"})
    with pytest.raises(ValueError, match=r"the optimizer has 3 .*head: 1 parameters"):
        update(optimizer)
    assert scheduler.last_epoch == 1


def test_rates_per_group_need_a_tensor_per_group() -> None:
    """One lr tensor shared by groups cannot hold a rate for each."""
    with pytest.raises(ValueError, match="groups share one lr tensor: give each its own"):
        TableLR(AdamW(make_groups(2), lr=torch.tensor(0.1)), per_group_table(2))
    groups = [{**group, "lr": torch.tensor(0.1)} for group in make_groups(2)]
    optimizer = AdamW(groups)
    TableLR(optimizer, per_group_table(2))
    assert values_of(optimizer) == [float(np.float32(rate)) for rate in (RATES[0], RATES[0] / 2)]


def test_a_group_without_a_rate_is_an_error() -> None:
    """A table that has rates for some groups only is refused."""
    with pytest.raises(ValueError, match=r"the table has no rate for group 1, only the columns lr\.0, lr\.2"):
        TableLR(make_sgd(3), Table({"lr.0": RATES, "lr.2": RATES}))


def test_momentum_and_weight_decay_go_to_their_places() -> None:
    """The columns momentum and weight_decay are written beside lr."""
    momenta, decays = [0.9 - 0.01 * k for k in range(10)], [0.001 * k for k in range(10)]
    table = Table({"lr": RATES, "momentum": momenta, "weight_decay": decays})
    optimizer = make_sgd(momentum=0.5)
    scheduler = TableLR(optimizer, table)
    for row in zip(RATES, momenta, decays, strict=True):
        group = optimizer.param_groups[0]
        assert row == (group["lr"], group["momentum"], group["weight_decay"])
        update(optimizer)
        scheduler.step()


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_beta1_is_the_first_of_betas(tensor: bool) -> None:
    """The column beta1 changes the first of Adam's betas alone, in place where that is a tensor."""
    betas: Any = (torch.tensor(0.9), torch.tensor(0.999)) if tensor else (0.9, 0.999)
    lr: Any = torch.tensor(0.1) if tensor else 0.1
    optimizer = Adam(make_groups(1), lr=lr, betas=betas, capturable=False, foreach=False)
    before = optimizer.param_groups[0]["betas"][0]
    TableLR(optimizer, Table({"lr": RATES, "beta1": [0.85] * 10}))
    after = optimizer.param_groups[0]["betas"]
    assert [float(beta) for beta in after] == pytest.approx([0.85, 0.999])
    assert (after[0] is before) == tensor


def test_a_column_without_a_place_is_an_error() -> None:
    """A column that the optimizer has no hyperparameter for is refused, and what there is is listed."""
    with pytest.raises(ValueError, match=r"'momentum', which group 0 does not have.*lr, betas.*column='beta1'"):
        TableLR(AdamW(make_groups(1)), Table({"lr": RATES, "momentum": RATES}))


# -- compiled steps ---------------------------------------------------------------------------------------------------


def compiled_by_torch(step: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(step, backend="eager")


@pytest.mark.filterwarnings("default::DeprecationWarning:torch")  # torch's compiler uses what torch deprecates
@pytest.mark.parametrize(
    "compile_step",
    [
        pytest.param(functools.partial, id="stand-in"),
        pytest.param(compiled_by_torch, id="torch.compile", marks=pytest.mark.slow),
    ],
)
def test_an_already_compiled_step_is_fine(compile_step: Callable[..., Any]) -> None:
    """An `optimizer.step` that was compiled before the scheduler was made works, and its calls are noticed."""
    optimizer = make_sgd()
    optimizer.step = compile_step(optimizer.step)  # type: ignore[method-assign]  # what is under test
    scheduler = TableLR(optimizer, make_table())
    assert rates_in_force(optimizer, scheduler, 5) == RATES[:5]
