"""What a picture needs of a table: the layout, and of each column the rows that it is drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import Values
from scheduler.table import Table
from scheduler.table_format import Axis
from scheduler.views.summary import column_order, extremes


@dataclass(frozen=True)
class Curve:
    """A column, drawn from some of its rows.

    Args:
        rows: ascending, the first and the last of the table among them, shape [m].
        values: their values, shape [m].
    """

    rows: NDArray[np.integer]
    values: Values


@dataclass(frozen=True)
class Curves:
    """The columns of a table as they are drawn.

    Args:
        columns: by name.
        total_steps: rows of the table.
        axis: what its rows count.
        stride: units of `axis` per row.
    """

    columns: Mapping[str, Curve]
    total_steps: int
    axis: Axis = "step"
    stride: int = 1

    def is_whole(self, column: str) -> bool:
        """Whether every row of a column is drawn."""
        return len(self.columns[column].rows) == self.total_steps


def curves_of(table: Table, runs: int, columns: Iterable[str] | None = None) -> Curves:
    """Return a table as it is drawn: of each of `runs` runs of rows the extremes, so that no spike is lost.

    `columns` are those to be drawn; None: all of them.
    """
    names = sorted(table.columns if columns is None else columns, key=column_order)
    drawn = {name: _curve(table.columns[name], runs) for name in names}
    return Curves(drawn, table.total_steps, table.axis, table.stride)


def _curve(values: Values, runs: int) -> Curve:
    rows = extremes(values, runs)
    return Curve(rows, values[rows])
