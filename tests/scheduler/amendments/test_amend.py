"""Amended specs: values by hand, parameter groups, other columns, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scheduler import Schedule, ScheduleError, Spec, Table
from scheduler.amendments import (
    Amendment,
    Cooldown,
    Extend,
    Hold,
    NewTail,
    Rescale,
    Rewind,
    UnsplittableError,
    amend,
    spec_of_table,
)
from scheduler.builtin import OneCycleLR
from scheduler.compose import Constant, Literal, Ramp, Scale, Sequence, Shift, Splice
from scheduler.custom import WarmupWithDecay
from scheduler.libraries.transformers import Cosine
from scheduler.named_tables import resolved

RAMP = Ramp(8.0, 0.0, 8)  # 8, 7, ..., 1, 0, 0, ...


def spec_of(schedule: Schedule, total_steps: int = 8, **others: Any) -> Spec:
    """A spec of one schedule."""
    return Spec(schedule=schedule, total_steps=total_steps, **others)


@pytest.mark.parametrize(
    ("amendment", "values"),
    [
        (NewTail(from_step=3, tail=Constant(2.0)), [8, 7, 6, 2, 2, 2, 2, 2]),
        (NewTail(from_step=3, tail=Constant(2.0), total_steps=5), [8, 7, 6, 2, 2]),
        (NewTail(from_step=3, tail=Literal([3.0, 4.0])), [8, 7, 6, 3, 4]),
        (NewTail(from_step=3, tail=Ramp("previous", 0.0, 5)), [8, 7, 6, 5, 4, 3, 2, 1]),
        (NewTail(from_step=8, tail=Literal([3.0, 4.0])), [8, 7, 6, 5, 4, 3, 2, 1, 3, 4]),
        (NewTail(from_step=0, tail=Ramp("previous", 0.0, 2), total_steps=3), [8, 4, 0]),
        (Rewind(from_step=2, tail=Constant(2.0), total_steps=4), [8, 7, 2, 2]),
        (Cooldown(from_step=4, length=2), [8, 7, 6, 5, 4, 2]),
        (Cooldown(from_step=4, length=2, rate=2.0), [8, 7, 6, 5, 4, 3]),
        (Cooldown(from_step=4, length=2, rate=1.0, shape="geometric"), [8, 7, 6, 5, 4, 2]),
        (Extend(from_step=4, total_steps=11), [8, 7, 6, 5, 4, 4, 4, 4, 3, 2, 1]),
        (Extend(from_step=0, total_steps=10), [8, 8, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Extend(from_step=8, total_steps=10), [8, 7, 6, 5, 4, 3, 2, 1, 0, 0]),
        (Hold(from_step=5), [8, 7, 6, 5, 4, 3, 3, 3]),
        (Rescale(from_step=5, factor=0.5), [8, 7, 6, 5, 4, 1.5, 1, 0.5]),
    ],
    ids=str,
)
def test_values_by_hand(amendment: Amendment, values: list[float]) -> None:
    """Each template makes of a falling line exactly the numbers that one works out by hand."""
    assert amend(spec_of(RAMP), amendment).table().lr.tolist() == values


def test_an_amended_schedule_is_flat() -> None:
    """Tails are parts of one Sequence; an earlier amendment drops the later ones; a Splice is a Sequence, too."""
    once = amend(spec_of(RAMP), Hold(from_step=6))
    assert once.schedule == Sequence([RAMP, Constant("previous")], [6])
    twice = amend(once, Cooldown(from_step=7, length=3))
    assert twice.schedule == Sequence([RAMP, Constant("previous"), Ramp("previous", 0.0, 3)], [6, 1])
    back = amend(twice, Rewind(from_step=2, tail=Constant(1.0)))
    assert back.schedule == Sequence([RAMP, Constant(1.0)], [2])
    spliced = amend(spec_of(Splice(RAMP, 4, Constant(1.0))), Hold(from_step=6))
    assert spliced.schedule == Sequence([RAMP, Constant(1.0), Constant("previous")], [4, 2])
    flat = amend(spec_of(RAMP), NewTail(from_step=3, tail=Sequence([Constant("previous"), RAMP], [2])))
    assert flat.schedule == Sequence([RAMP, Constant("previous"), RAMP], [3, 2])


def test_scales_and_shifts_are_merged() -> None:
    """A part that is scaled or shifted again keeps one Scale and one Shift, and a constant neither."""
    spec = spec_of(Sequence([RAMP, Constant("previous")], [7]), 10)
    for step in (2, 4):
        spec = amend(spec, Rescale(from_step=step, factor=0.5))
    parts = [RAMP, Scale(Shift(RAMP, 2), 0.5), Scale(Shift(RAMP, 4), 0.25), Constant(0.25)]
    assert spec.schedule == Sequence(parts, [2, 2, 3])
    longer = amend(spec, Extend(from_step=6, total_steps=12))
    parts[3:] = [Constant("previous"), Scale(Shift(RAMP, 6), 0.25), Constant(0.25)]
    assert longer.schedule == Sequence(parts, [2, 2, 2, 2, 1])
    given = amend(spec_of(Literal([1.0, 2.0, 3.0, 4.0]), 4), Rescale(from_step=2, factor=2.0))
    assert given.schedule == Sequence([Literal([1.0, 2.0, 3.0]), Scale(Literal([3.0, 4.0]), 2.0)], [2])


def test_previous_is_the_rate_that_would_have_come_also_where_a_part_begins() -> None:
    """Where the step is a part's first, "previous" is that part's rate, not the end of the part before."""
    spec = spec_of(Sequence([RAMP, Constant(0.5)], [4]))
    assert amend(spec, Hold(from_step=4)).table().lr.tolist() == [8, 7, 6, 5, 0.5, 0.5, 0.5, 0.5]
    assert amend(spec, Hold(from_step=3)).table().lr.tolist() == [8, 7, 6, 5, 5, 5, 5, 5]


def test_every_parameter_group_is_amended() -> None:
    """One tail for all groups, or one for each; a scale keeps their ratios."""
    spec = Spec(schedule=[RAMP, Scale(RAMP, 2.0)], total_steps=8)
    held = amend(spec, Hold(from_step=6)).table().columns
    assert (held["lr.0"][6:].tolist(), held["lr.1"][6:].tolist()) == ([2, 2], [4, 4])
    tails = amend(spec, NewTail(from_step=6, tail=[Constant(1.0), Constant(3.0)])).table().columns
    assert (tails["lr.0"][6:].tolist(), tails["lr.1"][6:].tolist()) == ([1, 1], [3, 3])
    scaled = amend(spec, Rescale(from_step=6, factor=0.5)).table().columns
    assert (scaled["lr.0"][6:].tolist(), scaled["lr.1"][6:].tolist()) == ([1, 0.5], [2, 1])


def test_other_columns_are_kept_held_and_extended() -> None:
    """Other columns stay as they are, are held where the table grows past their end, and get the plateau, too."""
    decay = Literal([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    spec = spec_of(RAMP, columns={"weight_decay": decay}, axis="sample", stride=512, after="error")
    kept = amend(spec, Rescale(from_step=2, factor=0.5))
    assert kept.columns == spec.columns
    longer = amend(spec, Cooldown(from_step=6, length=4))
    assert longer.table().columns["weight_decay"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]
    extended = amend(spec, Extend(from_step=6, total_steps=11))
    assert extended.table().columns["weight_decay"].tolist() == [0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 7]
    for new in (kept, longer, extended):
        assert (new.axis, new.stride, new.after) == ("sample", 512, "error")


def test_momentum_is_kept_before_the_step_and_held_after_it() -> None:
    """A tail that does not drive the momentum leaves its last value; before its first turn nothing changes either."""
    cycle = OneCycleLR(0.1, 40)
    late = Sequence([Constant(0.1), cycle], [10])
    for base, step in [(cycle, 15), (late, 25), (late, 5), (late, 0)]:
        old = spec_of(base, 40).table().columns["momentum"]
        new = amend(spec_of(base, 40), Hold(from_step=step)).table().columns["momentum"]
        assert new[:step].tobytes() == old[:step].tobytes()
        assert set(new[step:].tolist()) == {old[max(step - 1, 0)]}
    other = amend(spec_of(late, 40), NewTail(from_step=5, tail=OneCycleLR(0.1, 30, max_momentum=0.5))).table()
    assert other.columns["momentum"][[4, 5]].tolist() == [0.95, 0.5]


def test_a_table_without_a_spec_is_amended_by_its_digest() -> None:
    """Published values get a spec that names their table; amended, it keeps every column's rows."""
    table = Table(
        {"lr.0": np.arange(6.0), "lr.1": np.arange(6.0) * 2, "weight_decay": np.arange(6.0) / 8},
        axis="token",
        stride=4,
        after="release",
    )
    spec = spec_of_table(table)
    assert spec == spec_of_table(table.layout, table.digest)
    with resolved({table.digest: table}):
        assert spec.table().digest == table.digest
    new = amend(spec, Cooldown(from_step=4, length=4))
    with resolved({table.digest: table}):
        assert amend(spec, Cooldown(from_step=4, length=4)) == new
        columns = Spec.model_validate_json(new.canonical()).table().columns
    assert columns["lr.0"].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert columns["lr.1"].tolist() == [0, 2, 4, 6, 8, 6, 4, 2]
    assert columns["weight_decay"].tolist() == [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.625, 0.625]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"weight_decay": [0.1]}, "a table must have learning rates to be amended, this one has weight_decay"),
        ({"lr.1": [0.1]}, "a table must have lr for every parameter group to be amended, got lr.1"),
    ],
)
def test_a_table_without_rates_cannot_be_amended(columns: dict[str, list[float]], message: str) -> None:
    """A table without a rate for every group has no spec here, and the error says so."""
    with pytest.raises(ValueError, match=message):
        spec_of_table(Table(columns))


GROUPS = Spec(schedule=[RAMP, RAMP], total_steps=8)
ENDING = spec_of(WarmupWithDecay(1.0, 2, 8))
AGAIN = spec_of(Cosine(0.1, 2, 6), 9)


@pytest.mark.parametrize(
    ("spec", "amendment", "message"),
    [
        (ENDING, Hold(from_step=8), "from_step must be <= 7 for a table of 8, got 8"),
        (ENDING, Cooldown(from_step=9, length=1), "from_step must be <= 8 for a table of 8, got 9"),
        (ENDING, Extend(from_step=3, total_steps=8), "total_steps must be > 8, the present number, got 8"),
        (ENDING, NewTail(from_step=8, tail=Constant(0.5)), r"total_steps must be > from_step \(8\), got 8"),
        (ENDING, NewTail(from_step=5, tail=RAMP, total_steps=5), r"total_steps must be > from_step \(5\), got 5"),
        (
            ENDING,
            NewTail(from_step=5, tail=Literal([1.0]), total_steps=9),
            "Spec: total_steps must be <= 6, where this Sequence ends, got 9",
        ),
        (ENDING, NewTail(from_step=5, tail=[RAMP]), "tail must be one schedule, as the spec has, not a list of 1"),
        (GROUPS, NewTail(from_step=5, tail=[RAMP]), "tail must have a schedule for each of 2 parameter groups, got 1"),
        (
            GROUPS,
            NewTail(from_step=5, tail=[Literal([1.0]), Literal([1.0, 2.0])]),
            r"total_steps is needed, because the tails end after \[1, 2\] steps",
        ),
        (
            ENDING,
            NewTail(from_step=5, tail=OneCycleLR(0.1, 9)),
            "tail must drive no other columns than the schedule before it, got momentum beside them",
        ),
        (ENDING, Cooldown(from_step=5, length=2, shape="geometric"), "a geometric ramp needs start and stop above 0"),
        (AGAIN, Hold(from_step=8), "from_step is not possible for this transformers.cosine, which is over at step 7"),
        (AGAIN, Rescale(from_step=2, factor=0.5), "which is over at step 7 and climbs again in 9 steps"),
    ],
)
def test_what_cannot_be_amended_is_refused(spec: Spec, amendment: Amendment, message: str) -> None:
    """A refusal names the field and its value."""
    with pytest.raises(ScheduleError, match=message):
        amend(spec, amendment)


def test_too_many_parts_are_refused() -> None:
    """Past a thousand parts the refusal says what to do."""
    full = spec_of(Sequence([Constant(1.0)] * 1000, [1] * 1000), 1000)
    message = "Amendment: from_step makes 1001 parts of a schedule, which has at most 1000: amend the table's own spec"
    with pytest.raises(UnsplittableError, match=message):
        amend(full, NewTail(from_step=1000, tail=Constant(2.0), total_steps=1001))
