"""Work in proportion: what it costs to read a spec, and what lies between two looks at whether to stop."""

from __future__ import annotations

import itertools
from contextlib import suppress
from random import Random

import numpy as np
import pytest

from scheduler import KINDS, Schedule, Spec
from scheduler.builtin import ChainedScheduler, CosineAnnealingLR, ExponentialLR, OneCycleLR, SequentialLR
from scheduler.compose import Constant, Cycle, PerEpoch, Ramp, Sequence, Shift, Splice
from scheduler.compose.base import MAX_DEPTH
from scheduler.named_tables import resolved
from scheduler.numerics import cancellation
from scheduler.numerics.cancellation import UNINTERRUPTED, cancellable
from scheduler.schedule import MAX_BOUNDARIES
from scheduler.table_format import TableError
from tests.support.calls import calls
from tests.support.schedules.edges import TABLES, legal

NESTED = MAX_DEPTH - 1
RAMP = '{"kind": "Ramp", "start": 0.1, "stop": 0.0, "length": 1}'

CALLS_PER_BYTE = 10
"""Python calls that reading a spec takes per byte of its JSON."""


def nested(outer: str, inner: str = RAMP) -> str:
    """The text of composites within each other, as deep as is legal; `{}` is the place of what is inside."""
    text = inner
    for level in range(NESTED):
        text = outer.replace("LEVEL", str(2**level)).replace("{}", text)
    return f'{{"schedule": {text}, "total_steps": 1}}'


def many_cycles(growth: int, count: int) -> str:
    """The text of so many cycles."""
    cycle = f'"kind": "Cycle", "schedule": {RAMP}, "length": 9, "growth": {growth}, "count": {count}'
    return f'{{"schedule": {{{cycle}}}, "total_steps": 1}}'


def read(text: str) -> None:
    """All that a server does with a spec before it computes."""
    spec = Spec.model_validate_json(text)
    assert spec.id
    assert spec.plan()
    spec.warnings()


DEEP = {
    "growing cycles": '{"kind": "Cycle", "schedule": {}, "length": LEVEL, "growth": 2}',
    "even cycles": '{"kind": "Cycle", "schedule": {}, "length": LEVEL, "count": 10000000000}',
    "epochs": '{"kind": "PerEpoch", "schedule": {}, "steps_per_epoch": 1}',
    "shifts": '{"kind": "Shift", "schedule": {}, "offset": -1}',
    "sequences": '{"kind": "Sequence", "schedules": [{}, {"kind": "Constant", "value": "previous"}], "lengths": [1]}',
    "splices": '{"kind": "Splice", "schedule": {}, "at": 3, "tail": {"kind": "Constant", "value": "previous"}}',
    "products": '{"kind": "Product", "schedules": [{}, {"kind": "Constant", "value": 1}]}',
}


@pytest.mark.parametrize("outer", DEEP.values(), ids=DEEP)
def test_reading_nested_composites_takes_work_in_proportion_to_the_text(outer: str) -> None:
    """Sixteen levels of any composite are read in a few calls per byte, and few boundaries are listed."""
    text = nested(outer)
    read(text)  # what is made once per process is made
    assert calls(lambda: read(text)) < CALLS_PER_BYTE * len(text)
    schedule = Spec.model_validate_json(text).schedules[0]
    assert calls(lambda: schedule.boundaries(10**9)) < 20 * MAX_BOUNDARIES * NESTED
    assert len(schedule.boundaries(10**9)) <= MAX_BOUNDARIES + 2


@pytest.mark.parametrize("start", [0, 10**10 - 100])
@pytest.mark.parametrize("outer", DEEP.values(), ids=DEEP)
def test_nested_composites_are_computed_in_proportion_to_their_rows(outer: str, start: int) -> None:
    """A window of sixteen levels takes a bounded number of calls per level and row, at its start and far out."""
    schedule = Spec.model_validate_json(nested(outer)).schedules[0]
    window = np.empty(100)
    assert calls(lambda: schedule.fill(window, start)) < 50 * NESTED * len(window)
    assert np.isfinite(window).all()


@pytest.mark.parametrize("growth", [1, 2, 10])
def test_the_number_of_cycles_costs_nothing(growth: int) -> None:
    """Ten billion cycles are read and placed with the work of fifty, growing or not."""
    few, many = many_cycles(growth, 50), many_cycles(growth, 10**10)
    read(many)  # what is remembered from a first reading on costs no other one
    assert calls(lambda: read(many)) <= calls(lambda: read(few)) + 100


@pytest.mark.parametrize("growth", [1, 2, 3, 10])
@pytest.mark.parametrize("count", [1, 2, 7, 9])
def test_the_end_of_cycles_is_the_sum_of_their_lengths(growth: int, count: int) -> None:
    """The closed form is the sum."""
    cycle = Cycle(Constant(1.0), 13, count=count, growth=growth)
    assert cycle.end == sum(13 * growth**i for i in range(count))


def test_nested_epochs_look_as_often_at_every_level() -> None:
    """Fifteen levels of one epoch per step are asked in every window whether to stop, not at their start alone."""
    schedule = Spec.model_validate_json(nested(DEEP["epochs"])).schedules[0]
    looks = itertools.count()
    with cancellable(lambda: next(looks) < 0):
        schedule.fill(np.empty(3 * UNINTERRUPTED))
    assert next(looks) >= 3 * NESTED


def test_a_growing_cycle_reaches_every_step() -> None:
    """Whatever cycles are accepted, no step fails: the last cycle within reach may be far longer than the reach."""
    for length in (1, 9, 10, 11, 10**9):
        schedule = Cycle(Ramp(0.1, 0.01, length), length, growth=10)
        for outer in (schedule, Cycle(schedule, length, growth=10)):
            value = np.empty(1)
            outer.fill(value, 10**10)
            assert 0.01 <= value[0] <= 0.1


def test_members_at_once_times_milestones_are_bounded() -> None:
    """torch composites within composites are refused where following them would take more than their text is worth."""
    series = SequentialLR([ExponentialLR(0.1, 0.9)] * 100, list(range(1, 100)))
    apart = [SequentialLR([ExponentialLR(0.1, 0.9)] * 100, list(range(i, 99 * 41, 41))) for i in range(1, 41)]
    assert ChainedScheduler([series] * 40).end is None
    with pytest.raises(ValueError, match="must be at most 100000"):
        ChainedScheduler(apart)


def test_what_torch_members_read_from_each_other_is_looked_up_once() -> None:
    """Each milestone costs the same, however many members write their rates into the optimizer's group."""
    cycle = OneCycleLR(0.1, 1000, cycle_momentum=False)
    other = OneCycleLR(0.2, 1000, cycle_momentum=False)
    steps = SequentialLR([ExponentialLR(0.1, 1.0)] * 100, list(range(1, 100)))

    def make() -> None:
        ChainedScheduler([cycle, other, steps])

    make()
    assert calls(make) < 100 * (3 + 100) * 3


@pytest.mark.parametrize(
    "schedule",
    [
        PerEpoch(PerEpoch(PerEpoch(Constant(0.1), 1), 2), 1),
        Shift(Sequence([Constant(0.1)], []), 5),
        Ramp(0.1, 0.0, 10**8, "cosine"),
        Splice(Constant(0.1), 3_000_000, Ramp("previous", 0.0, 10**7)),
        CosineAnnealingLR(0.1, 1000),
    ],
    ids=lambda schedule: schedule.kind,
)
def test_a_long_computation_looks_often_whether_to_stop(schedule: Schedule) -> None:
    """Two looks are at most 2^20 steps apart."""
    rows, looks = 4 * UNINTERRUPTED, itertools.count()
    with cancellable(lambda: next(looks) < 0):
        schedule.fill(np.empty(rows))
    assert next(looks) >= rows // UNINTERRUPTED


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_looks_whether_to_stop(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks no kind fills more steps than `UNINTERRUPTED`, and the looks change no bit."""
    random = Random(kind)
    with resolved(TABLES):
        for schedule in [legal(kind, random, depth=2) for _ in range(5)]:
            for column in schedule.column_names:
                with suppress(TableError):  # a "previous" beyond every rate
                    _looks_often(schedule, column, monkeypatch)


def _looks_often(schedule: Schedule, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, looked, looks = np.empty(1000), np.empty(1000), itertools.count()
    with np.errstate(over="ignore", invalid="ignore"):  # growth may leave the range of rates
        schedule.fill(whole, column=column)
        with monkeypatch.context() as patch, cancellable(lambda: next(looks) < 0):
            patch.setattr(cancellation, "UNINTERRUPTED", 100)
            schedule.fill(looked, column=column)
    assert next(looks) >= 10
    assert looked.tobytes() == whole.tobytes()
