"""Nothing legal fails while it is computed: there is a table, or a `TableError` that says which value is none.

The suite draws a few schedules of each kind; LRTABLES_CASES=10000 draws so many.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, ScheduleError, Spec, Table, TableError
from scheduler.builtin import ExponentialLR
from scheduler.compose import Clamp, Constant, Cycle, Maximum, PerEpoch, Product, Ramp, Scale, Sequence, Shift, Splice
from scheduler.named_tables import UnresolvedError
from scheduler.numerics.rates import first_bad_rate
from tests.support.schedules.strategies import schedules

CASES = int(os.environ.get("LRTABLES_CASES", "12"))
ROWS = 300

WRAPPED: list[Callable[[Schedule, int], Schedule]] = [
    lambda part, at: part,
    lambda part, at: Sequence([part, Ramp("previous", 0.1, 7, "cosine")], [at]),
    lambda part, at: Sequence([Constant(0.1), part, Constant("previous"), Constant(0.5)], [3, at, 2]),
    lambda part, at: Splice(part, at, Sequence([Constant("previous"), Ramp("previous", 0.0, 5)], [at])),
    lambda part, at: Product([part, Scale(part, 1e6)]),
    lambda part, at: Maximum([Shift(part, at), Clamp(PerEpoch(part, 3))]),
    lambda part, at: Cycle(part, max(at, 1), amplitude=0.5, floor=0.1, peak=0.2),
]


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(data=st.data())
@settings(max_examples=CASES, suppress_health_check=list(HealthCheck), deadline=None)
def test_every_legal_spec_has_a_table_or_a_reason(kind: str, data: st.DataObject) -> None:
    """Whatever the parameters, and whatever part follows, the values are rates or the first that is none is named."""
    part = data.draw(schedules(kind, rates_only=False))
    wrap, at = data.draw(st.sampled_from(WRAPPED)), data.draw(st.integers(0, ROWS))
    try:
        schedule = wrap(part, at)
        spec = Spec(schedule=schedule, total_steps=min(schedule.end or ROWS, ROWS))
    except ScheduleError:  # a product of two parts that both drive momentum is none
        return
    outcome = _outcome(spec)
    if isinstance(outcome, Table):
        # DeepSpeed's OneCycle lets the betas decay without a bound, as the library does
        unbounded = ("beta1", "beta2") if any(each.kind == "deepspeed.OneCycle" for each in schedule.walk()) else ()
        columns = outcome.columns.items()
        assert all(first_bad_rate(np.asarray(column)) is None for name, column in columns if name not in unbounded)
        assert all(np.isfinite(column).all() for _, column in columns)
    else:
        assert "at step" in outcome
    spec.warnings()


def _outcome(spec: Spec) -> Table | str:
    try:
        return spec.table()
    except (TableError, UnresolvedError) as error:
        return str(error).replace("has not been looked up", "at step 0")  # no table is given to those that name one


def test_a_part_that_leaves_the_floats_warns_of_nothing() -> None:
    """Growth within a composite may pass the largest float64 where the whole stays a rate: no warning, right values."""
    grows = ExponentialLR(1e-5, 370.0)
    clamped = Clamp(grows, high=0.5)
    window = np.empty(200)
    clamped.fill(window)
    assert window.tolist() == clamped.values(200).tolist()
    assert window[-1] == 0.5
    grows.fill(window)
    assert np.isinf(window[-1])
