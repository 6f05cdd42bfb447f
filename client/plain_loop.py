"""Set one learning rate in every parameter group of a plain training loop. Needs no torch."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

from scheduler.interop.group_fields import Group, check_place, write
from scheduler.numerics.rates import MAX_RATE, is_rate
from scheduler.texts import abbreviate

if TYPE_CHECKING:
    from torch.optim import Optimizer


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Write one learning rate into every parameter group: for the plain loop, `set_lr(optimizer, table.get_lr(step))`.

    A group's rate that is a tensor is filled in place, any other becomes a Python float. Raises `TypeError` for what is
    not a number, `ValueError` for what is no rate (see `scheduler.numerics.rates`) and for a tensor that cannot hold
    one.
    """
    if type(lr) is not float:
        lr = _number(lr)
    if not (0.0 <= lr <= MAX_RATE or is_rate(lr)):
        raise ValueError(f"lr must be finite, >= 0 and <= {MAX_RATE:g}, got {lr!r}")
    for group in optimizer.param_groups:
        if type(group["lr"]) is not float:
            _fill(optimizer.param_groups, lr)
            return
        group["lr"] = lr


def _fill(groups: list[Group], lr: float) -> None:
    """Write into groups of any kind, after checking that all of them can hold the rate."""
    for index, group in enumerate(groups):
        check_place(group, index, "lr")
    filled: set[int] = set()
    for group in groups:
        write(group, "lr", lr, filled)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"lr must be a number, got {abbreviate(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"lr must be finite, >= 0 and <= {MAX_RATE:g}, got {abbreviate(value)}") from None
