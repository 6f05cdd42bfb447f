"""The first value in which two tables differ, bit by bit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler import Table


class TableDifference(NamedTuple):
    """A row, a column, and the values of both tables there; None of a table that ends before the row."""

    row: int
    column: str
    one: float | None
    other: float | None

    def __str__(self) -> str:
        first, second = ("no such row" if value is None else repr(value) for value in (self.one, self.other))
        return f"row {self.row}, {self.column}: {first} and {second}"


def table_difference(one: Table, other: Table, stop: int | None = None) -> TableDifference | None:
    """The first value in which two tables with the same columns differ, in a row before `stop`; None without any.

    Values are compared by their bits. Of two columns that differ in the same row the first in name order is taken.
    Where all rows that both have are equal, the first row that one of them lacks is the difference.
    """
    rows = min(one.total_steps, other.total_steps)
    shown = rows if stop is None else min(rows, stop)
    found: TableDifference | None = None
    for name in one.columns:
        mine, theirs = one.columns[name][:shown], other.columns[name][:shown]
        differs = mine.view(np.int64) != theirs.view(np.int64)
        if differs.any() and ((row := int(np.argmax(differs))) < (shown if found is None else found.row)):
            found = TableDifference(row, name, float(mine[row]), float(theirs[row]))
    if found is None and one.total_steps != other.total_steps and (stop is None or stop > rows):
        name = next(iter(one.columns))
        found = TableDifference(rows, name, *(_value(table, name, rows) for table in (one, other)))
    return found


def _value(table: Table, column: str, row: int) -> float | None:
    return float(table.columns[column][row]) if row < table.total_steps else None
