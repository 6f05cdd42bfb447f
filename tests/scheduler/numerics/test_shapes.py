"""The shapes of a ramp: their formulas, their accuracy, their ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from scheduler import Schedule
from scheduler.compose import Constant, Power, Product, Ramp, Sequence, Shift, Splice
from scheduler.fields import Values
from scheduler.numerics import shapes
from scheduler.numerics.power_law import Law, power_law

LENGTH = 100_000
M = mpmath.mpf
mpmath.mp.prec = 200

# S(p) for position k of n, to any precision
FORMULAS: dict[shapes.Shape, Callable[[Ramp, int], Any]] = {
    "linear": lambda ramp, k: 1 - M(k) / ramp.length,
    "cosine": lambda ramp, k: (1 + mpmath.cos(mpmath.pi * k / ramp.length)) / 2,
    "1-sqrt": lambda ramp, k: 1 - mpmath.sqrt(M(k) / ramp.length),
    "polynomial": lambda ramp, k: (1 - M(k) / ramp.length) ** M(ramp.power),
    "power": lambda ramp, k: 1 - (M(k) / ramp.length) ** M(ramp.power),
    "exponential": lambda ramp, k: (
        (mpmath.exp(-M(ramp.rate) * k / ramp.length) - mpmath.exp(-M(ramp.rate))) / (1 - mpmath.exp(-M(ramp.rate)))
    ),
    "log": lambda ramp, k: 1 - mpmath.log(1 + k) / mpmath.log(1 + ramp.length),
    "tanh": lambda ramp, k: (_tanh(ramp, k) - _tanh(ramp, ramp.length)) / (_tanh(ramp, 0) - _tanh(ramp, ramp.length)),
    "rex": lambda ramp, k: (1 - M(k) / ramp.length) / (1 - M(k) / ramp.length / 2),
}


def _tanh(ramp: Ramp, k: int) -> Any:
    p = M(k) / ramp.length
    return (1 - mpmath.tanh(M(ramp.low) * (1 - p) + M(ramp.high) * p)) / 2


def expected(ramp: Ramp, position: int) -> float:
    """The value by the formula, rounded once."""
    start, stop = M(ramp.start), M(ramp.stop)
    p = M(position) / ramp.length
    if ramp.shape == "geometric":
        return float(start * (stop / start) ** p)
    if ramp.shape == "inverse_sqrt":
        return float(start / mpmath.sqrt(1 + p * ((start / stop) ** 2 - 1)))
    return float(stop + (start - stop) * FORMULAS[ramp.shape](ramp, position))


RAMPS = [
    *[(Ramp(0.1, 1e-4, LENGTH, shape), 4) for shape in FORMULAS if shape != "log"],
    (Ramp(0.1, 1e-4, LENGTH, "geometric"), 4),
    (Ramp(0.1, 1e-4, LENGTH, "inverse_sqrt"), 4),
    *[(Ramp(0.1, 0.0, LENGTH, shape), 4) for shape in FORMULAS if shape != "log"],
    *[(Ramp(0.0, 0.1, LENGTH, shape), 4) for shape in FORMULAS if shape != "log"],
    (Ramp(0.1, 1e-4, LENGTH, "log"), 8),
    (Ramp(0.1, 0.0, LENGTH, "polynomial", power=1.5), 4),
    (Ramp(0.1, 0.0, LENGTH, "polynomial", power=0.5), 4),
    (Ramp(0.1, 0.0, LENGTH, "polynomial", power=0.9), 8),
    (Ramp(0.0, 0.1, LENGTH, "polynomial", power=3.7), 8),
    (Ramp(0.1, 1e-4, LENGTH, "power", power=0.51), 8),
    (Ramp(0.1, 1e-4, LENGTH, "polynomial", power=20.5), 41),
    (Ramp(1e-4, 0.1, LENGTH, "power", power=0.01), 8),
    (Ramp(0.1, 0.0, 37, "tanh", low=-10.3, high=12.2), 4),
    (Ramp(0.1, 0.0, 37, "tanh", low=0.0, high=1e-9), 4),
    (Ramp(0.1, 0.0999, LENGTH, "inverse_sqrt"), 4),
    (Ramp(0.1, 0.0, LENGTH, "exponential", rate=0.001), 4),
    (Ramp(0.1, 0.0, LENGTH, "exponential", rate=50.0), 4),
    (Ramp(0.1, 0.0, 3, "cosine"), 4),
]


@pytest.mark.parametrize(("ramp", "ulps"), RAMPS, ids=[f"{n}-{ramp.shape}" for n, (ramp, _) in enumerate(RAMPS)])
def test_accuracy_against_the_formula_in_high_precision(ramp: Ramp, ulps: int) -> None:
    """Each shape is within its stated ULP of the formula everywhere, near a stop of 0 too."""
    draw = np.random.default_rng(ramp.length)
    values = ramp.values(ramp.length + 2)
    steps = sorted({*draw.integers(0, ramp.length, 150).tolist(), *range(4), *range(ramp.length - 20, ramp.length)})
    steps = [step for step in steps if 0 <= step < ramp.length]
    wanted = np.array([expected(ramp, step) for step in steps])
    distance = np.abs(values[steps].view(np.int64) - wanted.view(np.int64))
    assert distance.max() <= ulps, f"{distance.max()} ULP at step {steps[int(distance.argmax())]}"
    assert (values[0], values[-2], values[-1]) == (ramp.start, ramp.stop, ramp.stop)


@pytest.mark.parametrize(
    ("power", "ulps"),
    [
        (Power(1e-3, -0.5, 100.0), 4),
        (Power(1e-3, -1.0), 4),
        (Power(4.6, -0.51, 1.0, 3.0), 8),
        (Power(1e-3, -3.3, 3.7, 2.2), 8),
        (Power(1e-3, -17.3, 1e5), 35),
    ],
    ids=str,
)
def test_power_laws(power: Power, ulps: int) -> None:
    """scale (shift + t / timescale)**exponent, far out too."""
    for start in (0, 4000, 10**6):
        values = np.empty(200)
        power.fill(values, start)
        wanted = np.array(
            [
                float(M(power.scale) * (M(power.shift) + M(start + k) / M(power.timescale)) ** M(power.exponent))
                for k in range(200)
            ]
        )
        assert np.abs(values.view(np.int64) - wanted.view(np.int64)).max() <= ulps


def test_elementary_functions_against_high_precision() -> None:
    """log is within 2 ULP and exp within 3, over the ranges that shapes use."""
    draw = np.random.default_rng(0)
    numbers = np.concatenate((draw.uniform(1e-6, 2.0, 500), draw.uniform(1.0, 1e10, 500)))
    logs = np.array([float(mpmath.log(M(number))) for number in numbers.tolist()])
    assert np.abs(shapes.log(numbers).view(np.int64) - logs.view(np.int64)).max() <= 2
    exponents = draw.uniform(-700.0, 10.0, 1000)
    exponentials = np.array([float(mpmath.exp(M(number))) for number in exponents.tolist()])
    assert np.abs(shapes.exp(exponents).view(np.int64) - exponentials.view(np.int64)).max() <= 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: Ramp(0.1, 0.0, 10, "geometric"), "above 0, got 0.1 and 0.0", id="geometric"),
        pytest.param(lambda: Ramp(0.1, 0.2, 10, "inverse_sqrt"), "> 0, got 0.1 and 0.2", id="inverse_sqrt"),
        pytest.param(
            lambda: Ramp(0.1, 0.0, 10, "tanh", low=3.0, high=3.0), "low must be at least 1e-9 below high", id="tanh"
        ),
        pytest.param(
            lambda: Ramp(0.1, 0.0, 10, "tanh", low=0.0, high=2e-131), "got 0.0 and 2e-131", id="tanh without a bend"
        ),
        pytest.param(lambda: Ramp(0.1, 0.0, 10, "polynomial", power=0.0), "power", id="power-0"),
        pytest.param(lambda: Ramp(0.1, 0.0, -1), "length", id="negative-length"),
        pytest.param(lambda: Power(0.1, 0.5), "exponent", id="growing"),
    ],
)
def test_what_a_shape_cannot_have_is_refused(make: Callable[[], object], message: str) -> None:
    """The ends that a shape cannot reach are named at construction."""
    with pytest.raises(ValueError, match=message):
        make()


HALF_POWER = Ramp(0.1, 0.001, 10_000, "polynomial", power=0.5)


@pytest.mark.timeout(60)  # it used to go on for ever
@pytest.mark.parametrize(
    "schedule",
    [
        HALF_POWER,
        Ramp(0.1, 0.001, 10_000, "polynomial", power=99.5),
        Ramp(0.1, 0.001, 10_000, "power", power=100.0),
        Shift(HALF_POWER, 7),
        Sequence([HALF_POWER, Constant("previous")], [20_007]),
        Splice(HALF_POWER, 20_007, Constant("previous")),
        Product([Constant(1.0), HALF_POWER]),
    ],
    ids=["1/2", "99 1/2", "100", "Shift", "Sequence", "Splice", "Product"],
)
@pytest.mark.parametrize("start", [20_007, 10**9 + 7, 10**10])
def test_a_ramp_is_computed_from_any_step_past_its_length(schedule: Schedule, start: int) -> None:
    """Far past its length, where its formula has no value, a ramp is its stop at once."""
    values = np.empty(3)
    schedule.fill(values, start)
    assert values.tolist() == [0.001] * 3
    assert schedule.get_lr(start) == 0.001


def test_a_series_without_a_value_ends() -> None:
    """A law that gives NaN makes NaN, not a series without end."""
    values = np.empty(5)
    nowhere = Law(lambda position: np.full_like(position, np.nan), pole=0.0, exponent=0.5)
    power_law(values, 10**6, 0.0, 1.0, nowhere)
    assert np.isnan(values).all()


def test_a_law_is_not_asked_where_there_is_nothing_to_fill() -> None:
    """An empty window needs no value."""

    def never(position: Values) -> Values:
        raise AssertionError(position)

    power_law(np.empty(0), 10**6 + 7, 0.0, 1.0, Law(never, pole=0.0, exponent=0.5))
