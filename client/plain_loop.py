"""A table in a plain training loop: write its rows, or one learning rate, into an optimizer. Needs no torch."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, SupportsIndex

from client.optimizer.groups import NO_RATES, RowWriter, row_in_force
from scheduler import Table
from scheduler.interop.group_fields import Group, check_place, write
from scheduler.numerics.progress import progress_index
from scheduler.numerics.rates import MAX_RATE, is_rate
from scheduler.table import check_table
from scheduler.texts import abbreviate

if TYPE_CHECKING:
    from torch.optim import Optimizer


_MOST_FLOATS = 2**17  # rates kept as Python floats, which are found faster than in an array, and take 32 bytes each
ApplyRow = Callable[[SupportsIndex], None]
"""Writes the row in force at a progress, in units of the table's axis, into an optimizer."""


def bind_table(optimizer: Optimizer, table: Table) -> ApplyRow:
    """Return a function that writes a table's row into the optimizer: `apply_row(step)`, before update `step`.

    It is `set_lr(optimizer, table.get_lr(step))` in one call, in about half the time, and for every column. It keeps
    nothing of the steps that it was called with: to resume, call it with the step to go on from. A number in a group is
    replaced, a tensor filled in place. What somebody else has written, or loaded, is overwritten by the next call.

    Past the last row the table's `after` decides: `hold` keeps the last values, `error` raises `PastEndError`, from one
    step past the end on, and `release` writes nothing. The returned function raises `TypeError` for a progress that is
    no whole number and `ValueError` for a negative one.

    Args:
        optimizer: with `param_groups`, which may be replaced or added to later.
        table: the values; row k is in force during update k. Raises `TypeError` for what is no table, and `ValueError`
            where its columns do not fit the groups, as `TableLR` does.
    """
    check_table(table)
    writer = RowWriter(table)
    writer.bind(optimizer.param_groups)
    rates: Sequence[float] = writer.rates_by_row() if table.stride == 1 else NO_RATES
    if len(rates) <= _MOST_FLOATS:
        rates = [*rates]
    written: object = object()  # the number last written. Where each group still holds it, none holds a tensor

    def apply_row(progress: SupportsIndex) -> None:
        nonlocal written
        if type(progress) is int and progress >= 0:
            try:
                rate = rates[progress]
            except IndexError:
                pass
            else:
                for group in optimizer.param_groups:
                    if group["lr"] is not written:
                        break
                    group["lr"] = rate
                else:
                    written = rate
                    return
        row = row_in_force(table, progress_index(progress, table.axis))
        if row is not None:
            written = writer.write(optimizer.param_groups, row)[0]

    def apply_row_to_one(progress: SupportsIndex) -> None:  # the same for one group, which is not looped over
        nonlocal written
        if type(progress) is int and progress >= 0:
            try:
                rate = rates[progress]
                [only] = optimizer.param_groups
            except (IndexError, ValueError):
                pass
            else:
                if only["lr"] is written:
                    written = only["lr"] = rate
                    return
        apply_row(progress)

    return apply_row_to_one if len(optimizer.param_groups) == 1 else apply_row


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Write one learning rate into every parameter group: `set_lr(optimizer, schedule.get_lr(step))`.

    A table is applied faster with `bind_table`.

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
