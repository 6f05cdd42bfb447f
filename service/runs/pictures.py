"""A picture of a change: the old curve, the new one over it, and the step at which they part."""

from __future__ import annotations

import numpy as np

from scheduler import Table
from scheduler.fields import Values
from scheduler.views.svg import picture
from service.tables.readable import Column, ReadableTable

_MOST = 4096  # rows that are drawn as they are
_RUNS = 2000  # of a longer table: runs of rows, each drawn by its least and its largest value


def picture_of_change(old: ReadableTable, new: ReadableTable, from_step: int, *, title: str) -> str:
    """Return a change of a run as an SVG picture, whatever the length of the tables; blocks while it reads them."""
    rows = max(old.total_steps, new.total_steps)
    width = 2 if rows <= _MOST else 2 * -(-rows // (2 * _RUNS))
    tables = {name: _condensed(table, width) for name, table in (("before", old), ("after", new))}
    return picture(tables, title=title, marks={2 * from_step // width: f"from step {from_step:,}"})


def _condensed(table: ReadableTable, width: int) -> Table:
    """Return a table of two rows for each `width` of the given one: its least and its largest value there."""
    columns = {name: _extremes(column, width) for name, column in table.columns.items()}
    return Table(columns, axis=table.axis, stride=table.stride * width // 2)


def _extremes(column: Column, width: int) -> Values:
    if width == 2:
        return np.array(column[0 : len(column)])
    found = np.empty((-(-len(column) // width), 2))
    for run in range(len(found)):
        rows = column[run * width : min((run + 1) * width, len(column))]
        found[run] = rows.min(), rows.max()
    return found.reshape(-1)
