from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.numerics.rates import MAX_RATE, first_bad_rate, is_rate


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        ([0.0, 0.1, MAX_RATE], None),
        ([0.1, 0.025, -5.55e-19], None),
        ([1e9, -0.5], None),
        ([0.1, -0.0143], 1),
        ([0.1, math.nan, -1.0], 1),
        ([math.inf], 0),
        ([0.0, 1e300], 1),
        ([math.inf, -0.5], 0),
    ],
)
def test_the_first_value_that_is_no_rate_is_found(values: list[float], bad: int | None) -> None:
    """Rates are finite, at most MAX_RATE, and below 0 only by rounding."""
    assert first_bad_rate(np.array(values)) == bad


@given(st.floats())
def test_one_number_and_an_array_of_it_are_judged_alike(value: float) -> None:
    """`set_lr` accepts exactly the values that a table of one row may hold."""
    assert is_rate(value) == (first_bad_rate(np.array([value])) is None)
