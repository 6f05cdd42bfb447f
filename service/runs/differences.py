"""Where two tables differ first: the row, and the values there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.views.difference import first_difference
from service.tables.readable import ReadableTable

Pair = tuple[float | None, float | None]


@dataclass(frozen=True)
class TableDifference:
    """The first row in which two tables differ, and the values there.

    Args:
        first_step: that row, from 0; the length of the shorter table if it is the beginning of the longer one.
        columns: the columns that differ in that row, each with the current value and the other one; None for a value
            that its table does not have.
        text: the same in a sentence.
    """

    first_step: int
    columns: Mapping[str, Pair]
    text: str


def compare(current: ReadableTable, other: ReadableTable) -> TableDifference | None:
    """Return where two tables differ first, by their bits; None if they are equal. Blocks while it reads the store."""
    if current.digest == other.digest:
        return None
    for what in ("axis", "stride", "after"):
        mine, theirs = getattr(current, what), getattr(other, what)
        if mine != theirs:
            return _difference(0, current, other, f"{what} is {mine} now, and {theirs} in the request")
    return _difference(first_difference(current, other), current, other, None)


def _difference(row: int, current: ReadableTable, other: ReadableTable, text: str | None) -> TableDifference:
    names = sorted({*current.columns, *other.columns})
    pairs = {name: (_value(current, name, row), _value(other, name, row)) for name in names}
    columns = {name: pair for name, pair in pairs.items() if repr(pair[0]) != repr(pair[1])}  # -0.0 is not 0.0
    if text is None:
        said = (f"{name} is {_said(one)} now, and {_said(two)} in the request" for name, (one, two) in columns.items())
        text = f"step {row}: " + ", ".join(said)
    return TableDifference(row, columns, text)


def _value(table: ReadableTable, name: str, row: int) -> float | None:
    if name not in table.columns or row >= table.total_steps:
        return None
    return float(table.columns[name][row : row + 1][0])


def _said(value: float | None) -> str:
    return "missing" if value is None else repr(value)
