"""The schedule that a run followed, from its log alone."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler import Schedule
from scheduler import builtin as torch
from scheduler.audit import identify
from scheduler.audit.planned import schedule_at
from scheduler.compose import Constant, Ramp, Sequence
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.libraries import transformers
from scheduler.views.summary import call
from tests.support.diseased import rounded

QUICK: list[Schedule] = [
    WarmupWithDecay(3e-4, 100, 1000, 1e-6),
    torch.CosineAnnealingLR(0.1, 1000, 1e-4),
    torch.StepLR(0.1, 300, 0.1),
    torch.MultiStepLR(0.1, [200, 650], 0.2),
    torch.CosineAnnealingWarmRestarts(0.1, 140, 2),
    transformers.Linear(5e-5, 60, 1000),
]
SLOW: list[Schedule] = [
    LinearWarmup(1e-3, 200),
    torch.ExponentialLR(0.1, 0.995),
    torch.OneCycleLR(0.1, 1000),
    transformers.Cosine(3e-4, 100, 1000),
    transformers.CosineWithMinLR(3e-4, 100, 1000, min_lr=3e-5),
    transformers.Polynomial(1e-3, 50, 1000, lr_end=0.0, power=2.0),
    transformers.InverseSqrt(1e-3, 100, timescale=400),
    transformers.ConstantWithWarmup(3e-4, 100),
    transformers.WarmupStableDecay(3e-4, 50, 200, 1000, decay_type="linear"),
    transformers.WarmupStableDecay(3e-4, 50, 200, 1000, decay_type="1-sqrt"),
    Sequence([Ramp(1e-6, 1e-3, 100), torch.CosineAnnealingLR(1e-3, 900)], [100]),
]
CASES = [*QUICK, *(pytest.param(schedule, marks=pytest.mark.slow(0.7)) for schedule in SLOW)]


@pytest.mark.parametrize("precision", ["float64", "float32", "4 digits"])
@pytest.mark.parametrize("schedule", CASES, ids=lambda schedule: call(schedule))
def test_the_schedule_is_named_with_its_parameters(schedule: Schedule, precision: str) -> None:
    """From every tenth rate, exact or rounded, the kind and each parameter are found again, and stated as exact."""
    steps = np.arange(0, 1000, 10)
    found = identify((steps, rounded(schedule_at(schedule, steps), precision)))
    assert found.is_exact
    assert found.schedule is not None
    np.testing.assert_allclose(schedule_at(found.schedule, steps), schedule_at(schedule, steps), rtol=1e-12, atol=1e-18)
    if not isinstance(schedule, Sequence):
        assert found.schedule.kind == schedule.kind


@pytest.mark.parametrize("every", [1, 2, 5, 7])
def test_the_length_is_found_whatever_the_interval(every: int) -> None:
    """The search ends with steps of one update, so that no length next to the right one is left standing."""
    planned = WarmupWithDecay(3e-4, 40, 400, min_lr=3e-6)
    steps = np.arange(0, 400, every)
    assert identify((steps, schedule_at(planned, steps))).schedule == planned


def test_a_constant_is_a_constant() -> None:
    """Rates that never change are one constant, with the number that a float32 stands for."""
    found = identify((np.arange(50), np.full(50, 3e-4, dtype=np.float32)))
    assert (found.schedule, found.is_exact) == (Constant(3e-4), True)


def test_what_no_kind_gives_is_named_as_nearest() -> None:
    """A curve of nobody's is near to something, which the text does not call exact, and the deviation is stated."""
    steps = np.arange(0, 200, 4)
    found = identify((steps, 1e-3 * (1.5 + np.sin(steps / 9))))
    assert not found.is_exact
    assert "nearest to" in found.text
    assert "largest deviation: " in found.text
    assert found.to_dict()["columns"][0]["exact"] is False


def test_rates_that_are_no_numbers_have_no_schedule() -> None:
    """A log with a NaN is of no schedule."""
    found = identify((np.arange(3), [0.1, np.nan, 0.1]))
    assert (found.schedule, found.is_exact) == (None, False)
    assert "no schedule was found" in found.text
