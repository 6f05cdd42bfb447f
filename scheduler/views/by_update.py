"""A table's column as the values of updates: for trainers that ask by their count of updates and know no units."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import numpy as np

from scheduler.fields import Values
from scheduler.table import Table
from scheduler.table_format import After
from scheduler.table_values import PastEndError
from scheduler.texts import abbreviate

_MAX_COUNT = 2**31 - 1  # trainers count updates in int32, and stay there


@dataclass(frozen=True, eq=False)
class ByUpdate:
    """One column's values, found by the number of an update.

    Value k is in force during the updates `firsts[k]` to `firsts[k + 1] - 1`; during update k alone where `firsts` is
    None.

    Args:
        name: the column, as the table has it.
        values: float64, shape [n], read-only; the last one is that of the table's last row.
        firsts: int32, shape [n], ascending, read-only; None where each update has a value of its own.
        end: the first update after the table's last unit of progress.
        after: what happens from there on.
    """

    name: str
    values: Values
    firsts: np.ndarray[tuple[int], np.dtype[np.int32]] | None
    end: int
    after: After

    def index(self, count: int) -> int:
        """The index of the value in force during an update; the first for a negative count, the last past the end.

        Raises `PastEndError` past the end where `after` is `error`, except exactly at it: trainers may look there once
        more after the last update.
        """
        if self.after == "error" and count > self.end:
            raise PastEndError(f"update {count} is past the end of this table, which ends at {self.end}")
        count = min(max(count, 0), _MAX_COUNT)
        if self.firsts is not None:
            return int(np.searchsorted(self.firsts, count, side="right")) - 1
        return min(count, len(self.values) - 1)


def by_update(
    table: Table, column: str, *, group: int | None = None, per_step: int | None = None, per_epoch: int | None = None
) -> ByUpdate:
    """The values of a table's column by the number of the update.

    Args:
        table: the table.
        column: its name without a group's number: `lr`, `weight_decay`.
        group: the parameter group, for a table with values per group.
        per_step: units of progress that one update makes, on the axes `sample` and `token`.
        per_epoch: updates in one epoch, on the axis `epoch`.

    Raises `ValueError` where the table lacks the column, and where the axis needs an argument that is missing or has
    no use for one that is given.
    """
    name = _column(table, column, group)
    units, updates = _pace(table, per_step, per_epoch)
    values = table.columns[name]
    end = -(-table.total_steps * updates // units)  # rounded up
    if updates == 1:  # an update passes whole rows: those in between are never seen, and past the end holds the last
        seen = values if units == 1 else np.append(values[::units], values[-1])
        seen.flags.writeable = False
        return ByUpdate(name, seen, None, end, table.after)
    rows = min(table.total_steps, _MAX_COUNT * units // updates + 1)  # rows beyond are never reached
    firsts = [-(-row * updates // units) for row in range(rows)]
    array = np.array(firsts, dtype=np.int32)
    array.flags.writeable = False
    return ByUpdate(name, values[:rows], array, end, table.after)


def _column(table: Table, column: str, group: int | None) -> str:
    has = ", ".join(table.columns)
    if column in table.columns:
        return column
    if group is None:
        if f"{column}.0" in table.columns:
            raise ValueError(f"the column {column!r} has values per parameter group: say group=0; the table has {has}")
        raise ValueError(f"column must be one that the table has, {has}; got {abbreviate(column)}")
    name = f"{column}.{operator.index(group)}"
    if name not in table.columns:
        raise ValueError(f"column {column!r} of group {group} is not in the table, which has {has}")
    return name


def _pace(table: Table, per_step: int | None, per_epoch: int | None) -> tuple[int, int]:
    """Rows and the updates that they take, reduced: `(2, 1)` for an update that passes two rows."""
    axis = table.axis
    needs = {"sample": "per_step", "token": "per_step", "epoch": "per_epoch"}.get(axis)
    for name, value in {"per_step": per_step, "per_epoch": per_epoch}.items():
        if value is None:
            if name == needs:
                what = "updates in an epoch" if axis == "epoch" else f"{axis}s that one update takes, of all workers"
                raise ValueError(f"this table counts {axis}s: {name}= is needed, the number of {what}")
        elif name != needs:
            raise ValueError(f"{name} is of no use for a table that counts {axis}s, got {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number from 1, got {abbreviate(value)}")
    units, updates = per_step or 1, table.stride * (per_epoch or 1)
    divisor = math.gcd(units, updates)
    return units // divisor, updates // divisor
