"""The first value in which two tables differ, bit by bit."""

from __future__ import annotations

import math
from typing import NamedTuple

from scheduler.named_tables import Column, Named
from scheduler.views.difference import first_difference


class TableDifference(NamedTuple):
    """A row, a column, and the values of both tables there; None of a table that ends before the row."""

    row: int
    column: str
    one: float | None
    other: float | None

    def __str__(self) -> str:
        first, second = ("no such row" if value is None else repr(value) for value in (self.one, self.other))
        return f"row {self.row}, {self.column}: {first} and {second}"


def table_difference(one: Named, other: Named, stop: int | None = None) -> TableDifference | None:
    """The first value in which two tables with the same columns differ, in a row before `stop`; None without any.

    Values are compared by their bits. Of two columns that differ in the same row the first in name order is taken.
    Where all rows that both have are equal, the first row that one of them lacks is the difference.
    """
    row = first_difference(one, other)
    longest = max(len(values) for table in (one, other) for values in table.columns.values())
    if row >= longest or (stop is not None and row >= stop):
        return None
    for name in sorted(one.columns):
        mine, theirs = (_value(table.columns[name], row) for table in (one, other))
        if mine is None or theirs is None or math.copysign(1.0, mine) != math.copysign(1.0, theirs) or mine != theirs:
            return TableDifference(row, name, mine, theirs)
    return None


def _value(column: Column, row: int) -> float | None:
    return float(column[row]) if row < len(column) else None
