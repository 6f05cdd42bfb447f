"""Computations that can be stopped."""

import itertools

import numpy as np
import pytest

from scheduler import Schedule
from scheduler.builtin import ExponentialLR
from scheduler.compose import Constant, Product
from scheduler.custom import LinearWarmup
from scheduler.numerics.cancellation import ComputationStoppedError, cancellable


@pytest.mark.parametrize(
    "schedule",
    [LinearWarmup(0.1, 5), Product([Constant(0.5)] * 50), ExponentialLR(0.1, 0.5)],
    ids=lambda schedule: schedule.kind,
)
def test_a_computation_can_be_stopped(schedule: Schedule) -> None:
    """A computation that is cancelled at the start raises before it has filled anything."""
    out = np.full(10, 7.0)
    with cancellable(lambda: True), pytest.raises(ComputationStoppedError, match="stopped"):
        schedule.fill(out)
    schedule.fill(out)
    assert out[0] != 7.0


def test_a_long_composition_is_stopped_on_the_way() -> None:
    """A composition looks up between its members, not only at its start."""
    asked = itertools.count()
    with cancellable(lambda: next(asked) == 20), pytest.raises(ComputationStoppedError, match="stopped"):
        Product([Constant(0.5)] * 1000).values(1000)
    assert next(asked) == 21


def test_what_is_not_told_to_stop_is_the_same() -> None:
    """A computation that may be stopped and is not gives the same values."""
    with cancellable(lambda: False):
        values = LinearWarmup(0.1, 50).values(100)
    assert values.tobytes() == LinearWarmup(0.1, 50).values(100).tobytes()
