"""The diseases, planted in real loops of torch and named from what those log."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from scheduler import Table
from scheduler.audit import audit
from scheduler.fields import Values
from tests.support.diseased import PLANTS, SCHEDULES, UPDATES, Plant, logged_rates, rounded, table_of

PRECISIONS = ("float64", "float32", "4 digits")
QUICK = [("warm cosine", "float64"), ("transformers linear", "4 digits"), ("cosine", "float32")]  # each takes a second
table = cache(table_of)


@cache
def rates(schedule: str, disease: str | None = None) -> Values:
    return logged_rates(schedule, PLANTS[disease] if disease else Plant())


def first_wrong(logged: Values, planned: Table, steps: np.ndarray[tuple[int], np.dtype[np.int64]], within: str) -> int:
    """The first step whose rate is not the planned one, rounded as the log is."""
    right = rounded(planned.lr[steps], within)
    return int(steps[np.argmax(np.abs(logged - right) > 1e-12 * right.max())])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_healthy_run_has_nothing(schedule: str, precision: str) -> None:
    """The rates of a healthy run are equal, with every step logged or every tenth, from the start or later."""
    for steps in (np.arange(UPDATES), np.arange(0, UPDATES, 10), np.arange(100, UPDATES, 7)):
        found = audit((steps, rounded(rates(schedule)[steps], precision)), table(schedule))
        assert (found.verdict, found.first_wrong_step, found.disease) == ("equal", None, None)


CASES = [
    pytest.param(schedule, precision, marks=() if (schedule, precision) in QUICK else pytest.mark.slow(0.4))
    for schedule in SCHEDULES
    for precision in PRECISIONS
]


@pytest.mark.parametrize("disease", PLANTS)
@pytest.mark.parametrize(("schedule", "precision"), CASES)
def test_a_planted_disease_is_named(schedule: str, precision: str, disease: str) -> None:
    """Each is named, with its first wrong step; a second name only where both explain every logged rate."""
    steps = np.arange(0, UPDATES, 5)
    logged = rounded(rates(schedule, disease)[steps], precision)
    found = audit((steps, logged), table(schedule))
    assert found.verdict == "differs"
    assert found.first_wrong_step == first_wrong(logged, table(schedule), steps, precision)
    assert found.disease is not None
    assert disease in found.disease.split(" or "), found.text
    if "warm" in schedule or "transformers" in schedule:
        assert found.disease == disease
