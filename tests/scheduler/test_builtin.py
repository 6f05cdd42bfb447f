"""The twins of torch's schedulers equal the real ones, stepped on a real optimizer, bit for bit."""

from __future__ import annotations

import dataclasses
import inspect
import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from scheduler import ScheduleWarning, builtin
from scheduler.builtin import (
    NOT_TWINNED,
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
from tests.support.schedules.stepping import Columns, real_class, step_real
from tests.support.schedules.torch_twins import TWINS, twins

PAST_EVERY_BOUNDARY = 150  # steps: several times as many as the counts that the strategies draw
ACROSS_BLOCKS = 40_001  # steps: more than one of the blocks that are computed at once


def long(n: int) -> list[Any]:
    """Each kind, and each way of computing it, with joints that lie far apart within n steps."""
    linear, cosine = LinearLR(0.1, 0.01, total_iters=n // 3), CosineAnnealingLR(0.1, n // 3, 1e-5)
    cycle = OneCycleLR(0.2, n // 2, momentum_column="beta1")
    cases: dict[str, Twin] = {
        "ConstantLR": ConstantLR(0.1, 0.3, n // 2),
        "LinearLR": LinearLR(0.1, 1.0, 0.0, total_iters=n - 10),
        "StepLR": StepLR(0.1, n // 50, 0.9),
        "MultiStepLR": MultiStepLR(0.1, [0, n // 3, n // 2, n // 2], 0.3),
        "ExponentialLR": ExponentialLR(0.1, 1 - 10 / n),
        "ExponentialLR-vanishing": ExponentialLR(0.1, 0.9),
        "PolynomialLR": PolynomialLR(0.1, n - 10),
        "PolynomialLR-power": PolynomialLR(0.1, n - 10, 0.9),
        "CosineAnnealingLR": CosineAnnealingLR(0.1, n // 4),
        "CosineAnnealingLR-short": CosineAnnealingLR(0.1, 100),
        "CosineAnnealingLR-1": CosineAnnealingLR(0.1, 1),
        "CosineAnnealingLR-eta_min": CosineAnnealingLR(0.1, n // 4, 1e-5),
        "CosineAnnealingWarmRestarts": CosineAnnealingWarmRestarts(0.1, 1234),
        "CosineAnnealingWarmRestarts-long": CosineAnnealingWarmRestarts(0.1, n - 10, 1, 1e-5),
        "CosineAnnealingWarmRestarts-growing": CosineAnnealingWarmRestarts(0.1, 1000, 2, 1e-5),
        "CyclicLR": CyclicLR(0.001, 0.1, 2000, 3000),
        "CyclicLR-triangular2": CyclicLR(0.001, 0.1, n // 9, mode="triangular2", momentum_column="beta1"),
        "CyclicLR-exp_range": CyclicLR(0.001, 0.1, 2000, mode="exp_range", gamma=0.99999),
        "OneCycleLR": OneCycleLR(0.1, n),
        "OneCycleLR-linear": OneCycleLR(0.1, n, anneal_strategy="linear", momentum_column="beta1"),
        "OneCycleLR-three_phase": OneCycleLR(0.1, n, pct_start=0.31, three_phase=True),
        "SWALR": SWALR(0.1, 0.05, n // 2),
        "SWALR-linear": SWALR(0.1, 0.05, n // 2, "linear"),
        "SequentialLR": SequentialLR([linear, cosine, SWALR(0.1, 0.01, n // 10)], [n // 3, n // 2]),
        "SequentialLR-momentum": SequentialLR([linear, cycle, StepLR(0.1, 1000)], [n // 3, 2 * n // 3]),
        "SequentialLR-nested": SequentialLR([SequentialLR([linear, cosine], [999]), linear], [n // 2]),
        "ChainedScheduler": ChainedScheduler([ConstantLR(0.1, 0.5, n // 2), ExponentialLR(0.1, 1 - 1 / n), linear]),
        "ChainedScheduler-affine": ChainedScheduler([linear, cosine]),
        "ChainedScheduler-closed": ChainedScheduler([linear, CosineAnnealingWarmRestarts(0.1, 1234), cosine]),
    }
    return [pytest.param(twin, id=name) for name, twin in cases.items()]


def assert_same_bits(actual: Columns, expected: Columns) -> None:
    """Not one differing bit in any column; a failure names the first step that has one."""
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        differing = np.flatnonzero(actual[name].view(np.int64) != values.view(np.int64))
        assert not len(differing), (
            f"{name} at step {differing[0]}: {actual[name][differing[0]]!r} is not {values[differing[0]]!r}"
        )


# -- completeness -----------------------------------------------------------------------------------------------------


def test_every_torch_scheduler_has_a_twin_or_a_reason() -> None:
    """Each class of torch.optim.lr_scheduler, and SWALR, is a kind here, or it is said why it is none."""
    assert {*torch.optim.lr_scheduler.__all__, "SWALR"} == TWINS.keys() | NOT_TWINNED.keys()
    assert not TWINS.keys() & NOT_TWINNED.keys()
    assert {parameter.values[0].kind for parameter in long(100_000)} == {twin.kind for twin in TWINS.values()}


@pytest.mark.parametrize("name", TWINS)
def test_parameters_are_torchs(name: str) -> None:
    """A twin has the parameters of torch's class, in its order and with its defaults, after any base_lr."""
    left_out = {"self", "optimizer", "last_epoch", "scale_fn", "scale_mode"}  # the last two hold or need a function
    theirs = inspect.signature(real_class(TWINS[name]).__init__).parameters.values()
    required = {dataclasses.MISSING: inspect.Parameter.empty}
    fields = [field for field in dataclasses.fields(TWINS[name]) if not field.kw_only]  # type: ignore[arg-type]  # a dataclass
    ours = [(field.name, required.get(field.default, field.default)) for field in fields]
    expected = [(parameter.name, parameter.default) for parameter in theirs if parameter.name not in left_out]
    assert ours == ([("base_lr", inspect.Parameter.empty)] if TWINS[name].reads_rate else []) + expected


def test_the_package_gathers_its_kinds() -> None:
    """`from scheduler.builtin import StepLR` works for every kind, whose name is torch's."""
    assert {f"torch.{name}": kind for name, kind in TWINS.items()} == {kind.kind: kind for kind in TWINS.values()}
    assert set(builtin.__all__) == {*TWINS, "NOT_TWINNED"}


# -- parity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TWINS)
@given(data=st.data())
def test_equals_stepping_the_real_scheduler(name: str, data: st.DataObject) -> None:
    """Every value of every column has the bits that stepping torch's class gives, at every length."""
    twin = data.draw(twins(name))
    steps = PAST_EVERY_BOUNDARY if twin.end is None else min(twin.end + 1, PAST_EVERY_BOUNDARY)
    real = step_real(twin, steps)
    assert_same_bits(twin.columns(steps), real)
    shorter = data.draw(st.integers(0, steps))
    assert_same_bits(twin.columns(shorter), {column: values[:shorter] for column, values in real.items()})


@pytest.mark.parametrize(
    "ramp",
    [
        pytest.param(LinearLR(0.1, 0.5, 1.0, 1), id="rises-by-its-start"),
        pytest.param(LinearLR(0.1, 0.125, 0.75, 5), id="rises-by-five-times-its-start"),
        pytest.param(LinearLR(0.1, 1e-100, 1.0, 0), id="without-steps"),
    ],
)
def test_a_ramp_divides_by_nothing_before_its_first_step(ramp: Twin) -> None:
    """LinearLR's recurrence would divide by 0 at step 0 in these: neither torch nor the twin uses it there."""
    twin = SequentialLR([ramp, StepLR(0.1, 2)], [3])
    assert_same_bits(twin.columns(10), step_real(twin, 10))


@pytest.mark.parametrize("name", ["OneCycleLR", "SequentialLR", "ChainedScheduler"])
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
def test_ends_where_torch_raises(name: str, data: st.DataObject) -> None:
    """A twin's end is the last step that torch allows; past it the last rate of a training is held."""
    twin = data.draw(twins(name).filter(lambda twin: twin.end is not None and twin.end < PAST_EVERY_BOUNDARY))
    assert twin.end is not None
    with pytest.raises(ValueError, match="Tried to step"):
        step_real(twin, twin.end + 2)
    for values in twin.columns(twin.end + 5).values():
        assert np.array_equal(values[twin.end + 1 :], np.full(4, values[twin.end - 1]))


@pytest.mark.parametrize("twin", long(ACROSS_BLOCKS - 1))
def test_equals_stepping_across_blocks(twin: Twin) -> None:
    """The bits stay those of stepping where the computation goes on in a next block."""
    assert_same_bits(twin.columns(ACROSS_BLOCKS), step_real(twin, ACROSS_BLOCKS))


@pytest.mark.slow
@pytest.mark.parametrize("twin", long(999_999))
def test_equals_stepping_for_a_million_steps(twin: Twin) -> None:
    """Not one of a million values differs from stepping."""
    assert_same_bits(twin.columns(1_000_000), step_real(twin, 1_000_000))


@pytest.mark.parametrize("twin", long(150_000))
def test_windows_equal_slices(twin: Twin) -> None:
    """A step's value does not depend on where the computation starts, nor on how many steps it covers."""
    whole = twin.columns(150_000)
    random = np.random.default_rng(5)
    bounds = np.sort(random.integers(0, 150_000, (8, 2)), axis=1).tolist()
    for start, stop in [(149_000, 150_000), (0, 1), (7, 7), (32_767, 32_769), (65_536, 98_304), *bounds]:
        fresh = type(twin)(**twin.__getstate__())
        for schedule in (twin, fresh):
            for name, values in whole.items():
                window = np.full(stop - start, np.nan)
                schedule.fill(window, start, column=name)
                assert_same_bits({name: window}, {name: values[start:stop]})


@pytest.mark.parametrize("twin", long(100_000))
def test_get_lr_in_any_order_is_the_value_of_its_step(twin: Twin) -> None:
    """get_lr answers from any step with the bits of the table."""
    values = twin.values(100_000)
    for step in [99_999, 0, *range(4000, 4200), 70_000, 3]:
        assert twin.get_lr(step) == values[step]


def test_threads_share_a_schedule() -> None:
    """A recursion that several threads ask about at once gives each the same bits."""
    twin = CosineAnnealingLR(0.1, 1000, 1e-5)
    expected = CosineAnnealingLR(0.1, 1000, 1e-5).values(200_000)
    with ThreadPoolExecutor(4) as pool:
        for values in pool.map(twin.values, [200_000] * 8):
            assert_same_bits({"lr": values}, {"lr": expected})


# -- cost -------------------------------------------------------------------------------------------------------------


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
def test_a_closed_form_is_answered_anywhere(twin: Twin) -> None:
    """What does not depend on the steps before is not computed from them."""
    assert 0.0 < twin.get_lr(10**10) <= 0.1


# -- torch's surprises ------------------------------------------------------------------------------------------------


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
    assert_same_bits(by_epochs.columns(101), OneCycleLR(0.1, 100).columns(101))
    assert_same_bits(both.columns(101), step_real(both, 101))
    assert_same_bits(by_epochs.columns(101), step_real(by_epochs, 101))


def test_a_later_one_cycle_changes_the_warmup_before_it() -> None:
    """A OneCycleLR that is built second sets the rate that the LinearLR before it starts from."""
    both = SequentialLR([LinearLR(0.1, 0.1, total_iters=10), OneCycleLR(0.2, 50)], [20])
    assert both.get_lr(10) == pytest.approx(0.2 / 25)


def test_triangular2_goes_on_where_torch_overflows() -> None:
    """After 1024 cycles of triangular2 torch raises OverflowError; here the rate stays at base_lr."""
    twin = CyclicLR(0.001, 0.1, 1, mode="triangular2")
    assert_same_bits(twin.columns(2048), step_real(twin, 2048))
    with pytest.raises(OverflowError, match="out of range"):
        step_real(twin, 2049)
    assert set(twin.values(5000)[2048:].tolist()) == {0.001}


@pytest.mark.parametrize(
    ("twin", "caveat"),
    [
        (CosineAnnealingLR(0.1, 90), "from step 90 on the rate rises again"),
        (ConstantLR(0.1, 0.5, 0), "never takes the factor 0.5 off again"),
        (SequentialLR([LinearLR(0.1), CosineAnnealingLR(0.1, 80)], [5]), "from step 80 on the rate rises again"),
        (SequentialLR([ChainedScheduler([StepLR(0.1, 3)])], []), "once too often"),
    ],
    ids=["cosine", "constant", "member", "nested"],
)
def test_surprises_are_said(twin: Twin, caveat: str) -> None:
    """What few people expect of a schedule is among its caveats."""
    assert [caveat in sentence for sentence in twin.warnings(100)] == [True]


@pytest.mark.parametrize(
    "twin",
    [
        CosineAnnealingLR(0.1, 99),
        ConstantLR(0.1),
        SequentialLR([LinearLR(0.1), CosineAnnealingLR(0.1, 95)], [5]),
    ],
    ids=lambda twin: twin.kind,
)
def test_nothing_is_said_of_the_usual(twin: Twin) -> None:
    """A schedule that does what everybody expects has no caveat."""
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
def test_joints(twin: Twin, boundaries: list[int]) -> None:
    """The joints are the steps at which the rate changes its course, and the two ends."""
    assert twin.boundaries(100) == boundaries


# -- refusals ---------------------------------------------------------------------------------------------------------

STEP = StepLR(0.1, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepLR(0.1, 0), r"(?s)step_size.*greater than or equal to 1.*input_value=0"),
        (lambda: StepLR(0.1, 3, -0.5), r"(?s)gamma.*greater than or equal to 0.*input_value=-0\.5"),
        (lambda: MultiStepLR(0.1, [-1]), r"(?s)milestones\.0.*greater than or equal to 0.*input_value=-1"),
        (lambda: MultiStepLR(0.1, [1] * 17, 1e6), r"gamma must be small enough that gamma \*\* 17.* got 1000000"),
        (lambda: ConstantLR(0.1, 1.5), r"(?s)factor.*less than or equal to 1.*input_value=1\.5"),
        (lambda: ConstantLR(0.1, 0.0), r"factor must be >= 1e-100, since step total_iters=5 divides by it, got 0\.0"),
        (lambda: LinearLR(0.1, 0.0), r"start_factor must be >= 1e-100, since the ramp divides by it, got 0\.0"),
        (lambda: CosineAnnealingLR(0.1, 10**8 + 1), "T_max must be <= 100000000, near which .* got 100000001"),
        (lambda: LinearLR(0.1, end_factor=1.1), r"(?s)end_factor.*less than or equal to 1.*input_value=1\.1"),
        (lambda: PolynomialLR(0.1, power=-1.0), r"(?s)power.*greater than or equal to 0.*input_value=-1\.0"),
        (lambda: CosineAnnealingLR(0.1, 0), r"(?s)T_max.*greater than or equal to 1.*input_value=0"),
        (lambda: CosineAnnealingWarmRestarts(0.1, 0), r"(?s)T_0.*greater than or equal to 1.*input_value=0"),
        (lambda: CosineAnnealingWarmRestarts(0.1, 5, 0), r"(?s)T_mult.*greater than or equal to 1.*input_value=0"),
        (lambda: CyclicLR(0.1, 0.2, 0), r"(?s)step_size_up.*greater than or equal to 1.*input_value=0"),
        (lambda: OneCycleLR(0.1), "total_steps, or both epochs and steps_per_epoch, must be given, got epochs=None"),
        (lambda: OneCycleLR(0.1, 0), r"(?s)total_steps.*greater than or equal to 1.*input_value=0"),
        (lambda: OneCycleLR(0.1, 10, pct_start=0.1), r"with pct_start=0\.1 and 10 steps torch .* zero at step 0"),
        (lambda: OneCycleLR(0.1, 10, pct_start=1.0), r"with pct_start=1\.0 and 10 steps torch .* zero at step 10"),
        (
            lambda: OneCycleLR(0.1, 5, pct_start=0.6, three_phase=True),
            r"with pct_start=0\.6 and 5 steps torch divides by zero at step 5",
        ),
        (lambda: SWALR(0.1, 0.1, -1), r"(?s)anneal_epochs.*greater than or equal to 0.*input_value=-1"),
        (lambda: SequentialLR([], []), r"(?s)SequentialLR.*schedulers.*at least 1 item"),
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
        (lambda: ChainedScheduler([]), r"(?s)ChainedScheduler.*schedulers.*at least 1 item"),
    ],
)
def test_refusals(make: Callable[[], Twin], message: str) -> None:
    """A parameter that torch, or the arithmetic, cannot take is refused at once, by name and value."""
    with pytest.raises(ValidationError, match=message):
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
        (lambda: ChainedScheduler([STEP] * 101), r"(?s)schedulers.*at most 100 items"),
    ],
)
def test_what_torch_would_not_notice(make: Callable[[], Twin], message: str) -> None:
    """A composite that cannot be one optimizer's, or has no sensible rates, is refused."""
    with pytest.raises(ValidationError, match=message):
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
    """What is refused here as torch's own failure does fail in torch, at once or within ten steps."""

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
    assert_same_bits(again.columns(200), twin.columns(200))


def test_an_error_in_a_member_names_its_place() -> None:
    """A bad parameter deep in a composite is reported with the way to it."""
    member = {"kind": "torch.StepLR", "base_lr": 0.1, "step_size": 0}
    chain = {"kind": "torch.ChainedScheduler", "schedulers": [member]}
    with pytest.raises(ValidationError, match="step_size") as caught:
        TypeAdapter(ChainedScheduler).validate_json(json.dumps({"schedulers": [chain]}))
    [error] = caught.value.errors()
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
