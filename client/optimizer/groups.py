"""Parameter groups: writing a table's rows into an optimizer's `param_groups`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, TypeVar

import numpy as np

from client.optimizer.binding import Binding
from scheduler import PastEndError, Table
from scheduler.interop.group_fields import Group, Write, check_place, read, write, writer_of
from scheduler.numerics.rates import MAX_RATE, is_rate

T = TypeVar("T")
Values = Mapping[str, Sequence[float]]
"""A number for each group, by the hyperparameter's name."""

_Columns = dict[str, "memoryview[float]"]
"""One group's columns, by name without suffix."""
_Row = dict[str, float]
"""One group's values, by name without suffix."""
NO_RATES: memoryview[float] = memoryview(b"").cast("d")
SEARCHED = 4096
"""Rows that `end_of_run` reads: some microseconds."""
_SHOWN = 6  # values of groups in a message


class RowWriter:
    """Writes rows of a table into parameter groups.

    A column without a suffix goes to every group, those added later included; `lr.1` goes to group 1 alone, and a table
    that has such columns has them for every group of the optimizer, unless `binding` says otherwise.

    With `relative` a group gets its own value times the table's, rounded once, in float64: what `LambdaLR` gives with
    the table's value as its factor. A group's own value is its `initial_lr`, as torch keeps it, and likewise
    `initial_weight_decay` and so on; where it has none, the value found when the writer first sees the group.
    """

    def __init__(self, table: Table, *, relative: bool = False, binding: Binding | None = None) -> None:
        self._table = table
        self._binding = Binding(table, None, None) if binding is None else binding
        self._order: list[int] = []  # the number of each group's columns
        self._relative = relative
        self._columns = [self._columns_of(index) for index in range(table.groups or 1)]
        self.names = tuple(sorted({name.partition(".")[0] for name in table.columns}))
        self.initial: list[_Row] = []
        """Each group's own values, where the table is relative to them."""
        self._bound = 0  # groups that were checked
        self._writers: list[dict[str, Write]] = []  # theirs, by name
        self._rates: memoryview[float] | None = None

    def _columns_of(self, index: int) -> _Columns:
        own: dict[str, Any] = {  # memoryviews of format 'd': indexing them gives Python floats
            name.partition(".")[0]: values.data
            for name, values in self._table.columns.items()
            if name.partition(".")[2] in ("", str(index))
        }
        if "lr" not in own:
            raise ValueError(
                f"the table has no rate for group {index}, only the columns {', '.join(self._table.columns)}"
            )
        return own

    # -- fitting to groups --------------------------------------------------------------------------------------------

    def fits(self, groups: Sequence[Group]) -> bool:
        """Whether the number of groups is that of the last `bind`."""
        return len(groups) == self._bound

    def bind(self, groups: Sequence[Group], initial: Values | None = None) -> None:
        """Check that table and groups fit, and take the groups' own values, or `initial` instead of them.

        Raises `ValueError` where they do not, naming the number of groups, a hyperparameter, a tensor or a product that
        is no rate; nothing has changed then.
        """
        own = self.check(groups, initial)
        if self._relative:
            for group, values in zip(groups, own, strict=True):
                _keep(group, values)
            self.initial = own
        self._binding.keep(groups)
        self._order = self._binding.columns_of(groups)
        self._bound, self._rates = len(groups), None
        self._writers = [{name: writer_of(group, name) for name in self.names} for group in groups]

    def own_values(self, groups: Sequence[Group]) -> dict[str, list[float]]:
        """Each group's own values, by hyperparameter; empty where the table is not relative to them."""
        if not self._relative:
            return {}
        own = [self._own_values(group, index, None) for index, group in enumerate(groups)]
        return {name: [values[name] for values in own] for name in self.names}

    def with_table(self, table: Table) -> RowWriter:
        """A writer of another table, for the same groups. Raises `ValueError` where its columns do not fit them."""
        return RowWriter(table, relative=self._relative, binding=self._binding.with_table(table))

    def unbind(self) -> None:
        """Mark the groups as unchecked: others may have taken their place."""
        self._bound = 0

    def check(self, groups: Sequence[Group], initial: Values | None = None) -> list[_Row]:
        """Raise `ValueError` as `bind` does, and change nothing. Returns each group's own values, where they count."""
        order = self._binding.columns_of(groups)
        for index, group in enumerate(groups):
            for name in self.names:
                check_place(group, index, name)
        for name in self._per_group():
            _check_tensors(groups, name)
        if not self._relative:
            return []
        own = [self._own_values(group, index, initial) for index, group in enumerate(groups)]
        self._check_products(groups, own, order)
        return own

    def disagreement(self, groups: Sequence[Group]) -> str:
        """The hyperparameters with one column for all groups and different values in the groups; empty without any."""
        shared = (name for name in self.names if name not in self._per_group())
        found = {name: dict.fromkeys(_own_value(group, name) for group in groups) for name in shared}
        return "; ".join(f"{name} {_listed([*values])}" for name, values in found.items() if len(values) > 1)

    def _per_group(self) -> set[str]:
        return {column.partition(".")[0] for column in self._table.columns if "." in column}

    def _own_values(self, group: Group, index: int, given: Values | None) -> _Row:
        if given is not None:
            return {name: given[name][index] for name in self.names}
        known = self.initial[index] if index < len(self.initial) else {}  # for states saved without our keys
        return {name: _own_value(group, name, known.get(name)) for name in self.names}

    def _check_products(self, groups: Sequence[Group], own: Sequence[_Row], order: Sequence[int]) -> None:
        for name in self.names:
            if len({values[name] for values in own}) > 1:
                _check_tensors(groups, name)
        for index, (values, bounds) in enumerate(zip(own, self._by_group(self._bounds(), order), strict=False)):
            for name, value in values.items():
                for factor in bounds[name]:
                    check_product(f"{name} of group {index}", name, value, factor)

    def _bounds(self) -> list[dict[str, tuple[float, float]]]:
        """The least and the largest value of each column."""
        arrays = [{name: np.asarray(column) for name, column in columns.items()} for columns in self._columns]
        return [{name: (float(array.min()), float(array.max())) for name, array in each.items()} for each in arrays]

    def _by_group(self, of_columns: Sequence[T], order: Sequence[int]) -> Iterable[T]:
        """One item per group, in order: the same item for all groups where they share the columns."""
        return repeat(of_columns[0]) if self._table.groups is None else [of_columns[index] for index in order]

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, groups: Sequence[Group], row: int) -> list[float]:
        """Write one row into every group. Returns the rates written, one per group."""
        filled: dict[str, set[int]] = {name: set() for name in self.names}
        written = []
        for values, group, writers in zip(self._values(groups, row), groups, self._writers, strict=False):
            for name, value in values.items():
                writers[name](group, value, filled[name])
            written.append(values["lr"])
        return written

    def rates(self, groups: Sequence[Group], row: int) -> list[float]:
        """The rates of one row, one per group."""
        return [values["lr"] for _, values in zip(groups, self._values(groups, row), strict=False)]

    def rates_by_row(self) -> memoryview[float]:
        """The rate of each row, where all groups share it and the table has no other column. Else empty."""
        if self._rates is None:
            self._rates = self._shared_rates()
        return self._rates

    def _shared_rates(self) -> memoryview[float]:
        own = {values["lr"] for values in self.initial}
        if self._table.columns.keys() != {"lr"} or len(own) > 1:
            return NO_RATES
        rates = self._table.lr * own.pop() if own else self._table.lr
        return rates.data  # type: ignore[return-value]  # of format 'd': indexing it gives floats

    def _values(self, groups: Sequence[Group], row: int) -> Iterable[_Row]:
        """One row's values for each group: the same objects for all where they have nothing of their own."""
        if not self.fits(groups):
            self.bind(groups)
        values = [{name: column[row] for name, column in columns.items()} for columns in self._columns]
        rows = self._by_group(values, self._order)
        if not self._relative:
            return rows
        return (
            {name: own[name] * factor for name, factor in factors.items()}
            for own, factors in zip(self.initial, rows, strict=False)
        )


def write_values(groups: Sequence[Group], values: Values) -> None:
    """Write a number into each group, for each hyperparameter."""
    for name, column in values.items():
        for group, value in zip(groups, column, strict=True):
            write(group, name, value)


def row_in_force(table: Table, progress: int) -> int | None:
    """The table's row for a progress of 0 or more; None where the table releases the rates there.

    Raises `PastEndError` past the end of a table whose `after` is `error`; exactly at the end it is the last row.
    """
    row, last = progress // table.stride, table.total_steps - 1
    if row <= last:
        return row
    if table.after == "error" and row > last + 1:
        end = table.total_steps * table.stride
        raise PastEndError(f"{table.axis} {progress} is past the table's end, {end}")
    return None if table.after == "release" else last


def end_of_run(rates: memoryview[float], row: int) -> int:
    """The first row after `row` that has another rate, or the last one looked at and one more.

    `SEARCHED` rows are looked at, from `row` on, which must be one of the table's.
    """
    searched = np.asarray(rates[row : row + SEARCHED])
    other = searched != searched[0]
    return row + (int(other.argmax()) if other.any() else len(searched))


def check_product(what: str, name: str, own: float, factor: float) -> None:
    """Raise `ValueError`, naming both, where a group's own value times the table's is no rate, or no number."""
    good, rule = (is_rate, f"from 0 to {MAX_RATE:g}") if name == "lr" else (math.isfinite, "finite")
    if not good(own * factor):
        raise ValueError(f"{what} must be {rule}, got {own * factor!r}: its own {own!r} times the table's {factor!r}")


def _own_value(group: Group, name: str, otherwise: float | None = None) -> float:
    """A group's value before any scheduler: its `initial_...` entry, else `otherwise`, else the current value."""
    if (kept := group.get(f"initial_{name}")) is not None:
        return float(kept)
    return float(read(group, name)) if otherwise is None else otherwise


def _keep(group: Group, values: _Row) -> None:
    """Keep a group's own values in the group, so that they are saved with the optimizer, as torch does with the rate.

    They are numbers even where the hyperparameter is a tensor, which might round them.
    """
    group.update({f"initial_{name}": value for name, value in values.items()})


def _check_tensors(groups: Sequence[Group], name: str) -> None:
    """Raise `ValueError` where one tensor would have to hold the values of several groups."""
    tensors = [id(value) for value in (read(group, name) for group in groups) if hasattr(value, "fill_")]
    if len(set(tensors)) < len(tensors):
        raise ValueError(f"the table has a {name} per group, and groups share one {name} tensor: give each its own")


def _listed(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown}, ... ({len(values)} different ones)"
