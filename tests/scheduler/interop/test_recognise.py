"""A torch scheduler is described by the schedule that has its values, or by none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from scheduler import TableError, builtin
from scheduler.compose import Shift
from scheduler.interop.capture import capture
from scheduler.interop.dry_run import CaptureError
from scheduler.interop.recognise import DescribeError, describe
from scheduler.schedule import Schedule
from scheduler.views.compare import compare
from tests.support.schedules.stepping import optimizer_of, real_scheduler
from tests.support.schedules.torch_setups import SETUPS, advanced, grouped, parameters, sequential, sgd
from tests.support.schedules.torch_state import state
from tests.support.schedules.torch_twins import TWINS, twins

WARMUP = builtin.LinearLR(0.1, 0.1, total_iters=5)
COSINE = builtin.CosineAnnealingLR(0.1, 30)
DESCRIBED: dict[str, Schedule | list[Schedule]] = {
    "sequential": builtin.SequentialLR([WARMUP, COSINE], [5]),
    "chained": builtin.ChainedScheduler([builtin.ConstantLR(0.1, 0.1, 7), builtin.ExponentialLR(0.1, 0.9)]),
    "groups": [builtin.CosineAnnealingLR(lr, 15, 1e-3) for lr in (0.1, 0.01, 0.1)],
    "equal-groups": builtin.PolynomialLR(0.1, 12, 0.9),
    "one-cycle-momentum": builtin.OneCycleLR(0.1, 50),
    "one-cycle-betas": [builtin.OneCycleLR(lr, 50, three_phase=True, momentum_column="beta1") for lr in (0.1, 0.3)],
    "one-cycle-rate-alone": builtin.OneCycleLR(0.1, 50, cycle_momentum=False),
    "cyclic": builtin.CyclicLR(0.01, 0.1, 4, 7, "triangular2"),
    "multi-step": [builtin.MultiStepLR(lr, [3, 3, 8, 20], 0.3) for lr in (0.1, 0.3)],
    "warm-restarts": builtin.CosineAnnealingWarmRestarts(0.1, 5, 2, 1e-4),
    "swa": [builtin.SWALR(lr, 0.05, 9) for lr in (0.1, 0.2)],
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_scheduler_of_torch_is_described_by_its_twin(name: str) -> None:
    """The twin has the parameters that the scheduler was made with, and the scheduler is as it was before."""
    scheduler = SETUPS[name]()
    before = state(scheduler)
    assert describe(scheduler) == DESCRIBED[name]
    assert state(scheduler) == before


def _has_values_of(scheduler: Any, twin: Schedule, rows: int) -> bool:
    try:
        return compare(scheduler, twin, rows).equal
    except TableError:  # in torch, too, a rate of some compositions is negative
        return False


@pytest.mark.parametrize("name", TWINS)
@settings(max_examples=15)
@given(data=st.data())
def test_a_description_has_the_values_of_its_twin(name: str, data: st.DataObject) -> None:
    """Whatever its parameters, the real scheduler of a twin is described by a schedule with the twin's values."""
    twin = data.draw(twins(name))
    scheduler = real_scheduler(twin, optimizer_of(twin))
    rows = 100 if twin.end is None else min(100, twin.end)
    assume(_has_values_of(scheduler, twin, rows))  # what torch does to a rate that the twin did not begin with
    try:
        found = describe(scheduler)
    except DescribeError as error:
        assert "as of several" in str(error) or "has no table" in str(error)  # noqa: PT017  # most are described: this is the rare other end of it
    else:
        assert compare(found, twin, rows).equal


@pytest.mark.parametrize(
    "twin",
    [
        builtin.SequentialLR(
            [builtin.OneCycleLR(1.1, 15), builtin.StepLR(0.3, 1), builtin.OneCycleLR(0.1, 30)], [9, 20]
        ),
        builtin.ChainedScheduler([builtin.OneCycleLR(1.1, 15), COSINE, builtin.OneCycleLR(0.1, 30)]),
    ],
    ids=lambda twin: twin.kind,
)
def test_a_one_cycle_that_another_wrote_over_is_described(twin: Any) -> None:
    """With two OneCycleLR, the last decides all rates except the one that members between them started from."""
    found = describe(real_scheduler(twin, optimizer_of(twin)))
    assert isinstance(found, Schedule)
    assert compare(found, twin, 16).equal


def test_parameters_that_torch_does_not_keep_are_refused_with_the_reason() -> None:
    """torch keeps only one rate of two SWALR, so a first step by the other cannot be described."""
    twin = builtin.ChainedScheduler([builtin.SWALR(0.3, 1.1, 0), builtin.SWALR(0.3, 0.1, 30)])
    with pytest.raises(
        DescribeError, match="other values, as of several SWALR torch keeps the rates of the last alone"
    ):
        describe(real_scheduler(twin, optimizer_of(twin)))


@pytest.mark.parametrize("steps", [1, 5, 11, 60])
def test_a_scheduler_in_its_middle_is_a_schedule_begun_there(steps: int) -> None:
    """After some steps the description is the twin, shifted by them."""
    scheduler = advanced(sequential(AdamW(parameters(), lr=0.1)), steps)
    found = describe(scheduler)
    assert found == Shift(builtin.SequentialLR([WARMUP, COSINE], [5]), steps)
    assert compare(found, scheduler, 50).equal


CYCLES: dict[str, tuple[Callable[[], Any], int]] = {
    "one-cycle": (lambda: OneCycleLR(sgd(), 0.1, total_steps=30), 30),
    "one-cycle-betas": (lambda: OneCycleLR(AdamW(parameters()), 0.1, total_steps=30, three_phase=True), 30),
    "one-cycle-groups": (lambda: OneCycleLR(grouped(0.1, 0.2, momentum=0.9), [0.1, 0.3], total_steps=30), 30),
    "cyclic": (lambda: CyclicLR(sgd(), 0.01, 0.1, 4, 7, mode="triangular2"), 60),
    "cyclic-betas": (lambda: CyclicLR(AdamW(parameters()), 0.01, 0.1, 5, mode="exp_range", gamma=0.99), 60),
    "sequential": (lambda: _sequential_cycle(sgd()), 60),
    "chained": (lambda: _chained_cycle(sgd()), 60),
}


def _sequential_cycle(optimizer: SGD) -> SequentialLR:
    members = [LinearLR(optimizer, 0.1, total_iters=5), OneCycleLR(optimizer, 0.3, total_steps=30)]
    return SequentialLR(optimizer, [*members, StepLR(optimizer, 9)], [5, 25])


def _chained_cycle(optimizer: SGD) -> ChainedScheduler:
    return ChainedScheduler([CyclicLR(optimizer, 0.01, 0.1, 6), ExponentialLR(optimizer, 0.9)])


@pytest.mark.parametrize("name", CYCLES)
def test_a_cycle_is_described_wherever_it_stands(name: str) -> None:
    """From each step of its cycle on, the schedule found has the rates and momenta of a capture, bit for bit."""
    make, steps = CYCLES[name]
    for position in range(steps):
        scheduler = advanced(make(), position)
        rows = min(steps - position, 40)
        captured, found = capture(scheduler, rows), describe(scheduler)
        assert compare(found, captured, rows).equal
        if position and isinstance(found, Shift):
            assert found == Shift(describe(make()), position)  # type: ignore[arg-type]  # one for all groups


def test_the_rest_of_a_cycle_is_described_up_to_its_end() -> None:
    """A OneCycleLR near its end allows a few steps more, and the proof takes no more than those."""
    scheduler = advanced(OneCycleLR(sgd(), 0.1, total_steps=10, cycle_momentum=False), 9)
    assert describe(scheduler) == Shift(builtin.OneCycleLR(0.1, 10, cycle_momentum=False), 9)


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        pytest.param(SETUPS["lambda-per-group"], "equivalent to a LambdaLR: its rates come from a Python", id="lambda"),
        pytest.param(SETUPS["multiplicative"], "equivalent to a MultiplicativeLR: its factors come", id="factors"),
        pytest.param(SETUPS["transformers-linear"], "equivalent to a LambdaLR: its rates", id="transformers"),
        pytest.param(SETUPS["cyclic-function"], "equivalent to a CyclicLR with a scale_fn", id="scale-function"),
        pytest.param(SETUPS["home-made"], "Decoupled is not a class of torch's own", id="home-made"),
        pytest.param(lambda: StepLR(sgd(), 3, gamma=2e6), "no schedule is equivalent to this StepLR", id="refused"),
    ],
)
def test_what_has_no_equivalent_is_refused(scheduler: Any, message: str) -> None:
    """Where no schedule has the values, the message says why, and a capture still takes it."""
    with pytest.raises(DescribeError, match=message):
        describe(scheduler())
    assert capture(scheduler(), 5).total_steps == 5


def test_a_rate_changed_from_outside_fails_the_proof() -> None:
    """A scheduler whose values are not those of its parameters is not described, and the message says where."""
    scheduler = ExponentialLR(sgd(), 0.9)
    scheduler.optimizer.param_groups[0]["lr"] = 0.2
    with pytest.raises(DescribeError, match=r"this ExponentialLR has other values:\n[^!]*lr: different in 1,000 of"):
        describe(scheduler)


def test_float32_rates_fail_the_proof() -> None:
    """A schedule computes in float64: the values of a float32 tensor are another curve."""
    with pytest.raises(DescribeError, match="this CosineAnnealingLR has other values"):
        describe(CosineAnnealingLR(AdamW(parameters(), lr=torch.tensor(0.1)), 20))


def test_the_proof_passes_the_last_boundary() -> None:
    """A curve that leaves its parameters' only at the last of its boundaries is found out."""
    scheduler = CyclicLR(sgd(), 0.01, 0.1, step_size_up=900, step_size_down=600, cycle_momentum=False)
    assert describe(scheduler) == builtin.CyclicLR(0.01, 0.1, 900, 600, cycle_momentum=False)
    scheduler.get_lr = lambda: [1.0 if scheduler.last_epoch > 1500 else CyclicLR.get_lr(scheduler)[0]]  # type: ignore[method-assign]  # a user's patch
    with pytest.raises(DescribeError, match="first in step 1,501"):
        describe(scheduler)


def test_what_is_no_scheduler_is_refused() -> None:
    """The errors are those of a capture."""
    with pytest.raises(TypeError, match="no torch scheduler"):
        describe(sgd())  # type: ignore[arg-type]  # mypy sees it, too
    with pytest.raises(CaptureError, match="needs a metric"):
        describe(ReduceLROnPlateau(grouped(0.1)))  # type: ignore[arg-type]  # mypy sees it, too
