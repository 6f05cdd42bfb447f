"""Behaviour of torch's schedulers that few people expect, in the twins too."""

from __future__ import annotations

import pytest

from scheduler import ScheduleWarning
from scheduler.builtin import (
    SWALR,
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)
from scheduler.builtin.twin import Twin
from tests.support.schedules.bits import assert_same_columns
from tests.support.schedules.stepping import step_real


def test_the_cosine_rises_again() -> None:
    """CosineAnnealingLR is at eta_min at step T_max and back at base_lr at step 2 T_max."""
    rates = CosineAnnealingLR(0.1, 100).values(201)
    assert (rates[0], rates[100], rates[200]) == (0.1, 0.0, pytest.approx(0.1))


def test_a_constant_of_no_steps_stays() -> None:
    """ConstantLR with total_iters 0 never takes its factor off again."""
    assert ConstantLR(0.1, 0.5, 0).values(10).tolist() == [0.05] * 10


def test_one_cycle_rebounds() -> None:
    """OneCycleLR allows index total_steps, far above its last rate; past it that last rate is held, loudly."""
    cycle = OneCycleLR(0.1, 10)
    assert cycle.get_lr(9) == pytest.approx(4e-7)
    assert cycle.get_lr(10) == pytest.approx(0.00495, rel=1e-3)
    with pytest.warns(ScheduleWarning, match="step 11 is past the end of this torch.OneCycleLR, which has 10 steps"):
        assert cycle.get_lr(11) == cycle.get_lr(9)


def test_epochs_times_steps_per_epoch_is_a_number_of_steps() -> None:
    """OneCycleLR's length may be given by epochs; total_steps counts before them."""
    by_epochs, both = OneCycleLR(0.1, epochs=5, steps_per_epoch=20), OneCycleLR(0.1, 100, epochs=7, steps_per_epoch=1)
    assert_same_columns(by_epochs.columns(101), OneCycleLR(0.1, 100).columns(101))
    assert_same_columns(both.columns(101), step_real(both, 101))
    assert_same_columns(by_epochs.columns(101), step_real(by_epochs, 101))


def test_a_later_one_cycle_changes_the_warmup_before_it() -> None:
    """A OneCycleLR that is built second sets the rate that the LinearLR before it starts from."""
    both = SequentialLR([LinearLR(0.1, 0.1, total_iters=10), OneCycleLR(0.2, 50)], [20])
    assert both.get_lr(10) == pytest.approx(0.2 / 25)


def test_triangular2_goes_on_where_torch_overflows() -> None:
    """After 1024 cycles of triangular2 torch raises OverflowError; here the rate stays at base_lr."""
    twin = CyclicLR(0.001, 0.1, 1, mode="triangular2")
    assert_same_columns(twin.columns(2048), step_real(twin, 2048))
    with pytest.raises(OverflowError, match="out of range"):
        step_real(twin, 2049)
    assert set(twin.values(5000)[2048:].tolist()) == {0.001}


@pytest.mark.parametrize(
    ("twin", "warning"),
    [
        (CosineAnnealingLR(0.1, 90), "from step 90 on the rate rises again"),
        (ConstantLR(0.1, 0.5, 0), "never takes the factor 0.5 off again"),
        (SequentialLR([LinearLR(0.1), CosineAnnealingLR(0.1, 80)], [5]), "from step 80 on the rate rises again"),
        (SequentialLR([ChainedScheduler([StepLR(0.1, 3)])], []), "once too often"),
    ],
    ids=["cosine", "constant", "member", "nested"],
)
def test_surprises_are_warned_of(twin: Twin, warning: str) -> None:
    """A behaviour that few people expect of a schedule is among its warnings."""
    assert [warning in sentence for sentence in twin.warnings(100)] == [True]


@pytest.mark.parametrize(
    "twin",
    [
        CosineAnnealingLR(0.1, 99),
        ConstantLR(0.1),
        SequentialLR([LinearLR(0.1), CosineAnnealingLR(0.1, 95)], [5]),
    ],
    ids=lambda twin: twin.kind,
)
def test_usual_schedules_have_no_warnings(twin: Twin) -> None:
    """A schedule that does what everybody expects has no warning."""
    assert twin.warnings(100) == []


@pytest.mark.parametrize(
    ("twin", "boundaries"),
    [
        (ConstantLR(0.1), [0, 5, 99]),
        (LinearLR(0.1, total_iters=10), [0, 10, 99]),
        (PolynomialLR(0.1, 50), [0, 50, 99]),
        (StepLR(0.1, 30), [0, 30, 60, 90, 99]),
        (MultiStepLR(0.1, [80, 30, 30]), [0, 30, 80, 99]),
        (ExponentialLR(0.1, 0.9), [0, 99]),
        (CosineAnnealingLR(0.1, 40), [0, 40, 80, 99]),
        (CosineAnnealingWarmRestarts(0.1, 20, 2), [0, 19, 20, 59, 60, 99]),
        (CyclicLR(0.01, 0.1, 20, 30), [0, 20, 50, 70, 99]),
        (OneCycleLR(0.1, 90), [0, 27, 89, 99]),
        (SWALR(0.1, 0.05), [0, 10, 99]),
        (SequentialLR([LinearLR(0.1), MultiStepLR(0.1, [7])], [50]), [0, 5, 50, 57, 99]),
        (ChainedScheduler([LinearLR(0.1), StepLR(0.1, 60)]), [0, 5, 60, 99]),
    ],
    ids=lambda given: getattr(given, "kind", ""),
)
def test_boundaries(twin: Twin, boundaries: list[int]) -> None:
    """The boundaries are the steps at which the rate changes its course, and the two ends."""
    assert twin.boundaries(100) == boundaries
