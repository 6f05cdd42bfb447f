"""The user's schedules: their numbers at every boundary, their accuracy, what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from scheduler import Schedule, ScheduleWarning
from scheduler.custom import (
    CosineAnnealingWarmRestarts,
    CosineWarmup,
    CyclicLR,
    ExponentialCyclicLR,
    ExponentialWarmup,
    LinearWarmup,
    OneCycleLR,
    WarmupWithDecay,
)
from tests.support.schedules.formulas import formula

import mpmath  # isort: skip  # the precision is set in formulas

N = 1_000_000

# (schedule, step, value): each value worked out by hand from the formula, exact where the formula is
BOUNDARIES: list[tuple[Schedule, int, float]] = [
    (LinearWarmup(1.0, 4), 0, 0.25),
    (LinearWarmup(1.0, 4), 2, 0.75),
    (LinearWarmup(1.0, 4), 3, 1.0),
    (LinearWarmup(1.0, 4), 4, 1.0),
    (LinearWarmup(0.1, 1), 0, 0.1),
    (LinearWarmup(0.1, 3), 10**9, 0.1),
    (ExponentialWarmup(1e-3, 4, start_lr=1e-7), 0, 1e-6),
    (ExponentialWarmup(1e-3, 4, start_lr=1e-7), 1, 1e-5),
    (ExponentialWarmup(1e-3, 4, start_lr=1e-7), 2, 1e-4),
    (ExponentialWarmup(1e-3, 4, start_lr=1e-7), 3, 1e-3),
    (ExponentialWarmup(1e-3, 4, start_lr=1e-7), 4, 1e-3),
    (ExponentialWarmup(1.0, 2, start_lr=0.25), 0, 0.5),
    (CosineWarmup(1.0, 2), 0, 0.5),
    (CosineWarmup(1.0, 3), 0, 0.25),
    (CosineWarmup(1.0, 3), 1, 0.75),
    (CosineWarmup(1.0, 3), 2, 1.0),
    (CosineWarmup(1.0, 3), 3, 1.0),
    (CosineWarmup(1.0, 4), 0, (2 - math.sqrt(2)) / 4),
    (WarmupWithDecay(1.0, 4, 10), 0, 0.25),
    (WarmupWithDecay(1.0, 4, 10), 3, 1.0),
    (WarmupWithDecay(1.0, 4, 10), 4, 1.0),
    (WarmupWithDecay(1.0, 4, 10), 6, 0.75),
    (WarmupWithDecay(1.0, 4, 10), 7, 0.5),
    (WarmupWithDecay(1.0, 4, 10), 8, 0.25),
    (WarmupWithDecay(1.0, 4, 10, min_lr=0.5), 7, 0.75),
    (WarmupWithDecay(1.0, 4, 10, min_lr=0.5), 10, 0.5),
    (WarmupWithDecay(5e-4, 10_000, 100_000, min_lr=1e-6), 55_000, 2.505e-4),
    (CyclicLR(0.0, 1.0, 4), 0, 0.0),
    (CyclicLR(0.0, 1.0, 4), 1, 0.25),
    (CyclicLR(0.0, 1.0, 4), 4, 1.0),
    (CyclicLR(0.0, 1.0, 4), 7, 0.25),
    (CyclicLR(0.0, 1.0, 4), 8, 0.0),
    (CyclicLR(0.0, 1.0, 4), 8 * 10**8 + 4, 1.0),
    (CyclicLR(0.1, 0.3, 4, mode="triangular2"), 4, 0.3),
    (CyclicLR(0.0, 1.0, 4, mode="triangular2"), 8, 0.0),
    (CyclicLR(0.0, 1.0, 4, mode="triangular2"), 12, 0.5),
    (CyclicLR(0.0, 1.0, 4, mode="triangular2"), 20, 0.25),
    (CyclicLR(0.0, 1.0, 4, mode="triangular2"), 21, 0.1875),
    (CyclicLR(0.0, 1.0, 4, mode="exp_range", gamma=0.5), 4, 0.0625),
    (CyclicLR(0.0, 1.0, 4, mode="exp_range", gamma=0.5), 2, 0.125),
    (OneCycleLR(1.0, 10, div_factor=4, final_div_factor=16), 0, 0.25),
    (OneCycleLR(1.0, 10, div_factor=4, final_div_factor=16), 1, 0.5),
    (OneCycleLR(1.0, 10, div_factor=4, final_div_factor=16), 3, 1.0),
    (OneCycleLR(1.0, 11, div_factor=4, final_div_factor=16), 7, 0.53125),
    (OneCycleLR(1.0, 11, div_factor=4, final_div_factor=16), 11, 0.0625),
    (OneCycleLR(1.0, 11, div_factor=4, final_div_factor=16, anneal_strategy="linear"), 5, 0.765625),
    (OneCycleLR(1.0, 10, pct_start=0.0), 0, 1.0),
    (OneCycleLR(1.0, 10, pct_start=1.0), 9, 0.04 + 0.96 * 0.9),
    (OneCycleLR(1.0, 10, pct_start=1.0), 10, 1e-4),
    (CosineAnnealingWarmRestarts(1.0, 0.0, 2), 0, 1.0),
    (CosineAnnealingWarmRestarts(1.0, 0.0, 2), 1, 0.5),
    (CosineAnnealingWarmRestarts(1.0, 0.0, 2), 2, 1.0),
    (CosineAnnealingWarmRestarts(1.0, 0.0, 2), 4, 0.5),
    (CosineAnnealingWarmRestarts(1.0, 0.0, 2), 6, 1.0),
    (CosineAnnealingWarmRestarts(1.0, 0.0, 2), 10, 0.5),
    (CosineAnnealingWarmRestarts(1.0, 0.5, 2, t_mult=1), 10**9 + 1, 0.75),
    (ExponentialCyclicLR(0.25, 1.0, 4), 0, 0.25),
    (ExponentialCyclicLR(0.0, 1.0, 4), 1, (math.sqrt(math.e) - 1) / (math.e - 1)),
    (ExponentialCyclicLR(0.25, 1.0, 4), 2, 1.0),
    (ExponentialCyclicLR(0.25, 1.0, 4, decay_rate=0.5), 4, 0.25),
    (ExponentialCyclicLR(0.25, 1.0, 4, decay_rate=0.5), 6, 0.5),
    (ExponentialCyclicLR(0.25, 1.0, 4, decay_rate=0.5), 14, 0.125),
]


@pytest.mark.parametrize(
    ("schedule", "step", "value"),
    BOUNDARIES,
    ids=[f"{number}-{schedule.kind}-{step}" for number, (schedule, step, _) in enumerate(BOUNDARIES)],
)
@pytest.mark.filterwarnings("ignore::scheduler.ScheduleWarning")
def test_boundary(schedule: Schedule, step: int, value: float) -> None:
    """The value at a boundary is the number worked out by hand, within 2 ULP where that number is itself rounded."""
    assert schedule.get_lr(step) == pytest.approx(value, rel=4.5e-16, abs=0)


EXACT = [
    (LinearWarmup(0.1, 7), 6, 0.1),
    (LinearWarmup(0.1, 1000), 999, 0.1),
    (ExponentialWarmup(0.1, 999), 998, 0.1),
    (CosineWarmup(0.1, 999), 998, 0.1),
    (WarmupWithDecay(0.1, 49, 1000, min_lr=0.07), 48, 0.1),
    (WarmupWithDecay(0.1, 49, 1000, min_lr=0.07), 49, 0.1),
    (WarmupWithDecay(0.1, 49, 1000, min_lr=0.07), 1000, 0.07),
    (CyclicLR(0.1, 0.3, 49), 49, 0.3),
    (CyclicLR(0.1, 0.3, 49, mode="triangular2"), 49, 0.3),
    (CyclicLR(0.1, 0.3, 49, mode="triangular2"), 98, 0.1),
    (OneCycleLR(0.1, 1000), 300, 0.1),
    (OneCycleLR(0.1, 1000), 0, 0.1 / 25.0),
    (OneCycleLR(0.1, 1000), 1000, 0.1 / 1e4),
    (CosineAnnealingWarmRestarts(0.1, 0.07, 49), 49, 0.1),
    (ExponentialCyclicLR(0.07, 0.1, 50), 25, 0.1),
    (ExponentialCyclicLR(0.07, 0.1, 50), 50, 0.07),
]


@pytest.mark.parametrize(
    ("schedule", "step", "value"),
    EXACT,
    ids=[f"{number}-{schedule.kind}-{step}" for number, (schedule, step, _) in enumerate(EXACT)],
)
def test_the_parameters_themselves_come_out_unrounded(schedule: Schedule, step: int, value: float) -> None:
    """Where a schedule is at base_lr, max_lr or min_lr, it is exactly that number, not one beside it."""
    assert schedule.get_lr(step) == value


LARGE: list[Schedule] = [
    LinearWarmup(1e-3, N),
    ExponentialWarmup(1e-3, N // 2),
    ExponentialWarmup(1e-3, 7),
    CosineWarmup(3e-4, N),
    CosineWarmup(3e-4, 10),
    WarmupWithDecay(5e-4, 10_000, N, min_lr=1e-6),
    WarmupWithDecay(5e-4, 10_000, N - 5),
    WarmupWithDecay(5e-4, 3, 1000),
    CyclicLR(1e-4, 0.1, 2000),
    CyclicLR(1e-4, 0.1, 300_000),
    CyclicLR(0.0, 0.1, 3, mode="triangular2"),
    CyclicLR(1e-4, 0.1, 2000, mode="triangular2"),
    CyclicLR(1e-4, 0.1, 300_000, mode="triangular2"),
    CyclicLR(1e-4, 0.1, 2000, mode="exp_range"),
    CyclicLR(1e-4, 0.1, 300_000, mode="exp_range", gamma=0.999999),
    OneCycleLR(0.1, N),
    OneCycleLR(0.1, N, anneal_strategy="linear"),
    OneCycleLR(0.1, N, pct_start=0.0),
    OneCycleLR(0.1, N, pct_start=1.0),
    CosineAnnealingWarmRestarts(0.1, 1e-5, 1000),
    CosineAnnealingWarmRestarts(0.1, 0.0, 1, t_mult=3),
    CosineAnnealingWarmRestarts(0.1, 1e-5, 777, t_mult=1),
    CosineAnnealingWarmRestarts(0.1, 1e-5, 400_000, t_mult=1),
    ExponentialCyclicLR(1e-4, 1e-2, 2000),
    ExponentialCyclicLR(1e-4, 1e-2, 333),
    ExponentialCyclicLR(1e-3, 1e-2, 17, decay_rate=0.5),
    ExponentialCyclicLR(1e-4, 1e-2, 300_001),
]


@pytest.mark.parametrize("schedule", LARGE, ids=str)
def test_accuracy_against_the_formula_in_high_precision(schedule: Schedule) -> None:
    """Every value is within 4 ULP of the formula and within 1e-15 of the peak, near a cosine's floor as elsewhere."""
    draw = np.random.default_rng(sum(str(schedule).encode()))
    values = schedule.values(N)
    near_boundaries = [boundary + offset for boundary in schedule.boundaries(N) for offset in range(-3, 4)]
    steps = sorted({step for step in [*draw.integers(0, N, 250).tolist(), *near_boundaries] if 0 <= step < N})
    expected = np.array([float(formula(schedule, step, mpmath)) for step in steps])
    ulps = np.abs(values[steps].view(np.int64) - expected.view(np.int64))
    assert ulps.max() <= 4, f"step {steps[int(ulps.argmax())]}"
    assert np.abs(values[steps] - expected).max() <= 1e-15 * values.max()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: WarmupWithDecay(0.1, 200, 100),
            "warmup_steps must be <= total_steps, got 200 > 100",
            id="warmup-as-long",
        ),
        pytest.param(
            lambda: WarmupWithDecay(0.1, 10, 100, 0.2),
            "min_lr must be <= base_lr, got 0.2 > 0.1",
            id="floor-above-peak",
        ),
        pytest.param(
            lambda: ExponentialWarmup(1e-8, 10), "start_lr must be <= base_lr, got 1e-07 > 1e-08", id="start-above-peak"
        ),
        pytest.param(lambda: ExponentialWarmup(0.1, 10, 0.0), "start_lr", id="start-zero"),
        pytest.param(lambda: CyclicLR(0.2, 0.1, 10), "max_lr must be >= base_lr, got 0.1 < 0.2", id="cyclic-top-below"),
        pytest.param(lambda: CyclicLR(0.1, 0.2, 10, gamma=1.5), "gamma", id="gamma-above-1"),
        pytest.param(lambda: CyclicLR(0.1, 0.2, 10, mode="square"), "mode", id="mode"),  # type: ignore[arg-type]  # a wrong type is the case
        pytest.param(lambda: OneCycleLR(0.1, 10, pct_start=1.5), "pct_start", id="pct_start"),
        pytest.param(lambda: OneCycleLR(0.1, 10, div_factor=0.5), "div_factor must be >= 1, got 0.5", id="div-below-1"),
        pytest.param(
            lambda: CosineAnnealingWarmRestarts(0.1, 0.2, 10),
            "min_lr must be <= max_lr, got 0.2 > 0.1",
            id="floor-above-top",
        ),
        pytest.param(lambda: CosineAnnealingWarmRestarts(0.1, 0.0, 10, 0), "t_mult", id="t_mult-zero"),
        pytest.param(
            lambda: ExponentialCyclicLR(0.2, 0.1, 10), "max_lr must be >= base_lr, got 0.1 < 0.2", id="exp-top-below"
        ),
        pytest.param(lambda: LinearWarmup(0.1, -1), "warmup_steps", id="negative-steps"),
        pytest.param(lambda: LinearWarmup(0.1, 10**12), "warmup_steps", id="huge-steps"),
        pytest.param(lambda: LinearWarmup(0.1, 1.5), "warmup_steps", id="half-a-step"),  # type: ignore[arg-type]  # a wrong type is the case
        pytest.param(lambda: LinearWarmup(-0.1, 10), "base_lr", id="negative"),
        pytest.param(lambda: LinearWarmup(math.nan, 10), "base_lr", id="nan"),
        pytest.param(lambda: LinearWarmup(math.inf, 10), "base_lr", id="infinity"),
        pytest.param(lambda: LinearWarmup("0.1", 10), "base_lr", id="text"),  # type: ignore[arg-type]  # a wrong type is the case
        pytest.param(lambda: LinearWarmup(True, 10), "base_lr", id="bool"),
    ],
)
def test_bad_parameters_are_refused_at_construction(make: Any, message: str) -> None:
    """An invalid parameter is an error that names the field and the value, before anything is computed."""
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        make()


def test_positional_construction_as_the_guide_writes_it() -> None:
    """The user's lines work word for word, with NumPy numbers and 1e4 for a count too."""
    scheduler = WarmupWithDecay(5e-4, 10000, 100000, min_lr=1e-6)
    assert scheduler == WarmupWithDecay(base_lr=5e-4, warmup_steps=1e4, total_steps=np.int64(100000), min_lr=1e-6)  # type: ignore[arg-type]  # a wrong type is the case
    assert OneCycleLR(np.float64(0.1), total_steps=1000) == OneCycleLR(max_lr=0.1, total_steps=1000)
    assert [type(scheduler.get_lr(step)) for step in range(3)] == [float] * 3


@pytest.mark.parametrize("schedule", [OneCycleLR(1e-2, total_steps=1000), WarmupWithDecay(1e-2, 10, 1000)], ids=str)
def test_a_loop_longer_than_the_schedule_is_warned_once(schedule: Schedule) -> None:
    """Pitfall 2: past its end a schedule holds its last value and says so, once; one step past is silent."""
    last = schedule.get_lr(1000)
    with pytest.warns(
        ScheduleWarning, match="step 1001 is past the end of this custom.* which has 1000 steps"
    ) as caught:
        assert [schedule.get_lr(step) for step in range(990, 5000)][-1] == last
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("kind", [LinearWarmup, ExponentialWarmup, CosineWarmup])
def test_a_warmup_as_long_as_the_training_is_warned_of(kind: Any) -> None:
    """Pitfall 4: a table that ends before its warmup does is legal and said."""
    assert kind(1e-3, 1000).warnings(1001) == []
    (warning,) = kind(1e-3, 1000).warnings(1000)
    assert "1000 steps are no more than the 1000 warmup_steps" in warning
