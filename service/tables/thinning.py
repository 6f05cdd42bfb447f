"""Downsampling: fewer rows of a column, chosen so that a plot of it looks the same."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from scheduler.views.drawing.curves import Curve, Curves
from service.tables.readable import Column, ReadableTable

Steps = NDArray[np.int64]
"""Row numbers in the order of the response, shape [m]."""


def extremes(values: Column, start: int, stop: int, points: int) -> Steps:
    """Return at most `points` (4 or more) rows from `start` until `stop`.

    If there are no more than `points` rows, return all of them. Otherwise return the first row, the last row, and the
    rows of the smallest and largest value in each of several equal parts.
    """
    if stop - start <= points:
        return np.arange(start, stop)
    edges = np.linspace(start, stop, (points - 2) // 2 + 1).astype(np.int64)
    rows = {start, stop - 1}
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[low:high]
        rows |= {low + int(part.argmin()), low + int(part.argmax())}
    return np.array(sorted(rows), dtype=np.int64)


def thinned(table: ReadableTable, points: int, columns: Iterable[str] | None = None) -> Curves:
    """Return a table as it is drawn: of each column at most `points` (4 or more) rows, its peaks among them.

    `columns` are those to be drawn; None: all of them. It blocks while it reads a table in the store, part by part: no
    column is ever in memory as a whole.
    """
    names = list(table.columns if columns is None else columns)
    drawn = {name: _curve(table.columns[name], points) for name in names}
    return Curves(drawn, table.total_steps, table.axis, table.stride)


def _curve(values: Column, points: int) -> Curve:
    rows = extremes(values, 0, len(values), points)
    return Curve(rows, values[rows])
