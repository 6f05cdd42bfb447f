"""Schedules as written: shrinking cycles, growth, phases of no steps, warmups as shares, large multipliers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import Schedule, Spec, TableError, builtin, share_of
from scheduler.builtin.twin import Twin
from scheduler.compose import Constant, Cycle, Product, Ramp, Scale, Sequence, Splice
from scheduler.compose.literal import Literal
from scheduler.custom import CosineWarmup, ExponentialWarmup, LinearWarmup, WarmupWithDecay
from scheduler.numerics.rates import MAX_RATE
from tests.support.schedules.stepping import step_real

LENGTHS = st.integers(1, 60)
SHARES = st.floats(0.01, 1.0)

# -- cycles whose peak shrinks while the floor stays ------------------------------------------------------------------


def _cosine(share: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * share))


def keras(step: int, initial: float, length: int, t_mul: int, m_mul: float, alpha: float) -> float:
    """Keras' CosineDecayRestarts: alpha is not scaled by m_mul."""
    cycle = 0
    while step >= length:
        step, length, cycle = step - length, length * t_mul, cycle + 1
    return initial * ((1.0 - alpha) * m_mul**cycle * _cosine(step / length) + alpha)


def timm(step: int, base: float, length: int, mul: int, decay: float, lr_min: float) -> float:
    """timm's CosineLRScheduler, with a cycle_limit that is not reached."""
    cycle = 0
    while step >= length:
        step, length, cycle = step - length, length * mul, cycle + 1
    return lr_min + (base * decay**cycle - lr_min) * _cosine(step / length)


def test_the_second_cycle_of_keras() -> None:
    """With alpha 0.1 and m_mul 0.9 the second peak is 0.0910, not 0.0900."""
    assert keras(100, 0.1, 100, 1, 0.9, 0.1) == pytest.approx(0.0910)
    assert Cycle(Ramp(0.1, 0.01, 100, "cosine"), 100, amplitude=0.9, floor=0.01).get_lr(100) == pytest.approx(0.0910)


@given(length=LENGTHS, growth=st.integers(1, 3), amplitude=SHARES, floor=st.floats(0.0, 0.9))
def test_a_cycle_over_a_floor_is_keras(length: int, growth: int, amplitude: float, floor: float) -> None:
    """`floor` and `amplitude` are Keras' alpha and m_mul: the height above the floor shrinks."""
    cycle = Cycle(Ramp(0.1, 0.1 * floor, length, "cosine"), length, None, growth, amplitude, floor=0.1 * floor)
    expected = [keras(step, 0.1, length, growth, amplitude, floor) for step in range(500)]
    np.testing.assert_allclose(cycle.values(500), expected, rtol=1e-11, atol=1e-16)


@given(length=LENGTHS, growth=st.integers(1, 3), amplitude=SHARES, floor=st.floats(0.0, 0.09))
def test_a_cycle_with_a_peak_is_timm(length: int, growth: int, amplitude: float, floor: float) -> None:
    """With `peak` the peak itself shrinks, as by timm's cycle_decay, also to below the floor."""
    cycle = Cycle(Ramp(0.1, floor, length, "cosine"), length, None, growth, amplitude, floor=floor, peak=0.1)
    expected = [timm(step, 0.1, length, growth, amplitude, floor) for step in range(500)]
    np.testing.assert_allclose(cycle.values(500), expected, rtol=1e-11, atol=1e-16)


@given(length=LENGTHS, growth=st.integers(1, 2), amplitude=SHARES, floor=SHARES, peak=st.none() | st.just(2.0))
def test_a_shrunk_cycle_is_within_its_accuracy(
    length: int, growth: int, amplitude: float, floor: float, peak: float | None
) -> None:
    """While the peak is above the floor, the values are within 4 ULP of the formula and the 4 of a line: 8 in all."""
    cycle = Cycle(Ramp(2.0, floor, length), length, None, growth, amplitude, floor=floor, peak=peak)
    values, step, number = cycle.values(200), 0, 0
    while step < 200:
        long, low, shrunk = length * growth**number, Fraction(floor), Fraction(amplitude) ** number
        height = (2 * shrunk - low) if peak else (2 - low) * shrunk
        if height < 0:
            return
        for inside in range(min(long, 200 - step)):
            exact = low + height * Fraction(long - inside, long)
            assert abs(Fraction(values[step + inside]) - exact) <= 8 * Fraction(math.ulp(float(exact)))
        step, number = step + long, number + 1


@given(length=LENGTHS, growth=st.integers(1, 3), amplitude=SHARES)
def test_the_ends_of_a_cycle_with_a_peak_are_exact(length: int, growth: int, amplitude: float) -> None:
    """The first step of each cycle is its peak, a product; what the last cycle holds is the floor."""
    cycle = Cycle(Ramp(0.1, 0.01, length), length, 2, growth, amplitude, floor=0.01, peak=0.1)
    assert cycle.get_lr(0) == 0.1
    assert cycle.get_lr(length) == pytest.approx(0.1 * amplitude, rel=4e-16)
    assert cycle.values(length * (1 + growth) + 2)[-1] == 0.01


@given(growth=st.integers(1, 2), amplitude=SHARES, floor=st.floats(0.0, 0.2), peak=st.none() | st.floats(0.3, 1.0))
def test_no_shrunk_cycle_is_negative(growth: int, amplitude: float, floor: float, peak: float | None) -> None:
    """Rates of the schedule outside of floor and peak make no rate below 0."""
    given = Ramp(2.0, 0.0, 7)
    assert Cycle(given, 7, None, growth, amplitude, floor=floor, peak=peak).values(300).min() >= 0.0


def test_a_peak_lies_above_its_floor() -> None:
    """Floor and peak in the wrong order are refused with both."""
    with pytest.raises(ValueError, match=r"peak must be > floor, got 0.1 <= 0.1"):
        Cycle(Constant(0.1), 5, floor=0.1, peak=0.1)


# -- growth -----------------------------------------------------------------------------------------------------------

GROWING: list[Twin] = [
    builtin.ExponentialLR(1e-7, 1.1),
    builtin.ExponentialLR(1e-5, 1.0001),
    builtin.StepLR(1e-3, 7, 10.0),
    builtin.StepLR(1.0, 1, 1e6),
    builtin.ChainedScheduler([builtin.LinearLR(1e-3, 0.1, 1.0, 10), builtin.ExponentialLR(1e-3, 1.2)]),
    builtin.SequentialLR([builtin.ExponentialLR(1e-6, 1.3), builtin.CosineAnnealingLR(1e-6, 50)], [50]),
]


@pytest.mark.parametrize("twin", GROWING, ids=[f"{n}-{twin.kind}" for n, twin in enumerate(GROWING)])
def test_growth_has_the_bits_of_stepping_up_to_the_largest_rate(twin: Twin) -> None:
    """A gamma above 1 is torch's, bit for bit; the first rate that is too large is an error with its step."""
    real = step_real(twin, 400)["lr"]
    legal = next((step for step, rate in enumerate(real) if rate > MAX_RATE), len(real))
    assert twin.values(legal).tobytes() == real[:legal].tobytes()
    assert [twin.get_lr(step) for step in range(legal)] == real[:legal].tolist()
    if legal < len(real):
        for ask in (
            lambda: twin.values(legal + 1),
            Spec(schedule=twin, total_steps=legal + 1).table,
            lambda: twin.get_lr(legal),
        ):
            with pytest.raises(TableError, match=f"at step {legal}"):
                ask()


def test_growth_is_warned_of() -> None:
    """It is said from where on there is no table; a rate that shrinks, or is 0, has nothing to say."""
    (text,) = builtin.ExponentialLR(1e-7, 10.0).warnings(5)
    assert text.endswith("from about step 19 on it is above 1e+12, as none may be")
    assert builtin.StepLR(1.0, 30, 10.0).warnings(5)[0].count("from about step 360 on") == 1
    assert builtin.ExponentialLR(0.0, 10.0).warnings(5) == builtin.ExponentialLR(0.1, 1.0).warnings(5) == []


# -- phases of no steps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (LinearWarmup(0.5, 0), [0.5, 0.5]),
        (ExponentialWarmup(0.5, 0), [0.5, 0.5]),
        (CosineWarmup(0.5, 0), [0.5, 0.5]),
        (WarmupWithDecay(1.0, 0, 2), [1.0, 0.5, 0.0]),
        (WarmupWithDecay(1.0, 2, 2, 0.25), [0.5, 1.0, 0.25, 0.25]),
        (WarmupWithDecay(1.0, 0, 1), [1.0, 0.0]),
        (Ramp(0.0, 0.5, 0), [0.5, 0.5]),
        (Ramp(0.1, 0.5, 0, "geometric"), [0.5, 0.5]),
        (Sequence([LinearWarmup(1.0, 0), Constant(1.0), Ramp("previous", 0.0, 2)], [0, 1, 2]), [1.0, 1.0, 0.5, 0.0]),
        (Sequence([LinearWarmup(1.0, 1), Constant(0.5), Ramp("previous", 0.0, 2)], [1, 0]), [1.0, 1.0, 0.5, 0.0]),
        (Sequence([LinearWarmup(1.0, 0), Constant(0.5), Ramp("previous", 0.0, 2)], [0, 0]), [0.5, 0.25, 0.0]),
        (Sequence([Constant(0.5), Constant("previous"), Constant("previous")], [0, 0]), [0.5]),
        (Sequence([Constant(0.5), Constant(0.25)], [1, 0]), [0.5, 0.25]),
        (Splice(Constant(0.5), 0, Ramp("previous", 0.0, 2)), [0.5, 0.25]),
        (Splice(Constant(0.5), 1, Ramp("previous", 0.0, 0)), [0.5, 0.0]),
    ],
    ids=str,
)
def test_a_phase_of_no_steps_is_passed_over(schedule: Schedule, values: list[float]) -> None:
    """No warmup, no stable phase, no decay: the next phase begins at once, and "previous" sees what ran."""
    assert schedule.values(len(values)).tolist() == values


def test_some_phase_must_run() -> None:
    """A sequence of nothing is refused; a warmup longer than the training is, too."""
    with pytest.raises(ValueError, match="lengths must not all be 0: no part would ever run"):
        Sequence([Constant(0.1), Constant(0.2)], [0, 0])
    with pytest.raises(ValueError, match="warmup_steps must be <= total_steps, got 3 > 2"):
        WarmupWithDecay(0.1, 3, 2)


def test_a_warmup_as_long_as_the_training_is_allowed_with_a_warning() -> None:
    """Many trainers write it; the rate then only rises."""
    (text,) = WarmupWithDecay(0.1, 100, 100).warnings(100)
    assert "so the rate only ever rises" in text


# -- warmups as shares ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "ratio", "share"), [(100, 0.06, 6), (100, 0.07, 8), (1000, 0.0301, 31), (7, 1, 7), (5, 0, 0)]
)
def test_a_share_is_rounded_up_as_by_transformers(steps: int, ratio: float, share: int) -> None:
    """math.ceil(steps * ratio), a float's product."""
    assert share_of(steps, ratio) == share


def test_a_warmup_may_be_given_as_a_share() -> None:
    """The share becomes steps at once: one spec, however it was written."""
    assert WarmupWithDecay.with_ratio(5e-4, 0.1, 100_000, 1e-6) == WarmupWithDecay(5e-4, 10_000, 100_000, 1e-6)
    with pytest.raises(ValueError, match="ratio must be from 0 to 1, got 10"):
        WarmupWithDecay.with_ratio(5e-4, 10, 100_000)


# -- large multipliers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        Scale(Constant(1e-7), 1e7),
        Product([Constant(1e-7), Constant(1e7)]),
        Product([Constant(1e-12), Literal([1e12])]),
    ],
    ids=str,
)
def test_a_multiplier_may_be_as_large_as_a_rate(schedule: Schedule) -> None:
    """A base rate of 1e-7 times 1e7 is 1, as LambdaLR has it."""
    assert schedule.get_lr(0) == pytest.approx(1.0)
