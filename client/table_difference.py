"""The first value in which two tables differ, bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from scheduler.fields import Values


class TableDifference(NamedTuple):
    """A row, a column, and the values of both tables there; None of a table that ends before the row."""

    row: int
    column: str
    one: float | None
    other: float | None

    def __str__(self) -> str:
        first, second = ("no such row" if value is None else repr(value) for value in (self.one, self.other))
        return f"row {self.row}, {self.column}: {first} and {second}"


def table_difference(
    one: Mapping[str, Values], other: Mapping[str, Values], stop: int | None = None
) -> TableDifference | None:
    """The first value in which the columns of two tables differ, in a row before `stop`; None without any.

    Both have the same columns. Values are compared by their bits. Of two columns that differ in the same row the first
    in name order is taken. Where all rows that both have are equal, the first row that one of them lacks is the
    difference.
    """
    lengths = [len(next(iter(columns.values()))) for columns in (one, other)]
    rows = min(lengths) if stop is None else min(*lengths, stop)
    found: TableDifference | None = None
    for name in sorted(one):
        mine, theirs = one[name][:rows], other[name][:rows]
        differs = mine.view(np.int64) != theirs.view(np.int64)
        if differs.any() and ((row := int(np.argmax(differs))) < (rows if found is None else found.row)):
            found = TableDifference(row, name, float(mine[row]), float(theirs[row]))
    if found is None and lengths[0] != lengths[1] and (stop is None or stop > rows):
        name = min(one)
        found = TableDifference(rows, name, *(_value(columns[name], rows) for columns in (one, other)))
    return found


def _value(column: Values, row: int) -> float | None:
    return float(column[row]) if row < len(column) else None
