"""Assertions that values are the same to the last bit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.fields import Values


def assert_same_bits(actual: Values, expected: Values, name: str = "lr") -> None:
    """Not one differing bit; a failure names the first step that has one."""
    differing = np.flatnonzero(actual.view(np.int64) != expected.view(np.int64))
    assert not len(differing), (
        f"{name} at step {differing[0]}: {actual[differing[0]]!r} is not {expected[differing[0]]!r}"
    )


def assert_same_columns(actual: Mapping[str, Values], expected: Mapping[str, Values]) -> None:
    """The same columns, and not one differing bit in any of them."""
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        assert_same_bits(actual[name], values, name)
