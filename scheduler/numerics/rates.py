"""The rule for a learning rate. Tables, schedulers and `set_lr` check values with it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MAX_RATE = 1e12
"""The largest rate: more is a mistake in units, or a product that has run away."""

ROUNDING = 1e-9
"""Rounding below 0 that is accepted of a library's own schedule, as a share of the largest rate or of 1."""


def first_bad_rate(values: NDArray[np.float64]) -> int | None:
    """The index of the first value that is no learning rate, or None where every one is.

    A rate is finite, at most `MAX_RATE` and not negative. A schedule that falls to 0 may round to just below it; a twin
    keeps its library's bits, so values down to `-ROUNDING * max(1, largest)` pass, where `largest` is the largest of
    the values.

    Args:
        values: float64, shape [n], n at least 1.
    """
    low, high = float(values.min()), float(values.max())
    lowest = -ROUNDING * max(1.0, min(high, MAX_RATE))
    if lowest <= low and high <= MAX_RATE:  # False for NaN, which is both the least and the largest
        return None
    return int(np.argmin((values >= lowest) & (values <= MAX_RATE)))


def first_out_of_range(values: NDArray[np.float64]) -> int | None:
    """The index of the first value that is beyond every rate, or not a number; None where there is none.

    How far below 0 a library's own rounding may go is for `first_bad_rate` to judge.
    """
    if len(values) == 0 or (values.max() <= MAX_RATE and values.min() >= -MAX_RATE):  # False for NaN
        return None
    return int(np.argmin(np.abs(values) <= MAX_RATE))


def broken_rule(value: float) -> str:
    """The rule that a value breaks: "finite", "not negative" or "at most 1e+12"."""
    if not math.isfinite(value):
        return "finite"
    return "not negative" if value < 0 else f"at most {MAX_RATE:g}"


def is_rate(value: float) -> bool:
    """Whether one number is a learning rate, by the rule of `first_bad_rate`."""
    return -ROUNDING <= value <= MAX_RATE
