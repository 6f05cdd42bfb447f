"""Pairs of columns that end in tiny values, with the verdict on them."""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDING = "the same curve, rounding only: "
HALVING = 0.5 ** np.arange(80.0)
TAILS: list[tuple[Any, Any, str]] = [
    (
        HALVING,
        HALVING * np.where(np.arange(80) < 60, 1, 2),
        "B is the same curve times 2 from step 60 on, bit for bit; equal before that",
    ),
    (
        HALVING,
        np.where(np.arange(80) < 60, HALVING, 0.5**60),
        "B is a different curve from step 61 on; equal before that",
    ),
    (
        [1, 0.5] + [1e-15] * 9,
        [1, 0.5] + [2e-15] * 9,
        "B is the same curve times 2 from step 2 on, bit for bit; equal before that",
    ),
    ([1, 0.5, 0, 0], [1, 0.5, 6e-17, 6e-17], f"{ROUNDING}in 2 steps one of them is 0, the difference at most 6e-17"),
    (
        [1, 0.5, 1.2e-16, 0.5],
        [1, 0.5, 6e-17, 0.5],
        f"{ROUNDING}at most 6e-17, next to nothing beside the largest value",
    ),
    ([1, 0.5, 3e-14], [1, 0.5, 3.1e-14], f"{ROUNDING}at most 1e-15, next to nothing beside the largest value"),
    ([1, 1e-3, 1e-15, 1e-16], [1, 1e-3, 1e-15, 2e-16], "B is a different curve in step 3 only; equal before that"),
]
"""Columns whose last values are tiny beside the largest: some are meant so, some are what a cancellation leaves."""
