"""Two columns of rates differ where their bits do."""

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import Table
from scheduler.numerics.pieces import BLOCK
from scheduler.views.difference import Difference, difference, first_difference, largest_factor

RATES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20)
LARGEST = 1.7976931348623157e308


@given(RATES)
def test_equal_columns_do_not_differ(rates: list[float]) -> None:
    """A column equals itself, in every number of the difference."""
    found = difference(np.array(rates), np.array(rates))
    assert found == Difference(len(rates), 0, None, 0.0, None, 0.0, None, 0, None)
    assert (found.equal, found.prefix) == (True, len(rates))


def test_a_last_bit_is_a_difference() -> None:
    """One ULP at one step is found, counted and placed."""
    left = np.array([0.1, 0.2, 0.3])
    right = left.copy()
    right[1] = math.nextafter(0.2, 1)
    found = difference(left, right)
    assert (found.equal, found.differing, found.first, found.prefix) == (False, 1, 1, 1)
    assert (found.largest_at, found.relative_at, found.ulp, found.ulp_at) == (1, 1, 1, 1)
    assert found.largest == right[1] - left[1]


def test_each_largest_difference_has_its_own_step() -> None:
    """The first differing step and those that differ most, in value, as a share and in ULP, are all named."""
    left = np.array([1.0, 1.0, 1e-3, 8.0, 0.0])
    right = np.array([1.0, 1.5, 1e-9, 9.0, 5e-324])
    found = difference(left, right)
    assert (found.first, found.largest, found.largest_at) == (1, 1.0, 3)
    assert (found.relative, found.relative_at) == (1.0, 4)
    assert (found.ulp > 2**52, found.ulp_at, found.zeros) == (True, 2, 1)


def test_a_zero_beside_another_value_is_not_counted_in_ulp() -> None:
    """Doubles between 0 and a rate are many and say nothing: such steps are counted themselves."""
    found = difference(np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0]))
    assert (found.differing, found.relative, found.ulp, found.ulp_at, found.zeros) == (1, 1.0, 0, None, 1)


def test_the_first_of_equally_large_differences_is_named() -> None:
    """A largest difference that several steps share has the step of the first of them."""
    found = difference(np.ones(4), np.array([1.0, 2.0, 1.0, 2.0]))
    assert (found.largest_at, found.relative_at, found.ulp_at) == (1, 1, 1)


def test_signed_zeros_differ_in_their_bits_alone() -> None:
    """0.0 and -0.0 have different bits, and nothing lies between them."""
    found = difference(np.array([0.0]), np.array([-0.0]))
    assert (found.equal, found.largest, found.relative, found.ulp) == (False, 0.0, 0.0, 0)


@given(st.floats(0, LARGEST), st.floats(0, LARGEST))
def test_ulp_counts_the_doubles_between(left: float, right: float) -> None:
    """Between rates, the ULP distance is the difference of their bits read as integers; from 0 nothing is counted."""
    expected = abs(struct.unpack("<q", struct.pack("<d", left))[0] - struct.unpack("<q", struct.pack("<d", right))[0])
    found = difference(np.array([left]), np.array([right]))
    assert (found.ulp, found.zeros) == ((expected, 0) if (left == 0) == (right == 0) else (0, 1))


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_the_relative_difference_is_a_share_of_the_larger(left: float, right: float) -> None:
    """It is |left - right| / max(left, right) but for two roundings, the same from both sides."""
    found = difference(np.array([left]), np.array([right]))
    exact = abs(Fraction(left) - Fraction(right)) / max(Fraction(left), Fraction(right))
    assert found.relative == pytest.approx(float(exact), rel=1e-15, abs=1e-300)
    assert found == difference(np.array([right]), np.array([left]))


def test_the_largest_doubles_can_be_compared() -> None:
    """Nothing overflows but the absolute difference itself, which no double can hold."""
    found = difference(np.array([LARGEST]), np.array([-LARGEST]))
    assert (found.largest, found.relative, found.ulp) == (math.inf, 2.0, 2 * (2**63 - 2**52 - 1))


def test_columns_of_different_lengths_are_refused() -> None:
    """There is no step-by-step comparison of columns that do not have the same steps."""
    with pytest.raises(ValueError, match="one length, got 2 and 3"):
        difference(np.ones(2), np.ones(3))


def table(**columns: list[float]) -> Table:
    """A table of these columns."""
    return Table(columns)


def test_the_first_differing_row_is_found_in_every_column() -> None:
    """Bits decide, also of zeros; other columns differ at once, and equal rows until the shorter one's end."""
    long = [0.5] * (BLOCK + 10)
    assert first_difference(Table({"lr": long}), Table({"lr": [*long[:-3], 0.25, 0.5, 0.5]})) == BLOCK + 7
    assert first_difference(table(lr=[0.1, 0.2]), table(lr=[0.1, 0.2, 0.3])) == 2
    assert first_difference(table(lr=[0.1, 0.0]), table(lr=[0.1, -0.0])) == 1
    assert first_difference(table(lr=[0.1, 0.2], beta1=[0.9, 0.9]), table(lr=[0.1, 0.2], beta1=[0.8, 0.9])) == 0
    assert first_difference(table(lr=[0.1, 0.2]), Table({"lr.0": [0.1, 0.2]})) == 0


def test_the_largest_factor_is_taken_up_and_down_over_rates_above_0() -> None:
    """The factor is of rates alone, from the step on, of rows that both tables have."""
    old = table(lr=[1.0, 1.0, 1.0, 0.0], beta1=[0.1, 0.1, 0.1, 0.1])
    assert largest_factor(old, table(lr=[9.0, 2.0, 0.25, 5.0], beta1=[0.9] * 4), 1) == 4.0
    assert largest_factor(old, table(lr=[9.0, 2.0, 1.0, 5.0, 7.0]), 1) == 2.0
    assert largest_factor(old, table(lr=[9.0, 0.0]), 1) == 1.0
    assert largest_factor(old, old, 9) == 1.0
    assert largest_factor(table(lr=[1e12]), table(lr=[5e-324]), 0) == float("inf")
    assert largest_factor(Table({"lr.0": [1.0], "lr.1": [1.0]}), Table({"lr.0": [1.0], "lr.1": [3.0]}), 0) == 3.0


def test_a_shared_rate_is_compared_with_that_of_each_group() -> None:
    """Whether a table has one rate for all groups, or one for each, hides no factor."""
    shared, groups = table(lr=[1.0]), Table({"lr.0": [1.0], "lr.1": [4.0]})
    assert largest_factor(shared, groups, 0) == largest_factor(groups, shared, 0) == 4.0
