"""A range of a column thinned out so that a plot of it looks the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.tables.readable import Column

Steps = NDArray[np.int64]
"""Row numbers, ascending or as they were asked for, shape [m]."""


def extremes(values: Column, start: int, stop: int, points: int) -> Steps:
    """Rows of the range, at most `points` (4 or more) of them: first, last, and each part's smallest and largest."""
    if stop - start <= points:
        return np.arange(start, stop)
    edges = np.linspace(start, stop, (points - 2) // 2 + 1).astype(np.int64)
    rows = {start, stop - 1}
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[low:high]
        rows |= {low + int(part.argmin()), low + int(part.argmax())}
    return np.array(sorted(rows), dtype=np.int64)
