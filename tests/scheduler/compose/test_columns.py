"""Compositions of schedules that drive several columns: what acts on time acts on all, what acts on values on lr."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from scheduler import KINDS, Schedule, ScheduleError, Spec, builtin
from scheduler.builtin import ChainedScheduler, ConstantLR, CyclicLR, ExponentialLR, OneCycleLR, SequentialLR
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
from scheduler.compose.base import Composite
from scheduler.libraries import deepspeed
from scheduler.numerics.pieces import BLOCK
from scheduler.schedule import Schedule as Base

STEPS = 40
PARTS: list[Schedule] = [
    OneCycleLR(0.1, 12),
    OneCycleLR(0.1, 30, three_phase=True, momentum_column="beta1", anneal_strategy="linear"),
    CyclicLR(0.01, 0.1, 4, 7),
    CyclicLR(0.01, 0.1, 3, mode="triangular2", momentum_column="beta1"),
    SequentialLR([ConstantLR(0.1, 0.5, 2), OneCycleLR(0.1, 25), ExponentialLR(0.1, 0.9)], [4, 14]),
    ChainedScheduler([CyclicLR(0.01, 0.1, 5), ExponentialLR(0.1, 0.9)]),
    deepspeed.OneCycle(0.01, 0.1, cycle_first_step_size=7, decay_step_size=5, decay_lr_rate=0.1),
]


class Law(NamedTuple):
    """A composite of one part, and what its columns are."""

    make: Callable[[Schedule], Schedule]
    step: Callable[[int], int]
    """Which of the part's steps each step shows, in the columns beside lr."""
    rate: Callable[[int, Callable[[int], float]], float]
    """The rate of a step, from the part's rates."""


LAWS: dict[str, Law] = {
    "Scale": Law(lambda part: Scale(part, 0.5), lambda t: t, lambda t, lr: lr(t) * 0.5),
    "Clamp": Law(lambda part: Clamp(part, 0.02, 0.05), lambda t: t, lambda t, lr: min(max(lr(t), 0.02), 0.05)),
    "Shift": Law(lambda part: Shift(part, 3), lambda t: t + 3, lambda t, lr: lr(t + 3)),
    "Shift-later": Law(lambda part: Shift(part, -3), lambda t: max(t - 3, 0), lambda t, lr: lr(max(t - 3, 0))),
    "PerEpoch": Law(lambda part: PerEpoch(part, 3), lambda t: t // 3, lambda t, lr: lr(t // 3)),
    "Cycle": Law(lambda part: Cycle(part, 5), lambda t: t % 5, lambda t, lr: lr(t % 5)),
    "Cycle-count": Law(
        lambda part: Cycle(part, 5, 2),
        lambda t: t if t < 5 else t - 5,
        lambda t, lr: lr(t if t < 5 else t - 5),
    ),
    "Cycle-amplitude": Law(
        lambda part: Cycle(part, 8, amplitude=0.5), lambda t: t % 8, lambda t, lr: lr(t % 8) * 0.5 ** (t // 8)
    ),
    "Cycle-growth": Law(
        lambda part: Cycle(PerEpoch(part, 2), 6, growth=2),
        lambda t: t // 2 if t < 6 else (t - 6) // 4 if t < 18 else (t - 18) // 8,
        lambda t, lr: lr(t // 2 if t < 6 else (t - 6) // 4 if t < 18 else (t - 18) // 8),
    ),
    "Sequence-first": Law(
        lambda part: Sequence([part, Constant(0.5)], [7]), lambda t: min(t, 6), lambda t, lr: lr(t) if t < 7 else 0.5
    ),
    "Sequence-last": Law(
        lambda part: Sequence([Constant(0.5), part], [7]),
        lambda t: max(t - 7, 0),
        lambda t, lr: 0.5 if t < 7 else lr(t - 7),
    ),
    "Sequence-twice": Law(
        lambda part: Sequence([part, Constant(0.5), part], [7, 3]),
        lambda t: min(t, 6) if t < 10 else t - 10,
        lambda t, lr: lr(t) if t < 7 else 0.5 if t < 10 else lr(t - 10),
    ),
    "Splice": Law(lambda part: Splice(part, 7, Constant("previous")), lambda t: min(t, 6), lambda t, lr: lr(min(t, 7))),
    "Splice-tail": Law(
        lambda part: Splice(Constant(0.5), 7, part), lambda t: max(t - 7, 0), lambda t, lr: 0.5 if t < 7 else lr(t - 7)
    ),
    "Splice-twice": Law(
        lambda part: Splice(part, 7, part), lambda t: t if t < 7 else t - 7, lambda t, lr: lr(t if t < 7 else t - 7)
    ),
    "Product": Law(lambda part: Product([Constant(0.5), part]), lambda t: t, lambda t, lr: 0.5 * lr(t)),
    "Sum": Law(lambda part: Sum([part, Constant(0.5)]), lambda t: t, lambda t, lr: lr(t) + 0.5),
    "Minimum": Law(lambda part: Minimum([part, Constant(0.05)]), lambda t: t, lambda t, lr: min(lr(t), 0.05)),
    "Maximum": Law(lambda part: Maximum([Constant(0.05), part]), lambda t: t, lambda t, lr: max(0.05, lr(t))),
}


def by_hand(part: Schedule, column: str) -> list[float]:
    """A column of a part, held from where it is over on."""
    known = STEPS + 10 if part.over is None else part.over
    values: list[float] = part.columns(known)[column].tolist()
    return values + values[-1:] * (STEPS + 10 - known)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("part", PARTS, ids=[f"{n}-{part.kind}" for n, part in enumerate(PARTS)])
def test_columns_are_those_of_the_part_taken_by_hand(part: Schedule, name: str) -> None:
    """Every column beside lr is the part's own at the step shown; the rate is what the composite makes of it."""
    law, others = LAWS[name], part.column_names[1:]
    columns = law.make(part).columns(STEPS)
    assert columns.keys() == {"lr", *others}
    for other in others:
        values = by_hand(part, other)
        assert columns[other].tolist() == [values[law.step(t)] for t in range(STEPS)]
    rates = by_hand(part, "lr")
    assert columns["lr"].tolist() == [law.rate(t, rates.__getitem__) for t in range(STEPS)]


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("part", PARTS, ids=[f"{n}-{part.kind}" for n, part in enumerate(PARTS)])
def test_a_window_of_a_column_is_a_slice_of_it(part: Schedule, name: str) -> None:
    """A column's value depends on the step alone, in compositions of compositions too."""
    whole = Scale(Shift(LAWS[name].make(part), 2), 2.0)
    for column, values in whole.columns(STEPS).items():
        for start, stop in [(0, 1), (3, 20), (11, 12), (STEPS - 1, STEPS)]:
            window = np.empty(stop - start)
            whole.fill(window, start, column=column)
            assert window.tolist() == values[start:stop].tolist()


def test_every_composite_has_a_law() -> None:
    """A composite without a law here, or a kind of several columns without a part, is noticed."""
    composites = {kind for kind, made in KINDS.items() if issubclass(made, Composite)}
    assert {name.partition("-")[0] for name in LAWS} == composites
    several = {kind for kind, made in KINDS.items() if made.column_names is not Base.column_names}
    assert {part.kind for part in PARTS} == several - composites


@pytest.mark.parametrize("part", PARTS, ids=[f"{n}-{part.kind}" for n, part in enumerate(PARTS)])
@pytest.mark.parametrize("length", [BLOCK + 5, 3])
def test_cycles_of_any_length_repeat_every_column(part: Schedule, length: int) -> None:
    """Short cycles, which are computed once, and long ones have the same momenta again and again."""
    values, column = Cycle(part, length).columns(2 * BLOCK + 20), part.column_names[1]
    assert values[column][length : length + 10].tolist() == values[column][np.arange(10) % length].tolist()
    assert values["lr"][length : length + 10].tolist() == values["lr"][np.arange(10) % length].tolist()


@pytest.mark.parametrize("factor", [1, 3])
def test_time_scaled_columns_are_the_same_over_more_steps(factor: int) -> None:
    """A composite scaled in time scales all its columns: each value lasts `factor` times as long."""
    epochs = PerEpoch(OneCycleLR(0.1, 12), 2)
    for made in (
        epochs,
        Scale(epochs, 0.5),
        Sequence([Constant(0.1), epochs, Constant("previous")], [4, 12]),
        Shift(epochs, 4),
        Product([epochs, Constant(0.5)]),
        Cycle(epochs, 6, 2, amplitude=0.5),
    ):
        short, long = made.columns(24), made.time_scaled(factor).columns(24 * factor)
        for column, values in short.items():
            assert long[column].tolist() == np.repeat(values, factor).tolist()


def test_what_is_not_driven_is_held_as_torch_leaves_it() -> None:
    """Before OneCycleLR's turn its first momentum holds, after it the last: what torch's SequentialLR does."""
    cycle = OneCycleLR(0.1, 10)
    ours = Sequence([Constant(0.1), cycle, Constant(0.1)], [5, 6])
    torchs = SequentialLR([ConstantLR(0.1, 1.0), cycle, ConstantLR(0.1, 1.0)], [5, 11])
    assert ours.columns(20)["momentum"].tolist() == torchs.columns(20)["momentum"].tolist()


def test_a_part_that_never_runs_leaves_no_momentum_behind() -> None:
    """The last momentum in force is held; before there is any, it is the first of the next part that drives it."""
    falling, other = CyclicLR(0.0, 0.1, 10), CyclicLR(0.0, 0.1, 10, base_momentum=0.1, max_momentum=0.2)
    after = Sequence([falling, other, Constant(0.1)], [5, 0]).columns(9)["momentum"]
    assert after[5:].tolist() == [falling.columns(5)["momentum"][4]] * 4
    before = Sequence([other, Constant(0.1), falling], [0, 2]).columns(3)["momentum"]
    assert before.tolist() == [0.9, 0.9, 0.9]
    assert Splice(other, 0, Constant(0.1)).columns(2)["momentum"].tolist() == [0.2, 0.2]


def test_previous_is_a_rate_and_the_momentum_is_held() -> None:
    """A ramp from "previous" starts from the rate that would have come next, beside the last momentum in force."""
    cycle = OneCycleLR(0.1, 20)
    spliced = Splice(cycle, 12, Ramp("previous", 0.0, 4)).columns(14)
    assert spliced["lr"][12] == cycle.get_lr(12)
    assert spliced["momentum"][12:].tolist() == [cycle.columns(12)["momentum"][11]] * 2


@pytest.mark.parametrize("kind", [Product, Sum, Minimum, Maximum])
def test_two_drivers_of_one_momentum_are_not_combined(kind: type[Schedule]) -> None:
    """Momenta have no product: where several parts drive one the composite is refused, with their places."""
    cycle, betas = OneCycleLR(0.1, 20), OneCycleLR(0.1, 20, momentum_column="beta1")
    with pytest.raises(ScheduleError, match=rf"by {kind.kind}: momentum must .* schedules\[0\] and schedules\[2\]"):
        kind([cycle, betas, Scale(cycle, 0.5)])  # type: ignore[call-arg]  # each takes its parts
    assert kind([cycle, betas]).column_names == ("lr", "momentum", "beta1")  # type: ignore[call-arg]  # the same


def test_a_spec_has_the_columns_of_a_composite() -> None:
    """A table of a composite has its momentum, for each group where there are several, and no other may name it."""
    schedule = Scale(OneCycleLR(0.1, 20), 0.5)
    table = Spec(schedule=[schedule, Shift(schedule, 2)], total_steps=10).table()
    assert list(table.columns) == ["lr.0", "lr.1", "momentum.0", "momentum.1"]
    assert table.columns["momentum.1"].tolist() == OneCycleLR(0.1, 20).columns(12)["momentum"][2:].tolist()
    with pytest.raises(ScheduleError, match="columns must not name 'momentum', which the schedule itself drives"):
        Spec(schedule=schedule, columns={"momentum": Constant(0.9)}, total_steps=10)


def test_a_column_of_a_single_rate_composite_is_refused() -> None:
    """A composite has the columns of its parts and no more."""
    with pytest.raises(KeyError, match="Scale has no column 'momentum', only lr"):
        Scale(builtin.StepLR(0.1, 3), 0.5).fill(np.empty(3), column="momentum")
