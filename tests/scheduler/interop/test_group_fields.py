"""Column names and the numbers of real optimizers' parameter groups: one rule both ways."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import ASGD, SGD, Adafactor, Adagrad, Adam, NAdam, Optimizer, RMSprop, Rprop

from scheduler.interop.group_fields import check_place, number_readers, read, write

OPTIMIZERS: list[tuple[type[Optimizer], set[str]]] = [
    (SGD, {"lr", "momentum", "dampening", "weight_decay"}),
    (Adam, {"lr", "beta1", "beta2", "eps", "weight_decay"}),
    (NAdam, {"lr", "beta1", "beta2", "eps", "weight_decay", "momentum_decay"}),
    (RMSprop, {"lr", "alpha", "eps", "momentum", "weight_decay"}),
    (ASGD, {"lr", "lambd", "alpha", "t0", "weight_decay"}),
    (Adagrad, {"lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value"}),
    (Rprop, {"lr", "eta1", "eta2", "step_size1", "step_size2"}),
    (Adafactor, {"lr", "beta2_decay", "eps2", "d", "weight_decay"}),
]
COLUMNS = [(kind, column) for kind, columns in OPTIMIZERS for column in sorted(columns)]


def group_of(kind: type[Optimizer]) -> dict[str, Any]:
    """The only parameter group of an optimizer."""
    optimizer: Any = kind([nn.Parameter(torch.zeros(1))], lr=0.1)  # type: ignore[call-arg]  # each of these takes it
    group: dict[str, Any] = optimizer.param_groups[0]
    return group


@pytest.mark.parametrize(("kind", "columns"), OPTIMIZERS, ids=lambda given: getattr(given, "__name__", ""))
def test_every_number_of_a_group_is_a_column(kind: type[Optimizer], columns: set[str]) -> None:
    """A group's numbers, and those of its pairs, are columns; flags, parameters and what is not given are not."""
    assert number_readers(group_of(kind)).keys() == columns


@pytest.mark.parametrize(("kind", "column"), COLUMNS, ids=lambda given: getattr(given, "__name__", given))
def test_what_is_written_is_read_and_nothing_else_changes(kind: type[Optimizer], column: str) -> None:
    """Writing one column changes that number alone, and it is read under the same name."""
    group = group_of(kind)
    before = {name: reader(group) for name, reader in number_readers(group).items()}
    check_place(group, 0, column)
    write(group, column, 0.25)
    after = {name: reader(group) for name, reader in number_readers(group).items()}
    assert after == before | {column: 0.25}
    assert read(group, column) == 0.25
    assert group.keys() == group_of(kind).keys()


def test_the_other_entries_of_a_pair_stay() -> None:
    """Each of several numbers is written for itself, and the whole stays a tuple."""
    group = group_of(Adam)
    write(group, "beta2", 0.5)
    write(group, "beta1", 0.25)
    assert group["betas"] == (0.25, 0.5)


def test_a_name_of_its_own_comes_before_a_place_in_a_pair() -> None:
    """Where a group has both `beta1` and `betas`, the column `beta1` is the former."""
    group = {"params": [], "lr": 0.1, "beta1": 0.5, "betas": (0.9, 0.99)}
    write(group, "beta1", 0.25)
    assert (group["beta1"], group["betas"], read(group, "beta2")) == (0.25, (0.9, 0.99), 0.99)
    assert number_readers(group)["beta1"](group) == 0.25


def test_tensors_are_filled_in_place_each_once() -> None:
    """A tensor stays the same object, in a pair too, and one that was filled already is left alone."""
    first, second = torch.tensor(0.9), torch.tensor(0.99)
    group = {"params": [], "betas": (first, second)}
    filled: set[int] = set()
    write(group, "beta2", 0.5, filled)
    write(group, "beta2", 0.25, filled)
    assert group["betas"][1] is second
    assert torch.stack([first, second]).tolist() == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize("column", ["beta3", "beta0", "eps1", "param1", "momentum", "beta", "1"])
def test_a_column_without_a_place_is_refused_with_what_there_is(column: str) -> None:
    """The error names the group and its numbers; reading is a KeyError."""
    group = group_of(Adam)
    with pytest.raises(ValueError, match=rf"the column '{column}', which group 7 does not have; it has lr, betas"):
        check_place(group, 7, column)
    with pytest.raises(KeyError, match=column):
        read(group, column)


@pytest.mark.parametrize(("column", "value"), [("amsgrad", "False"), ("foreach", "None")])
def test_what_is_no_number_is_no_place_for_one(column: str, value: str) -> None:
    """A flag, and what is not given, would turn into a number that the optimizer does not expect."""
    with pytest.raises(ValueError, match=rf"the {column} of group 0 must be a number or a tensor .* got {value}"):
        check_place(group_of(Adam), 0, column)
