"""Ranges thinned out for a plot."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from scheduler import Table
from scheduler.fields import Values
from service.tables.readable import ReadableTable
from service.tables.thinning import extremes, thinned


@given(arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1, 1)), st.integers(4, 60), st.data())
def test_no_peak_is_lost(values: Values, points: int, data: st.DataObject) -> None:
    """A thinned range has its first, last, smallest and largest value, in order, and at most `points` values."""
    start = data.draw(st.integers(0, len(values) - 1))
    stop = data.draw(st.integers(start + 1, len(values)))
    steps = extremes(values, start, stop, points)
    chosen, whole = values[steps], values[start:stop]
    assert len(steps) <= max(points, 1)
    assert (np.diff(steps) > 0).all()
    assert (steps[0], steps[-1]) == (start, stop - 1)
    assert (chosen.min(), chosen.max()) == (whole.min(), whole.max())


class Pieces:
    """A column that remembers the most values that were read of it at once."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.most = 0

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: Any) -> Any:
        found = self._values[rows]
        self.most = max(self.most, len(found))
        return found


def test_a_table_to_be_drawn_is_read_in_pieces() -> None:
    """However long it is, no more of a column is in memory than one part of it, and a spike is kept."""
    values = np.zeros(100_000)
    values[77_777] = 1.0
    column, table = Pieces(values), Table({"lr": values}, axis="token", stride=5)
    read = SimpleNamespace(columns={"lr": column}, total_steps=100_000, axis="token", stride=5)
    curves = thinned(cast("ReadableTable", read), 202)
    assert column.most == 1000
    assert curves.columns["lr"].values.max() == 1.0
    assert (curves.total_steps, curves.axis, curves.stride) == (100_000, "token", 5)
    assert thinned(table, 202).columns["lr"].rows.tolist() == curves.columns["lr"].rows.tolist()
