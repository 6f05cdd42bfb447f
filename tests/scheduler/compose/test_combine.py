"""Composition: what each composite makes of its parts."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, Spec, Table, TableError, parse
from scheduler.builtin import LinearLR
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
from scheduler.compose.base import MAX_DEPTH
from scheduler.compose.literal import Literal
from scheduler.custom import CosineAnnealingWarmRestarts, ExponentialCyclicLR, LinearWarmup, OneCycleLR, WarmupWithDecay
from scheduler.named_tables import UnresolvedError, resolved
from tests.support.campaign import cases
from tests.support.schedules.strategies import schedules

STEPS = Literal([1.0, 2.0, 3.0])

# (schedule, its first values), worked out by hand
CASES: list[tuple[Schedule, list[float]]] = [
    (Constant(0.5), [0.5, 0.5]),
    (STEPS, [1, 2, 3, 3, 3]),
    (Ramp(1.0, 0.0, 4), [1, 0.75, 0.5, 0.25, 0, 0]),
    (Sequence([STEPS, Constant(9.0)], [2]), [1, 2, 9, 9]),
    (Sequence([STEPS, STEPS, STEPS], [2, 1, 5]), [1, 2, 1, 1, 2, 3, 3, 3]),
    (Sequence([STEPS, Ramp("previous", 0.0, 2)], [1, 2]), [1, 2, 1, 0]),
    (Sequence([Constant(0.5), Constant("previous")], [1, 1]), [0.5, 0.5]),
    (Product([STEPS, Constant(2.0), STEPS]), [2, 8, 18]),
    (Sum([STEPS, Constant(2.0)]), [3, 4, 5]),
    (Minimum([STEPS, Constant(2.0)]), [1, 2, 2]),
    (Maximum([STEPS, Constant(2.0)]), [2, 2, 3]),
    (Scale(STEPS, 0.5), [0.5, 1, 1.5]),
    (Clamp(STEPS, 1.5, 2.5), [1.5, 2, 2.5]),
    (PerEpoch(STEPS, 2), [1, 1, 2, 2, 3, 3, 3]),
    (Shift(STEPS, 1), [2, 3, 3]),
    (Shift(STEPS, -2), [1, 1, 1, 2, 3]),
    (Shift(ExponentialCyclicLR(1.0, 1.0, 4), -5), [1]),
    (Cycle(STEPS, 2), [1, 2, 1, 2, 1]),
    (Cycle(STEPS, 2, count=2), [1, 2, 1, 2, 3, 3]),
    (Cycle(STEPS, 2, amplitude=0.5), [1, 2, 0.5, 1, 0.25, 0.5]),
    (Cycle(Ramp(1.0, 0.0, 2), 2, growth=2), [1, 0.5, 1, 0.75, 0.5, 0.25, 1, 0.875]),
    (Cycle(Ramp(1.0, 0.0, 2), 2, growth=2, amplitude=0.5), [1, 0.5, 0.5, 0.375, 0.25, 0.125, 0.25]),
    (Splice(STEPS, 1, Constant(9.0)), [1, 9, 9]),
    (Splice(STEPS, 1, Ramp("previous", 0.0, 2)), [1, 2, 1, 0]),
    (Splice(STEPS, 1, Sequence([Ramp("previous", 0.0, 2), Constant(5.0)], [1])), [1, 2, 5]),
]


@pytest.mark.parametrize(("schedule", "values"), CASES, ids=[f"{n}-{case.kind}" for n, (case, _) in enumerate(CASES)])
def test_values_by_hand(schedule: Schedule, values: list[float]) -> None:
    """Each composite makes of small parts exactly the numbers that one works out by hand, also through JSON."""
    assert schedule.values(len(values)).tolist() == values
    assert parse(json.dumps(schedule.to_dict())).values(len(values)).tolist() == values


def test_cycle_of_a_cosine_is_sgdr() -> None:
    """Cycle(growth=t_mult) of a cosine ramp is the user's CosineAnnealingWarmRestarts, bit for bit."""
    sgdr = CosineAnnealingWarmRestarts(0.1, 1e-5, 100, t_mult=2)
    assert Cycle(Ramp(0.1, 1e-5, 100, "cosine"), 100, growth=2).values(5000).tobytes() == sgdr.values(5000).tobytes()


def test_warmup_and_decay_are_one_sequence() -> None:
    """The guide's Pattern 1 is one expression: a custom warmup, then a cosine, bit for bit WarmupWithDecay."""
    both = Sequence([LinearWarmup(5e-4, 100), Ramp(5e-4, 1e-6, 900, "cosine")], [100, 900])
    assert both.values(1000).tobytes() == WarmupWithDecay(5e-4, 100, 1000, 1e-6).values(1000).tobytes()


def test_cooling_down_now_starts_from_the_rate_that_would_have_come() -> None:
    """A Splice with "previous" joins without a jump: its tail starts from the schedule's own value at the cut."""
    base = WarmupWithDecay(5e-4, 100, 1000)
    cooled = Splice(base, 600, Ramp("previous", 0.0, 50, "1-sqrt"))
    assert cooled.values(601).tobytes() == base.values(601).tobytes()
    assert cooled.end is None
    assert cooled.get_lr(650) == 0.0


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        (Sequence([STEPS, STEPS], [2, 5]), 7),
        (Sequence([STEPS, STEPS], [2]), 5),
        (Sequence([STEPS, Constant(1.0)], [2]), None),
        (Product([STEPS, OneCycleLR(0.1, 10)]), 10),
        (Product([STEPS, Constant(1.0)]), None),
        (PerEpoch(STEPS, 4), 12),
        (Shift(STEPS, -4), 7),
        (Shift(STEPS, 9), 1),
        (Cycle(Constant(1.0), 5), None),
        (Cycle(Constant(1.0), 5, count=3, growth=2), 35),
        (Splice(Constant(1.0), 5, STEPS), 8),
    ],
    ids=str,
)
def test_end(schedule: Schedule, end: int | None) -> None:
    """A composite ends where its last part does, in its own steps."""
    assert schedule.end == end


def nested(depth: int) -> Schedule:
    """A composition of a given depth."""
    schedule: Schedule = Constant(1.0)
    for _ in range(depth - 1):
        schedule = Scale(schedule, 1.0)
    return schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: Sequence([STEPS], [1, 2]), "one fewer, got 2 for 1", id="lengths-more"),
        pytest.param(lambda: Sequence([STEPS, STEPS, STEPS], [1]), "one fewer, got 1 for 3", id="lengths-fewer"),
        pytest.param(lambda: Sequence([], []), "schedules", id="no-parts"),
        pytest.param(lambda: Scale(Ramp("previous", 0.0, 5), 2.0), "nothing goes before", id="previous-in-scale"),
        pytest.param(lambda: Splice(Constant("previous"), 5, STEPS), "nothing goes before", id="previous-first"),
        pytest.param(lambda: Clamp(STEPS, 2.0, 1.0), "low must be <= high, got 2.0 > 1.0", id="clamp"),
        pytest.param(lambda: Cycle(LinearWarmup(0.1, 5), 5, growth=2), "cannot be scaled in time", id="time-scaled"),
        pytest.param(lambda: Cycle(STEPS, 5, amplitude=1.5), "amplitude", id="amplitude"),
        pytest.param(lambda: nested(MAX_DEPTH + 1), "at most 16 deep, got 17", id="depth"),
        pytest.param(lambda: Literal(), "got neither", id="literal-neither"),
        pytest.param(lambda: Literal([1.0], "0" * 64), "got both", id="literal-both"),
        pytest.param(lambda: Literal([float("nan")]), "given", id="literal-nan"),
        pytest.param(lambda: Literal(digest="../x"), "digest", id="literal-digest"),
        pytest.param(lambda: Literal(digest="0" * 64, column="\ud800"), "column", id="literal-surrogate"),
        pytest.param(lambda: Literal(digest="0" * 64, column="lr.01"), "column", id="literal-column"),
        pytest.param(lambda: Ramp("previous", 0.1, 5, "geometric"), "number for the shape geometric", id="no-number"),
        pytest.param(lambda: Ramp("previous", 0.0, 5).values(3), "nothing goes before it", id="previous-alone"),
        pytest.param(lambda: Constant("previous").get_lr(3), "nothing goes before it", id="previous-constant"),
        pytest.param(
            lambda: Spec(schedule=Ramp("previous", 0.0, 5), total_steps=3), "nothing goes before", id="previous-spec"
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], object], message: str) -> None:
    """A composition that makes no sense is an error that says which part."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_bad_part_is_named_by_its_place() -> None:
    """An error deep in a composition says where: the list index and the field."""
    data = {
        "kind": "Sequence",
        "lengths": [1],
        "schedules": [{"kind": "Scale", "factor": 1, "schedule": {"kind": "Ramp"}}],
    }
    with pytest.raises(ValueError, match=r"Sequence: schedules\[0\]\.schedule\.start is missing"):
        parse(data)


def test_a_product_that_leaves_the_floats_is_refused() -> None:
    """Products of huge rates that overflow are an error with the step, not a table of infinities."""
    huge = Product([Constant(1e6)] * 60)
    with pytest.raises(TableError, match="'lr' must be finite, got inf at step 0"):
        Table.compute(Spec(schedule=huge, total_steps=3))


@pytest.mark.parametrize("kind", [Minimum, Maximum])
def test_of_equal_values_the_right_one_is_taken(kind: type[Minimum | Maximum]) -> None:
    """0.0 and -0.0 are equal, and have other bytes: which one is there depends on the order, on no processor."""
    below, above = LinearLR(0.0, 0.1, 0.0, 354), Constant(0.0)  # torch's rate is -0.0 from step 354 on
    for steps in (360, 1000):
        signs = [np.signbit(kind(parts).values(steps)) for parts in ([above, below], [below, above])]
        assert [int(sign.sum()) for sign in signs] == [steps - 354, 0]


def test_a_table_named_by_digest_is_looked_up() -> None:
    """A Literal by digest has the values of that table as long as that is given, none before and none after."""
    table = Table({"lr": [0.5, 0.25]})
    schedule = Scale(Literal(digest=table.digest), 2.0)
    for _ in range(2):
        with pytest.raises(UnresolvedError, match=rf"{table.digest} of this Literal has not been looked up"):
            schedule.values(2)
        assert schedule.end is None
        with resolved({table.digest: table}):
            assert schedule.values(3).tolist() == [1.0, 0.5, 0.5]
            assert schedule.end == 2
            with pytest.raises(UnresolvedError, match="has no column 'momentum'"):
                Literal(digest=table.digest, column="momentum").values(1)


COMPOSITES = sorted(kind for kind in KINDS if "." not in kind)
ANY = st.sampled_from(COMPOSITES).flatmap(lambda kind: schedules(kind, depth=3))


def _check(schedule: Schedule, seen: dict[str, bytes], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 200))
    start = data.draw(st.integers(0, n - 1))
    values = schedule.values(n)
    window = np.empty(n - start)
    schedule.fill(window, start)
    assert window.tobytes() == values[start:].tobytes()
    again = parse(json.dumps(schedule.to_dict()))
    assert again == schedule
    if schedule.end is None or schedule.end >= n:
        spec = Spec(schedule=schedule, total_steps=n)
        assert Spec.model_validate_json(spec.canonical()).id == spec.id
        assert seen.setdefault(spec.id, values.tobytes()) == values.tobytes()


def _explore(examples: int) -> Callable[[], None]:
    seen: dict[str, bytes] = {}

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None)
    @given(schedule=ANY, data=st.data())
    def explore(schedule: Schedule, data: st.DataObject) -> None:
        _check(schedule, seen, data)

    return explore


def test_random_compositions_keep_the_laws() -> None:
    """Random compositions keep windows, JSON and identity; no two with different values share a spec id."""
    _explore(150)()


@pytest.mark.slow(12)
@pytest.mark.timeout(1200)
def test_many_random_compositions_keep_the_laws() -> None:
    """The same for 2,000 compositions, nested to depth 4."""
    _explore(cases(2000))()


def test_any_depth_up_to_the_limit() -> None:
    """Sixteen levels are fine."""
    assert nested(MAX_DEPTH).get_lr(0) == 1.0
