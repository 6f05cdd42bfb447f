"""The twins of torch's schedulers equal the real ones, stepped on a real optimizer, bit for bit."""

from __future__ import annotations

import dataclasses
import inspect
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler import builtin
from scheduler.builtin import (
    NOT_TWINNED,
    CosineAnnealingLR,
    LinearLR,
    SequentialLR,
    StepLR,
)
from scheduler.builtin.twin import Twin
from tests.support.schedules.bits import assert_same_columns
from tests.support.schedules.long_twins import long
from tests.support.schedules.stepping import real_class, step_real
from tests.support.schedules.torch_twins import TWINS, twins

PAST_EVERY_BOUNDARY = 150  # steps: several times as many as the counts that the strategies draw
ACROSS_BLOCKS = 40_001  # steps: more than one of the blocks that are computed at once


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
    assert_same_columns(twin.columns(steps), real)
    shorter = data.draw(st.integers(0, steps))
    assert_same_columns(twin.columns(shorter), {column: values[:shorter] for column, values in real.items()})


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
    assert_same_columns(twin.columns(10), step_real(twin, 10))


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
    assert_same_columns(twin.columns(ACROSS_BLOCKS), step_real(twin, ACROSS_BLOCKS))


@pytest.mark.slow(2)
@pytest.mark.parametrize("twin", long(999_999))
def test_equals_stepping_for_a_million_steps(twin: Twin) -> None:
    """Not one of a million values differs from stepping."""
    assert_same_columns(twin.columns(1_000_000), step_real(twin, 1_000_000))


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
                assert_same_columns({name: window}, {name: values[start:stop]})


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
            assert_same_columns({"lr": values}, {"lr": expected})
