"""The verdict of a comparison names the relation that there is: none, rounding, a shift or a factor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, Table
from scheduler.builtin import CosineAnnealingLR, CyclicLR, ExponentialLR, MultiStepLR
from scheduler.compose import Constant, Ramp, Scale, Sequence, Shift, Splice
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.fields import Values
from scheduler.libraries.transformers import Cosine
from scheduler.views.compare import compare
from scheduler.views.verdict import verdict
from tests.support.schedules.made_for import MADE_FOR, WITHOUT, numbered
from tests.support.schedules.tails import TAILS

CURVE = Cosine(1e-3, 100, 1000).values(1000)
ROUNDING = "the same curve, rounding only: "
LEVEL = {"Constant", "transformers.constant", "Literal"}
"""Kinds whose examples have one rate only: a step later they are what they were."""


def said(a: Any, b: Any) -> str:
    return str(verdict(np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)))


@pytest.mark.parametrize("schedule", [*MADE_FOR, *WITHOUT], ids=numbered([*MADE_FOR, *WITHOUT]))
def test_each_kind_one_step_later_and_times_2_is_told(schedule: Schedule) -> None:
    """A schedule of any kind compares with itself as equal, one step later as that, and doubled as times 2."""
    steps = schedule.stated_steps or 200
    equal, later, twice = (
        compare(schedule, other, steps).verdicts["lr"] for other in (schedule, Shift(schedule, -1), Scale(schedule, 2))
    )
    assert str(equal) == "equal bit for bit"
    assert str(later) == str(equal) if schedule.kind in LEVEL else "B is the same curve one step later, bit for bit"
    assert (str(twice), twice.factor) == ("B is the same curve times 2, bit for bit", 2.0)


def test_every_kind_is_compared() -> None:
    """No kind is left out of the law above."""
    assert {schedule.kind for schedule in (*MADE_FOR, *WITHOUT)} == set(KINDS)


@given(st.integers(-450, 450).filter(bool), st.floats(1e-3, 1e3).filter(lambda factor: abs(factor - 1) > 1e-6))
def test_any_shift_and_any_factor_are_found(shift: int, factor: float) -> None:
    """Up to half of the steps, and whatever the factor."""
    a, b = (CURVE[:-shift], CURVE[shift:]) if shift > 0 else (CURVE[-shift:], CURVE[:shift])
    if len(a) >= 2 * abs(shift):
        assert verdict(a, b).shift == -shift
    found = verdict(CURVE, CURVE * factor)
    assert found.relation == "scaled"
    assert found.factor == pytest.approx(factor, rel=1e-8)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_what_is_said_is_true(a: list[float], b: list[float]) -> None:
    """Whatever the columns: outside of the steps named they are close, and inside the relation holds."""
    left, right = (np.array(column[: min(len(a), len(b))]) for column in (a, b))
    found = verdict(left, right)
    outside = np.r_[: found.first, found.last + 1 : len(left)]
    assert np.allclose(left[outside], right[outside], rtol=1e-8, atol=1e-13)
    steps = np.arange(found.first + max(found.shift, 0), min(found.last, len(left) - 1 + found.shift) + 1)
    if found.relation != "different":
        assert np.allclose(left[steps - found.shift] * found.factor, right[steps], rtol=1e-8, atol=1e-13)
    assert (found.relation == "equal") == (left.tobytes() == right.tobytes())


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        pytest.param(
            WarmupWithDecay(5e-4, 100, 1000),
            Cosine(5e-4, 100, 1000),
            "B is the same curve one step later in steps 0 to 99, to rounding; equal to rounding after that",
            id="warmup",
        ),
        pytest.param(
            ExponentialLR(0.1, 0.5),
            ExponentialLR(0.2, 0.5),
            "B is the same curve times 2, bit for bit",
            id="exponential",
        ),
        pytest.param(
            MultiStepLR(0.1, [30, 60]),
            MultiStepLR(0.1, [25, 55]),
            "B is the same curve 5 steps earlier, bit for bit",
            id="jumps",
        ),
        pytest.param(
            CyclicLR(0.01, 0.1, 40),
            Shift(CyclicLR(0.01, 0.1, 40), 33),
            "B is the same curve 33 steps earlier, bit for bit",
            id="cycle",
        ),
        pytest.param(
            Ramp(0.1, 0.0, 1000),
            Splice(Ramp(0.1, 0.0, 1000), 400, Scale(Ramp(0.06, 0.0, 600), 0.5)),
            "B is the same curve times 0.5 from step 400 on, to rounding; equal before that",
            id="rescaled",
        ),
        pytest.param(
            Ramp(0.1, 0.0, 500),
            Sequence([Ramp(0.1, 0.0, 500), Constant("previous"), Ramp(0.05, 0.0, 250)], [250, 40]),
            "B is the same curve 40 steps later from step 251 on, to rounding; equal before that",
            id="extended",
        ),
        pytest.param(
            Ramp(0.1, 0.0, 500),
            Splice(Ramp(0.1, 0.0, 500), 300, Constant("previous")),
            "B is a different curve from step 301 on; equal before that",
            id="held",
        ),
        pytest.param(
            LinearWarmup(0.1, 100),
            Ramp(0.0, 0.1, 100, "cosine"),
            "B is a different curve in steps 0 to 99; equal after that",
            id="shape",
        ),
        pytest.param(
            CosineAnnealingLR(0.1, 90),
            CosineAnnealingLR(0.1, 100),
            "B is a different curve from step 1 on; equal before that",
            id="length",
        ),
    ],
)
def test_what_people_compare_gets_its_name(a: Schedule, b: Schedule, words: str) -> None:
    """The differences that schedules really have, in the words that are printed."""
    assert compare(a, b, 500).verdict_lines == [f"verdict: {words}"]


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([1.0], [2.0], "B is the same curve times 2, bit for bit"),
        ([0.0], [2.0], "B is a different curve in step 0 only"),
        ([0.0, 1.0], [-0.0, 1.0], f"{ROUNDING}only signs of zeros differ"),
        ([1, 2, 4], [1, 2.5, 4.75], "B is a different curve from step 1 on; equal before that"),
        ([1, 1, 1, 1], [1, 1, 3, 1], "B is a different curve in step 2 only; equal elsewhere"),
        ([1, 0.5, 0], [1, 0.5, 6e-17], f"{ROUNDING}in 1 step one of them is 0, the difference at most 6e-17"),
        ([0.1, 0.3], [0.1, 0.1 * 3], f"{ROUNDING}at most 1 ULP, 1.9e-16 of the value"),
        ([1.0, 1e-16], [1.0, 3e-16], f"{ROUNDING}at most 2e-16, next to nothing beside the largest value"),
        ([1, 2, 0], [1, 2, 1e-9], "B is a different curve in step 2 only; equal before that"),
    ],
)  # fmt: skip
def test_small_columns_are_not_explained_away(a: list[float], b: list[float], words: str) -> None:
    """Few steps, zeros and single values are named for what they are."""
    assert said(a, b) == words


@pytest.mark.parametrize(("a", "b", "words"), TAILS, ids=range(len(TAILS)))
def test_tiny_values_are_rounding_only_where_they_are_left_of_0(a: Any, b: Any, words: str) -> None:
    """A tail that falls to tiny values is compared like all others; what a cancellation leaves of 0 is rounding."""
    assert said(a, b) == words


def test_digits_that_a_cancellation_took_are_no_difference() -> None:
    """Near the end of a long cosine 1 + cos has lost half of its digits, and sin squared has not."""
    share = np.arange(1_000_001) / 1e6
    found = verdict(1e-3 * (1 + np.cos(np.pi * share)) / 2, 1e-3 * np.cos(np.pi / 2 * share) ** 2)
    assert (found.relation, found.difference.relative > 1e-6) == ("rounding", True)


def test_other_formulas_of_a_many_steps_are_rounding_and_other_lengths_are_not() -> None:
    """Recurrences of many steps are the same curve; one step more or later is not."""
    steps = 200_000
    ours: Values = Ramp(0.1, 0.0, steps, "cosine").values(steps)
    assert verdict(CosineAnnealingLR(0.1, steps).values(steps), ours).relation == "rounding"
    assert verdict(Ramp(0.1, 0.0, steps + 1, "cosine").values(steps), ours).relation == "different"
    assert verdict(ours[1:], ours[:-1]).shift == 1


def test_columns_have_their_own_verdicts() -> None:
    """Where they differ each is said, and differences of layout are pointed at."""
    lr, momentum = np.linspace(0.1, 0.0, 50), np.linspace(0.9, 0.8, 50)
    a = Table({"lr.0": lr, "lr.1": lr, "momentum": momentum})
    b = Table({"lr.0": lr * 3, "lr.1": lr * 3, "momentum": momentum}, after="error")
    assert compare(a, b).verdict_lines == [
        "verdict for lr.0, lr.1: B is the same curve times 3, bit for bit, apart from the lines above",
        "verdict for momentum: equal bit for bit, apart from the lines above",
    ]
