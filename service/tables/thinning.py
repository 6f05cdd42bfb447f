"""Downsampling: fewer rows of a column, chosen so that a plot of it looks the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.tables.readable import Column

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
