"""A part that is over: held, by one rule, in every composite."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, TableError, builtin, parse
from scheduler.builtin import OneCycleLR
from scheduler.builtin.twin import Twin
from scheduler.compose import (
    Clamp,
    Constant,
    Cycle,
    Maximum,
    Minimum,
    PerEpoch,
    Product,
    Ramp,
    Scale,
    Sequence,
    Shift,
    Splice,
    Sum,
)
from scheduler.custom import LinearWarmup
from scheduler.libraries import transformers
from scheduler.numerics import shapes
from scheduler.numerics.rates import MAX_RATE
from tests.support.schedules.strategies import on_one_optimizer, schedules

N = 10
ONE_CYCLE = OneCycleLR(0.1, N, cycle_momentum=False)
FALLING = OneCycleLR(0.1, N, cycle_momentum=False, anneal_strategy="linear")
NESTED = builtin.SequentialLR([builtin.ConstantLR(0.1, 1.0), OneCycleLR(0.1, 7, cycle_momentum=False)], [3])
OVER: list[Schedule] = [
    ONE_CYCLE,
    FALLING,
    NESTED,
    transformers.Cosine(0.1, 2, N - 1),
    transformers.CosineWithMinLR(0.1, 2, N - 1, min_lr_rate=0.1),
    transformers.CosineWarmupWithMinLR(0.1, 2, N, min_lr_rate=0.1),
]
"""Schedules whose last meant rate is that of step N - 1."""

# a composite of a part, and the step of the part that is in force at each of its steps
Held = tuple[Callable[[Schedule], Schedule], Callable[[int], int]]
COMPOSITES: dict[str, Held] = {
    "Sequence": (lambda part: Sequence([part, Constant(0.5)], [10**6]), lambda step: step),
    "Sequence-last": (lambda part: Sequence([part], [4]), lambda step: step),
    "Splice": (lambda part: Splice(part, 10**6, Constant(0.5)), lambda step: step),
    "Splice-tail": (lambda part: Splice(Constant(0.5), 0, part), lambda step: step),
    "Cycle": (lambda part: Cycle(part, 10**6), lambda step: step),
    "Cycle-last": (lambda part: Cycle(part, 4, count=1), lambda step: step),
    "Product": (lambda part: Product([part, Constant(1.0)]), lambda step: step),
    "Product-second": (lambda part: Product([Constant(1.0), part]), lambda step: step),
    "Sum": (lambda part: Sum([part, Constant(0.0)]), lambda step: step),
    "Minimum": (lambda part: Minimum([Constant(MAX_RATE), part]), lambda step: step),
    "Maximum": (lambda part: Maximum([Constant(0.0), part]), lambda step: step),
    "Scale": (lambda part: Scale(part, 1.0), lambda step: step),
    "Clamp": (lambda part: Clamp(part), lambda step: step),
    "Shift": (lambda part: Shift(part, 3), lambda step: step + 3),
    "Shift-later": (lambda part: Shift(part, -3), lambda step: max(step - 3, 0)),
    "PerEpoch": (lambda part: PerEpoch(part, 2), lambda step: step // 2),
}


# kinds of torch's that a composite of torch's may hold beside one that is over
MEMBERS = ("ConstantLR", "LinearLR", "StepLR", "MultiStepLR", "ExponentialLR", "PolynomialLR", "CosineAnnealingLR")


@st.composite
def _parts(draw: st.DrawFn, kind: str) -> Schedule:
    """Schedules of this kind that are over at some step."""
    data = draw(schedules("torch.OneCycleLR")).to_dict()
    if kind != data["kind"]:
        others = st.sampled_from(MEMBERS).flatmap(lambda name: schedules(f"torch.{name}"))
        members = draw(st.permutations([data, *(other.to_dict() for other in draw(st.lists(others, max_size=2)))]))
        milestones = draw(st.lists(st.integers(0, 3000), min_size=len(members), max_size=len(members)))
        data = {"kind": kind, "schedulers": members}
        data |= {"milestones": milestones} if kind == "torch.SequentialLR" else {}
    try:
        part = parse(on_one_optimizer(data))
        part.values(6000)
    except (ValueError, TableError):  # what torch refuses, and growth beyond every rate
        reject()
    assume(part.over is not None)
    return part


@pytest.mark.parametrize("name", COMPOSITES)
@pytest.mark.filterwarnings("ignore:step 39 is past the end:scheduler.ScheduleWarning")
@pytest.mark.parametrize("part", OVER, ids=[f"{n}-{part.kind}" for n, part in enumerate(OVER)])
def test_every_composite_holds_the_last_rate_that_is_applied(part: Schedule, name: str) -> None:
    """From the step at which a library's schedule is over on, each composite holds the rate of the step before."""
    make, at = COMPOSITES[name]
    applied = part.values(N)
    assert make(part).values(40).tolist() == [applied[min(at(step), N - 1)] for step in range(40)]
    assert make(part).get_lr(39) == applied[-1]


@pytest.mark.parametrize("part", OVER, ids=[f"{n}-{part.kind}" for n, part in enumerate(OVER)])
@pytest.mark.parametrize("at", [N, N + 1, 1000])
def test_what_follows_starts_from_the_last_rate_that_was_applied(part: Schedule, at: int) -> None:
    """After a part that is over, "previous" is its last rate, and not the rebound that its library has next."""
    last = float(part.values(N)[-1])
    for whole in (Sequence([part, Ramp("previous", 0.0, 4)], [at]), Splice(part, at, Ramp("previous", 0.0, 4))):
        assert whole.values(at + 3)[at:].tolist() == [last, 0.75 * last, 0.5 * last]


def test_a_part_cut_before_its_end_gives_the_rate_that_would_have_come() -> None:
    """A cut in the middle of a part joins without a jump."""
    assert Splice(ONE_CYCLE, 6, Constant("previous")).get_lr(9) == ONE_CYCLE.get_lr(6)


@pytest.mark.parametrize("kind", ["torch.OneCycleLR", "torch.SequentialLR", "torch.ChainedScheduler"])
@given(data=st.data())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_no_composite_applies_a_rate_that_its_part_has_past_the_end(kind: str, data: st.DataObject) -> None:
    """Whatever its parameters, a composite of a twin that is over has only rates from before that, bit for bit."""
    part = data.draw(_parts(kind))
    assert part.over is not None
    make, at = data.draw(st.sampled_from(list(COMPOSITES.values())))
    n = min(part.over, 5000)
    applied = part.values(n)
    steps = [at(step) for step in range(n + 20)]
    expected = applied[np.minimum(steps, n - 1)] if n == part.over else applied[[step for step in steps if step < n]]
    got = make(part).values(n + 20)[: len(expected)]
    assert np.array_equal(got, np.clip(expected, 0, MAX_RATE) if isinstance(make(part), (Clamp, Maximum)) else expected)


def test_only_a_librarys_schedule_is_ever_over() -> None:
    """Our own kinds say what comes after their end themselves."""
    ours = [kind for name, kind in KINDS.items() if not name.startswith(("torch.", "transformers."))]
    assert all(kind.over is Schedule.over for kind in ours)
    assert all(kind.over is Twin.over for kind in KINDS.values() if issubclass(kind, Twin))


def test_a_rate_below_zero_by_rounding_is_a_start_of_zero() -> None:
    """LinearLR's own bits stay in its rows; the part that follows starts from 0."""
    line = builtin.LinearLR(0.1, 0.1, 0.0, 4)
    assert -1e-18 < line.get_lr(4) < 0.0
    for whole in (Sequence([line, Ramp("previous", 0.1, 4)], [5]), Splice(line, 5, Ramp("previous", 0.1, 4))):
        assert whole.values(7).tolist() == [*line.values(5), 0.0, 0.025]


def test_a_large_rate_is_a_start_like_any_other() -> None:
    """A rate above a million, which factors make, can be what a part starts from."""
    large = Product([Constant(1e5), Constant(1e5)])
    assert Sequence([large, Ramp("previous", 0.0, 4)], [1]).values(3).tolist() == [1e10, 1e10, 7.5e9]


@pytest.mark.filterwarnings("ignore:.*made for 4 steps and gets 3:scheduler.ScheduleWarning")
@pytest.mark.parametrize("factors", [[1e12, 10.0], [1e12] * 60])
def test_what_leaves_the_range_of_rates_is_an_error_with_its_step(factors: list[float]) -> None:
    """A rate beyond `MAX_RATE` is a TableError that says which, in rows, in `get_lr` and as a start."""
    growing = Product([Ramp(0.0, 1.0, 4), *map(Constant, factors)])
    limit = "finite" if math.prod(factors) == math.inf else r"at most 1e\+12"
    message = rf"must be {limit}, got \S+ at step 1"
    assert growing.get_lr(0) == 0.0
    for ask in (
        lambda: growing.table(3),
        lambda: growing.values(3),
        lambda: growing.get_lr(1),
        lambda: Splice(growing, 1, Ramp("previous", 0.0, 4)).values(3),
        lambda: Sequence([growing, Constant("previous")], [1]).table(3),
    ):
        with pytest.raises(TableError, match=message):
            ask()


def test_get_lr_serves_what_lies_between_two_rates_that_are_too_large() -> None:
    """A rate that is none does not take those around it along."""
    peaks = Product([builtin.CyclicLR(0.0, 1e12, 2, cycle_momentum=False), Constant(2.0)])
    assert [peaks.get_lr(step) for step in (0, 1, 3, 4, 5)] == [0.0, 1e12, 1e12, 0.0, 1e12]
    with pytest.raises(TableError, match="at step 6"):
        peaks.get_lr(6)


@pytest.mark.parametrize("exponent", [-40, 39])
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_large_rates_are_as_exact_as_small_ones(exponent: int, data: st.DataObject) -> None:
    """A power of two times the rates gives that times the values, bit for bit: accuracy knows no unit."""
    low, high = sorted(data.draw(st.tuples(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))))
    shape = data.draw(st.sampled_from(get_args(shapes.Shape)).filter(lambda shape: shape != "inverse_sqrt"))
    length, factor = data.draw(st.integers(1, 3000)), 2.0**exponent
    for make in (
        lambda unit: Ramp(high * unit, low * unit, length, shape),
        lambda unit: LinearWarmup(high * unit, length),
    ):
        assert np.array_equal(make(factor).values(length + 2), make(1.0).values(length + 2) * factor)
