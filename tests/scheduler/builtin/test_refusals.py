"""Parameters that the twins of torch's schedulers refuse, and those that pass through JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from scheduler import ScheduleError
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
from tests.support.schedules.stepping import real_class
from tests.support.schedules.torch_twins import TWINS

# -- refusals ---------------------------------------------------------------------------------------------------------
STEP = StepLR(0.1, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepLR(0.1, 0), r"step_size.*greater than or equal to 1.*got 0"),
        (lambda: StepLR(0.1, 3, -0.5), r"gamma.*greater than or equal to 0.*got -0\.5"),
        (lambda: MultiStepLR(0.1, [-1]), r"milestones\[0\].*greater than or equal to 0.*got -1"),
        (lambda: MultiStepLR(0.1, [1] * 17, 1e6), r"gamma must be small enough that gamma \*\* 17.* got 1000000"),
        (lambda: ConstantLR(0.1, 1.5), r"factor.*less than or equal to 1.*got 1\.5"),
        (lambda: ConstantLR(0.1, 0.0), r"factor must be >= 1e-100, since step total_iters=5 divides by it, got 0\.0"),
        (lambda: LinearLR(0.1, 0.0), r"start_factor must be >= 1e-100, since the ramp divides by it, got 0\.0"),
        (lambda: CosineAnnealingLR(0.1, 10**8 + 1), "T_max must be <= 100000000, near which .* got 100000001"),
        (lambda: LinearLR(0.1, end_factor=1.1), r"end_factor.*less than or equal to 1.*got 1\.1"),
        (lambda: PolynomialLR(0.1, power=-1.0), r"power.*greater than or equal to 0.*got -1\.0"),
        (lambda: CosineAnnealingLR(0.1, 0), r"T_max.*greater than or equal to 1.*got 0"),
        (lambda: CosineAnnealingWarmRestarts(0.1, 0), r"T_0.*greater than or equal to 1.*got 0"),
        (lambda: CosineAnnealingWarmRestarts(0.1, 5, 0), r"T_mult.*greater than or equal to 1.*got 0"),
        (lambda: CyclicLR(0.1, 0.2, 0), r"step_size_up.*greater than or equal to 1.*got 0"),
        (lambda: OneCycleLR(0.1), "total_steps, or both epochs and steps_per_epoch, must be given, got epochs=None"),
        (lambda: OneCycleLR(0.1, 0), r"total_steps.*greater than or equal to 1.*got 0"),
        (lambda: OneCycleLR(0.1, 10, pct_start=0.1), r"with pct_start=0\.1 and 10 steps torch .* zero at step 0"),
        (lambda: OneCycleLR(0.1, 10, pct_start=1.0), r"with pct_start=1\.0 and 10 steps torch .* zero at step 10"),
        (
            lambda: OneCycleLR(0.1, 5, pct_start=0.6, three_phase=True),
            r"with pct_start=0\.6 and 5 steps torch divides by zero at step 5",
        ),
        (lambda: SWALR(0.1, 0.1, -1), r"anneal_epochs.*greater than or equal to 0.*got -1"),
        (lambda: SequentialLR([], []), r"SequentialLR.*schedulers.*at least 1 item"),
        (lambda: SequentialLR([STEP, STEP], []), "milestones must be one fewer than the schedulers, got 0 for 2"),
        (
            lambda: SequentialLR([STEP, ChainedScheduler([STEP])], [5]),
            r"schedulers\[1\]: torch cannot start a torch.ChainedScheduler at a milestone",
        ),
        (lambda: SequentialLR([STEP, LinearLR(0.1, total_iters=0)], [5]), r"schedulers\[1\]: total_iters must be >= 1"),
        (
            lambda: SequentialLR([STEP, PolynomialLR(0.1, total_iters=0)], [5]),
            r"schedulers\[1\]: total_iters must be >= 1 in a later member.* got 0",
        ),
        (
            lambda: SequentialLR([ChainedScheduler([PolynomialLR(0.1, total_iters=0)])], []),
            r"total_iters must be >= 1 here, where torch divides by it at step 0, got 0",
        ),
        (lambda: ChainedScheduler([]), r"ChainedScheduler.*schedulers.*at least 1 item"),
    ],
)
def test_refusals(make: Callable[[], Twin], message: str) -> None:
    """A parameter that torch, or the arithmetic, cannot take is refused at once, by name and value."""
    with pytest.raises(ScheduleError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SequentialLR([STEP, ChainedScheduler([ExponentialLR(0.2, 0.5)])], [0]),
            r"base_lr must be the same .* got 0\.1 in schedulers\[0\] and 0\.2 in schedulers\[1\]\.schedulers\[0\]",
        ),
        (
            lambda: ChainedScheduler([OneCycleLR(0.1, 9), CyclicLR(0.1, 0.2, momentum_column="beta1")]),
            r"momentum_column must be the same .* got 'momentum' in schedulers\[0\] and 'beta1' in schedulers\[1\]",
        ),
        (lambda: SequentialLR([STEP] * 3, [10, 5]), "milestones must not decrease, got 5 after 10"),
        (
            lambda: ChainedScheduler([LinearLR(0.1, 1e-100)] * 3),
            r"schedulers must together make no rate more than 1e\+200 times as large, got 1e\+300",
        ),
        (lambda: nested(8), "schedulers must be nested at most 8 deep, got 9"),
        (lambda: ChainedScheduler([STEP] * 101), r"schedulers.*at most 100 items"),
    ],
)
def test_what_torch_would_not_notice(make: Callable[[], Twin], message: str) -> None:
    """A composite that cannot be one optimizer's, or has no sensible rates, is refused."""
    with pytest.raises(ScheduleError, match=message):
        make()


def nested(depth: int) -> Twin:
    """Chains in chains."""
    return ChainedScheduler([nested(depth - 1) if depth > 1 else STEP])


def build(**parameters: Any) -> Callable[[type[Any]], Any]:
    """A real scheduler with parameters that no twin has."""
    return lambda real: real(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9), **parameters)


@pytest.mark.parametrize(
    ("name", "parameters", "error"),
    [
        ("StepLR", {"step_size": 0}, ZeroDivisionError),
        ("ConstantLR", {"factor": 0.0}, ZeroDivisionError),
        ("LinearLR", {"start_factor": 0.0}, ValueError),
        ("PolynomialLR", {"power": -1.0}, ZeroDivisionError),
        ("CosineAnnealingLR", {"T_max": 0}, ZeroDivisionError),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.2, "step_size_up": 0}, ZeroDivisionError),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 10, "pct_start": 0.1}, ZeroDivisionError),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 10, "pct_start": 1.0}, ZeroDivisionError),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 5, "pct_start": 0.6, "three_phase": True}, ZeroDivisionError),
        ("SWALR", {"swa_lr": 0.1, "anneal_epochs": -1}, ValueError),
    ],
)
def test_torch_fails_there_too(name: str, parameters: dict[str, Any], error: type[Exception]) -> None:
    """Parameters that are refused because torch fails on them do fail in torch, at once or within ten steps."""

    def train() -> None:
        scheduler = build(**parameters)(real_class(TWINS[name]))
        scheduler.optimizer.step()
        for _ in range(10):
            scheduler.step()

    with pytest.raises(error, match=r"zero|expected|must be|0\.0 cannot be raised to a negative power"):
        train()


# -- as data ----------------------------------------------------------------------------------------------------------


def test_composites_travel_as_json() -> None:
    """A nested composite is the same after a journey as JSON, and hashable; lists become tuples."""
    twin = SequentialLR([ChainedScheduler([STEP, ExponentialLR(0.1, 0.9)]), CosineAnnealingLR(0.1, 90)], [10])
    adapter = TypeAdapter(SequentialLR)
    again = adapter.validate_json(adapter.dump_json(twin))
    assert again == twin
    assert hash(again) == hash(twin)
    assert again.schedulers[0] == ChainedScheduler((STEP, ExponentialLR(0.1, 0.9)))
    assert_same_columns(again.columns(200), twin.columns(200))


def test_an_error_in_a_member_names_its_place() -> None:
    """A bad parameter deep in a composite is reported with the way to it."""
    member = {"kind": "torch.StepLR", "base_lr": 0.1, "step_size": 0}
    chain = {"kind": "torch.ChainedScheduler", "schedulers": [member]}
    with pytest.raises(ValidationError, match="step_size") as caught:
        TypeAdapter(ChainedScheduler).validate_json(json.dumps({"schedulers": [chain]}))
    error = caught.value.errors()[0]
    place = [part for part in error["loc"] if not str(part).startswith("torch.")]
    assert place == ["schedulers", 0, "schedulers", 0, "step_size"]


def test_a_column_that_is_not_there_is_refused() -> None:
    """Only cycles drive the momentum, and only by the name that they were given."""
    cycle = CyclicLR(0.001, 0.1, momentum_column="beta1")
    assert (cycle.column_names, STEP.column_names) == (("lr", "beta1"), ("lr",))
    assert CyclicLR(0.001, 0.1, cycle_momentum=False).column_names == ("lr",)
    with pytest.raises(KeyError, match="has no column 'momentum', only lr, beta1"):
        cycle.fill(np.empty(3), column="momentum")


def test_a_halving_cycle_is_flat_far_out() -> None:
    """Ten billion steps out the amplitude has long been 0; the number of the cycle is beyond 32 bits there."""
    values = np.empty(3)
    CyclicLR(0.001, 0.1, 2, 1, "triangular2").fill(values, 10**10 - 1)
    assert values.tolist() == [0.001] * 3
