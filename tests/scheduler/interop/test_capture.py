"""A capture is what stepping applies, and capturing leaves no trace."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from torch.utils._python_dispatch import TorchDispatchMode

from scheduler import Table
from scheduler.interop.capture import capture
from scheduler.interop.dry_run import CaptureError
from tests.support.schedules.torch_setups import SETUPS, Make, Owner, Protocol, grouped, parameters, sequential, sgd
from tests.support.schedules.torch_state import state

STEPS = 48
each_setup = pytest.mark.parametrize("make", SETUPS.values(), ids=SETUPS.keys())


def numbers(group: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Every number of a parameter group, by the name of its column."""
    for name, value in group.items():
        if name == "betas":
            yield from ((f"beta{i + 1}", float(beta)) for i, beta in enumerate(value))
        elif isinstance(value, int | float | torch.Tensor) and not isinstance(value, bool):
            yield name, float(value)


def stepped(scheduler: Any, steps: int) -> list[list[dict[str, float]]]:
    """The values in force during each update of a training with this scheduler, for each group."""
    rows = []
    for step in range(steps):
        if step:
            with warnings.catch_warnings(action="ignore"):
                scheduler.optimizer.step()
                scheduler.step()
        rows.append([dict(numbers(group)) for group in scheduler.optimizer.param_groups])
    return rows


def assert_captured(table: Table, rows: list[list[dict[str, float]]]) -> None:
    """The table has the bits of what was in force; what is no column of it never changed."""
    for step, groups in enumerate(rows):
        for index, group in enumerate(groups):
            row = table.row(step, group=index)
            first = rows[0][index]
            expected = {name: value.hex() for name, value in group.items() if name in row or value != first[name]}
            assert {name: value.hex() for name, value in row.items()} == expected, (step, index)


@each_setup
def test_a_capture_is_what_stepping_applies(make: Make) -> None:
    """Every column of every group has the bits that stepping the original afterwards puts in force."""
    scheduler = make()
    table = capture(scheduler, STEPS)
    assert (table.total_steps, table.spec, table.axis, table.after) == (STEPS, None, "step", "hold")
    assert_captured(table, stepped(scheduler, STEPS))


@each_setup
def test_capturing_leaves_no_trace(make: Make) -> None:
    """Scheduler, optimizer, parameters, random generators and warnings are after a capture as they were before."""
    scheduler = make()
    before = state(scheduler)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        capture(scheduler, STEPS)
    assert (state(scheduler), warned) == (before, [])


@each_setup
def test_a_capture_repeats(make: Make) -> None:
    """Capturing twice gives one table, and a shorter capture is the beginning of a longer one."""
    scheduler = make()
    long, short = capture(scheduler, STEPS), capture(scheduler, 7)
    assert capture(scheduler, STEPS) == long
    for step in range(7):
        for group in range(len(scheduler.optimizer.param_groups)):
            assert long.row(step, group=group).items() >= short.row(step, group=group).items()


def test_torch_still_warns_of_a_wrong_order() -> None:
    """The warning that a scheduler was stepped before its optimizer is neither given by a capture nor used up by it."""
    scheduler = StepLR(sgd(), 3)
    capture(scheduler, 5)
    with pytest.warns(UserWarning, match=r"lr_scheduler.step\(\)` before `optimizer.step"):
        scheduler.step()


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        pytest.param(SETUPS["groups"], {"lr.0", "lr.1", "lr.2"}, id="rates-of-groups"),
        pytest.param(SETUPS["equal-groups"], {"lr"}, id="one-rate-where-groups-agree"),
        pytest.param(SETUPS["one-cycle-momentum"], {"lr", "momentum"}, id="momentum"),
        pytest.param(SETUPS["one-cycle-betas"], {"lr.0", "lr.1", "beta1"}, id="beta1-in-common"),
        pytest.param(SETUPS["one-cycle-rate-alone"], {"lr"}, id="no-momentum"),
        pytest.param(SETUPS["home-made"], {"lr.0", "lr.1", "weight_decay"}, id="weight-decay"),
    ],
)
def test_columns_are_what_the_scheduler_drives(make: Make, columns: set[str]) -> None:
    """Only what changes is a column, once for all groups where they agree, else once for each."""
    assert capture(make(), STEPS).columns.keys() == columns


def test_a_cycle_drives_the_momentum_from_its_first_step() -> None:
    """The momentum that OneCycleLR's constructor sets is in a capture too short to see it change."""
    assert capture(OneCycleLR(sgd(), 0.1, total_steps=50), 1).row(0)["momentum"] == 0.95


def test_groups_that_part_later_have_columns_of_their_own() -> None:
    """One changing group is enough for a column for each, those that stay as they are included."""
    table = capture(Protocol(grouped(0.1, 0.1)), 3)
    assert {name: column.tolist() for name, column in table.columns.items()} == {
        "lr.0": [0.1, 0.1, 0.1],
        "lr.1": [0.1, 0.05, 0.05],
    }


def test_a_float32_rate_is_captured_at_its_own_precision() -> None:
    """The column holds the tensor's value, exactly: that of the float32, not of the decimal."""
    table = capture(ConstantLR(Adam(parameters(), lr=torch.tensor(0.1)), factor=1.0), 2)
    assert table.lr.tolist() == [float(np.float32(0.1))] * 2


class Sizes(TorchDispatchMode):
    """Notes how many numbers each result of torch has."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.largest = max(self.largest, result.numel() if isinstance(result, torch.Tensor) else 0)
        return result


def test_capturing_copies_no_parameter() -> None:
    """Neither the optimizer's parameters and state nor a module behind a method is copied, frozen weights included."""
    owner = Owner()
    owner.frozen = torch.nn.Parameter(torch.zeros(10_000), requires_grad=False)
    weights = torch.nn.Parameter(torch.zeros(10_000))
    weights.grad = torch.ones(10_000)
    optimizer = Adam([weights], lr=torch.tensor(0.1))
    scheduler = LambdaLR(optimizer, owner.rate)
    with Sizes() as training:
        optimizer.step()
    with Sizes() as capturing:
        capture(scheduler, 3)
    assert training.largest == 10_000
    assert capturing.largest <= 4  # the bytes of the rate, a float32


@pytest.fixture
def accelerator() -> Iterator[Any]:
    """An Accelerator whose process-wide state ends with the test."""
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def test_an_optimizer_in_a_wrapper_is_captured(accelerator: Any) -> None:
    """A scheduler on Accelerate's optimizer is captured; its scheduler's wrapper says what to give instead."""
    optimizer: Any = accelerator.prepare(SGD(parameters(), lr=0.1, momentum=0.9))
    scheduler = StepLR(optimizer, 3)
    before = state(scheduler)
    table = capture(scheduler, 10)
    assert state(scheduler) == before
    with pytest.raises(TypeError, match="it has no optimizer; give the StepLR inside it"):
        capture(accelerator.prepare(scheduler), 10)
    assert_captured(table, stepped(scheduler, 10))


def test_a_scheduler_that_needs_a_metric_is_refused() -> None:
    """The rates of ReduceLROnPlateau are not known beforehand."""
    with pytest.raises(CaptureError, match="ReduceLROnPlateau has no values beforehand: each step needs a metric"):
        capture(ReduceLROnPlateau(sgd()), 10)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        pytest.param(None, r"no torch scheduler, it has no step\(\): None", id="none"),
        pytest.param(StepLR, r"no torch scheduler, it has no step\(\): <class", id="class"),
        pytest.param(sgd(), "this SGD is no torch scheduler, it has no optimizer$", id="optimizer"),
    ],
)
def test_what_is_no_scheduler_is_refused(thing: Any, message: str) -> None:
    """The message says what a scheduler has, and this has not."""
    with pytest.raises(TypeError, match=message):
        capture(thing, 10)


@pytest.mark.parametrize("total_steps", [0, -1, 1.5, True, None])
def test_a_capture_has_a_step_or_more(total_steps: Any) -> None:
    """The number of steps is whole and at least 1."""
    with pytest.raises(ValueError, match=f"total_steps must be a whole number of at least 1, got {total_steps}"):
        capture(StepLR(sgd(), 3), total_steps)


def test_a_scheduler_that_raises_says_at_which_step() -> None:
    """OneCycleLR allows one step past its end; the message names the first that it refuses."""
    scheduler = OneCycleLR(sgd(), 0.1, total_steps=10)
    assert capture(scheduler, 11).total_steps == 11
    with pytest.raises(CaptureError, match="this OneCycleLR raised at step 11: ValueError: Tried to step 11 times"):
        capture(scheduler, 12)


def test_a_scheduler_that_needs_an_argument_says_so() -> None:
    """If step() needs arguments, the error contains Python's own message."""

    class Greedy(LRScheduler):
        def step(self, metric: float = -1.0) -> None:  # type: ignore[override]  # as such schedulers do
            if metric < 0:
                raise TypeError("a metric is missing")

    greedy = Greedy.__new__(Greedy)
    greedy.optimizer = sgd()
    with pytest.raises(CaptureError, match="this Greedy raised at step 1: TypeError: a metric is missing"):
        capture(greedy, 2)


def test_a_value_that_is_not_finite_has_a_step_and_a_group() -> None:
    """NaN is refused with its place."""
    lambdas = [lambda step: 1.0, lambda step: float("nan") if step == 4 else 1.0]
    with pytest.raises(CaptureError, match="lr of group 1 must be finite, got nan at step 4"):
        capture(LambdaLR(grouped(0.1, 0.1), lambdas), 10)


def test_a_rate_of_several_numbers_is_refused() -> None:
    """A column has one value per step."""
    optimizer = sgd()
    scheduler = Protocol(optimizer)
    optimizer.param_groups[0]["lr"] = torch.ones(2)
    with pytest.raises(
        CaptureError, match=r"lr of group 0 must be a single number, got tensor\(\[1., 1.\]\) at step 0"
    ):
        capture(scheduler, 3)


def test_a_scheduler_that_trains_is_refused() -> None:
    """The stand-in for the optimizer refuses to be stepped, and the original is not."""

    class Trainer(Protocol):
        def step(self) -> None:
            self.optimizer.step()

    optimizer = sgd()
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
    with pytest.raises(CaptureError, match="this Trainer raised at step 1: RuntimeError: this scheduler steps its"):
        capture(Trainer(optimizer), 2)
    assert optimizer.param_groups[0]["params"][0].tolist() == [0.0, 0.0]


def test_a_scheduler_that_cannot_be_copied_is_refused() -> None:
    """A generator in the scheduler cannot be copied: the message says so."""
    scheduler = Protocol(sgd())
    scheduler.source = (i for i in range(3))  # type: ignore[attr-defined]  # as a user's own might have
    with pytest.raises(CaptureError, match="this Protocol cannot be copied: cannot pickle 'generator' object"):
        capture(scheduler, 2)


def test_an_error_leaves_no_trace_either() -> None:
    """A capture that fails in the middle has changed nothing."""
    scheduler = sequential(sgd())
    scheduler._schedulers[1].T_max = 0  # it divides by zero
    before = state(scheduler)
    with pytest.raises(CaptureError, match="this SequentialLR raised at step 5: ZeroDivisionError"):
        capture(scheduler, 20)
    assert state(scheduler) == before


def test_a_captured_table_is_a_file_like_any_other() -> None:
    """It is written and read back, and its digest is that of its values."""
    table = capture(CosineAnnealingLR(grouped(0.1, 0.2), 10), 20)
    assert Table.from_bytes(table.to_bytes()) == table == Table(table.columns)
    assert capture(ExponentialLR(sgd(), 0.9), 20) != table


def test_a_number_beyond_the_floats_is_refused_with_its_step() -> None:
    """An integer rate that grows past what a float holds ends the capture in one line."""
    with pytest.raises(CaptureError, match="lr of group 0 must be finite, got a number beyond float64 at step 309"):
        capture(StepLR(SGD(parameters(), lr=1), 1, gamma=10), 400)


class WantsArguments:
    """As timm's schedulers: step() wants the epoch, and updates are counted by another method."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    def step(self, epoch: int, metric: float | None = None) -> None:
        """The rate of an epoch."""
        self.step_update(10 * epoch, metric)

    def step_update(self, num_updates: int, metric: float | None = None) -> None:
        """The rate of an update."""
        del metric
        for group in self.optimizer.param_groups:
            group["lr"] = 1.0 / (1 + num_updates)


def adjust(optimizer: Any, epoch: int) -> None:
    """A schedule as many training scripts write it."""
    for group in optimizer.param_groups:
        group["lr"] = 0.5 ** (epoch // 3)


@pytest.mark.parametrize(
    ("operand", "step", "expected"),
    [
        (WantsArguments(sgd(lr=1.0)), WantsArguments.step_update, [1.0, 1 / 2, 1 / 3, 1 / 4]),
        (WantsArguments(sgd(lr=1.0)), WantsArguments.step, [1.0, 1 / 11, 1 / 21, 1 / 31]),
        (WantsArguments(sgd(lr=1.0)), lambda copy, _: adjust(copy.optimizer, 6), [1.0, 0.25, 0.25, 0.25]),
        (sgd(lr=1.0), adjust, [1.0, 1.0, 1.0, 0.5]),
    ],
)
def test_a_scheduler_is_stepped_as_one_says(operand: Any, step: Any, expected: list[float]) -> None:
    """`step` gets a copy and the number of the update to come; the original is not touched."""
    optimizer = getattr(operand, "optimizer", operand)
    assert capture(operand, 4, step=step).lr.tolist() == expected
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_a_step_that_wants_arguments_says_so() -> None:
    """The error of a scheduler whose step() needs more names the way."""
    with pytest.raises(CaptureError, match=r"missing 1 required .* say how: capture\(scheduler, total_steps, step="):
        capture(WantsArguments(sgd()), 4)
    with pytest.raises(TypeError, match="step must be a function of a scheduler and a number, got 3"):
        capture(sgd(), 4, step=3)  # type: ignore[arg-type]  # mypy sees it, too
    with pytest.raises(TypeError, match="this SGD is no torch scheduler, it has no optimizer"):
        capture(sgd(), 4)


def test_a_step_that_changes_the_original_is_refused() -> None:
    """A function that ignores the copy that it is given would change the training."""
    optimizer = sgd()
    with pytest.raises(CaptureError, match="step changed the optimizer itself, not the copy"):
        capture(optimizer, 7, step=lambda _, update: adjust(optimizer, update))
