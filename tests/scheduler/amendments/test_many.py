"""Two hundred amendments of one run: right values, a small spec, no nesting, linear work."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from scheduler import Schedule, Spec
from scheduler.amendments import Amendment, Cooldown, Extend, Hold, NewTail, Rescale, Rewind, amend
from scheduler.compose import Constant, Ramp, Sequence
from scheduler.custom import WarmupWithDecay
from tests.support.schedules.amended_arrays import amended_arrays, arrays
from tests.support.schedules.bits import assert_same_columns

STEPS, MANY = 20_000, 200
MOST_BYTES = 500  # of JSON for one amendment


def amendments(number: int, total_steps: int) -> list[Amendment]:
    """Every template in turn, from one step to a later one, most of which a person would really ask for."""
    step = 1000 + 60 * number
    return [
        NewTail(from_step=step, tail=Ramp("previous", 2e-4, 500, "cosine"), total_steps=total_steps),
        Rescale(from_step=step, factor=0.5),
        Hold(from_step=step),
        Extend(from_step=step, total_steps=total_steps + 30),
        Rescale(from_step=step, factor=2.0),
        Rewind(from_step=step - 200, tail=Sequence([Constant("previous"), Ramp("previous", 1e-4, 900)], [50])),
        Cooldown(from_step=step, length=STEPS, rate=1e-5, shape="1-sqrt"),
    ]


def test_two_hundred_amendments_stay_right_small_and_flat() -> None:
    """The values are those of arrays spliced 200 times; bytes grow by a constant at most, and depth not at all."""
    spec = Spec(schedule=WarmupWithDecay(1e-3, 500, STEPS, 1e-5), total_steps=STEPS)
    expected, sizes = arrays(spec), [len(spec.canonical())]
    for number in range(MANY):
        every = amendments(number, spec.total_steps)
        amendment = every[number % len(every)]
        expected = amended_arrays(spec, expected, amendment)
        spec = amend(spec, amendment)
        sizes.append(len(spec.canonical()))
        assert isinstance(spec.schedule, Schedule)
        assert spec.schedule.depth <= 4
    assert_same_columns(arrays(spec), expected)
    assert max(after - before for before, after in pairwise(sizes)) <= MOST_BYTES


@pytest.mark.parametrize("factor", [0.5, None])
def test_the_work_grows_linearly_with_the_amendments(factor: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many amendments, each row is computed once, and at most two more rates for each part."""
    spec = Spec(schedule=WarmupWithDecay(1e-3, 500, STEPS, 1e-5), total_steps=STEPS)
    work = Counter[str]()
    for kind in (WarmupWithDecay, Ramp, Constant):
        _count(kind, work, monkeypatch)
    for number in range(MANY):
        step = 1000 + 60 * number
        change: Amendment = Rescale(from_step=step, factor=factor) if factor else Cooldown(from_step=step, length=9000)
        work.clear()
        spec = amend(spec, change)
        assert work["values"] <= 2 * (number + 2)  # none but single rates
        work.clear()
        spec.table()
        assert work["values"] <= spec.total_steps + 2 * (number + 2)
        assert work["calls"] <= 3 * (number + 2)


def _count(kind: Any, work: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Count how often, and for how many values, a kind is computed."""
    fill = kind._fill

    def counted(self: Schedule, out: np.ndarray[Any, Any], start: int, *column: str) -> None:
        work["calls"] += 1
        work["values"] += len(out)
        fill(self, out, start, *column)

    monkeypatch.setattr(kind, "_fill", counted)
