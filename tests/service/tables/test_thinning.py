"""Ranges thinned out for a plot."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from scheduler.fields import Values
from service.tables.thinning import extremes


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
