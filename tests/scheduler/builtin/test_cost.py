"""Memory and time that a twin of a torch scheduler takes."""

from __future__ import annotations

import tracemalloc

import pytest

from scheduler.builtin import (
    SWALR,
    ConstantLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)
from scheduler.builtin.twin import Twin
from tests.support.schedules.long_twins import long


@pytest.mark.parametrize("twin", long(100_000))
def test_memory_is_bounded(twin: Twin) -> None:
    """Beside the table a computation holds a few blocks, whatever the length."""
    twin.values(1)
    tracemalloc.start()
    try:
        table = twin.columns(100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - sum(values.nbytes for values in table.values()) < 3_000_000


@pytest.mark.parametrize(
    ("twin", "rest"),
    [
        pytest.param(ConstantLR(0.1, 0.5, 1000), 1000, id="ConstantLR"),
        pytest.param(LinearLR(0.1, 0.01, total_iters=50_000), 50_000, id="LinearLR"),
        pytest.param(MultiStepLR(0.1, [10, 1000]), 1000, id="MultiStepLR"),
        pytest.param(StepLR(0.1, 2), 2000, id="StepLR"),
        pytest.param(ExponentialLR(0.1, 0.9), 20_000, id="ExponentialLR"),
        pytest.param(PolynomialLR(0.1, 1000), 1000, id="PolynomialLR"),
        pytest.param(SWALR(0.1, 0.05, 1000), 1000, id="SWALR"),
        pytest.param(SequentialLR([StepLR(0.1, 2), LinearLR(0.1)], [100]), 105, id="SequentialLR"),
    ],
)
def test_a_rate_at_rest_costs_nothing(twin: Twin, rest: int) -> None:
    """Ten thousand million steps after the last change the rate is answered at once, without going there."""
    assert twin.get_lr(10**10) == twin.values(rest + 1)[rest]


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param(CosineAnnealingWarmRestarts(0.1, 10, 2), id="CosineAnnealingWarmRestarts"),
        pytest.param(CyclicLR(0.001, 0.1, 2000), id="CyclicLR"),
        pytest.param(SequentialLR([LinearLR(0.1), CosineAnnealingWarmRestarts(0.1, 10)], [5]), id="SequentialLR"),
    ],
)
def test_a_closed_form_is_computed_from_any_step(twin: Twin) -> None:
    """A twin in closed form is computed from any step, not from the steps before."""
    assert 0.0 < twin.get_lr(10**10) <= 0.1
