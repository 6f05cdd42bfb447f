"""The laws of a schedule, for every kind there is."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, Spec, parse
from scheduler.fields import Values
from tests.support.schedules.strategies import MAX_STEPS, schedules

ALL = sorted(KINDS)
OURS = {kind for kind in ALL if kind.startswith("custom.") or "." not in kind}
LENGTHS = st.integers(0, 2 * MAX_STEPS)

relaxed = settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def bits(values: Values) -> list[int]:
    """The values as integers, so that equal means equal to the last bit."""
    return np.asarray(values).view(np.int64).tolist()  # type: ignore[no-any-return]  # tolist is Any


@pytest.mark.parametrize("kind", ALL)
@given(data=st.data())
@relaxed
def test_values_are_one_finite_float64_per_step_whatever_is_computed_beside_them(
    kind: str, data: st.DataObject
) -> None:
    """values(n) is a new read-only float64 array [n], finite, and its parts are what is computed of them alone.

    Its prefixes equal values(m) and its windows fill(out, start) bit for bit, in every column. Far past the schedule's
    span the values are finite, too. Boundaries are sorted, distinct steps, the first and the last among them. None of
    our own kinds makes a rate below zero, which climbs; a library's own schedule may.
    """
    schedule, n = data.draw(schedules(kind)), data.draw(LENGTHS)
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    values = schedule.values(n)
    assert values.shape == (n,)
    assert values.dtype == np.float64
    assert not values.flags.writeable
    assert values is not schedule.values(n)
    assert (values >= 0).all() or not OURS.issuperset(part.kind for part in schedule.walk())
    assert bits(values[:stop]) == bits(schedule.values(stop))
    for name, column in schedule.columns(n).items():
        assert np.isfinite(column).all(), name
        window = np.empty(stop - start)
        schedule.fill(window, start, column=name)
        assert bits(window) == bits(column[start:stop]), name
    if n:
        boundaries = schedule.boundaries(n)
        assert boundaries == sorted(set(boundaries))
        assert (boundaries[0], boundaries[-1]) == (0, n - 1)
    if not any(part.kind.startswith("torch.") for part in schedule.walk()):  # those would step there one by one
        far = np.empty(n)
        schedule.fill(far, data.draw(st.sampled_from([10**6, 10**9])))
        assert np.isfinite(far).all()


@pytest.mark.parametrize("kind", ALL)
@given(data=st.data())
@relaxed
@pytest.mark.filterwarnings("ignore::scheduler.ScheduleWarning")
def test_get_lr_equals_the_value_of_its_step(kind: str, data: st.DataObject) -> None:
    """get_lr(step) equals values(step + 1)[step] bit for bit, in a loop and out of order."""
    schedule, n = data.draw(schedules(kind)), data.draw(st.integers(1, 300))
    steps = [*range(n), *data.draw(st.lists(st.integers(0, 2 * MAX_STEPS), max_size=5))]
    values = schedule.values(max(steps) + 1)
    got = [schedule.get_lr(step) for step in steps]
    assert {type(lr) for lr in got} == {float}
    assert bits(np.array(got)) == bits(values[steps])


@pytest.mark.parametrize("kind", ALL)
@given(data=st.data())
@relaxed
def test_schedule_and_identity_are_kept(kind: str, data: st.DataObject) -> None:
    """JSON and back gives an equal schedule with the same spec id, as do copying and pickling after use.

    So does JSON that leaves a default away, or writes 1 for 1.0.
    """
    schedule = data.draw(schedules(kind))
    schedule.get_lr(0)
    spec_id = Spec(schedule=schedule, total_steps=1).id
    written = schedule.to_dict()
    again = parse(json.dumps(written))
    for other in (again, copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):  # our own bytes
        assert other == schedule
        assert hash(other) == hash(schedule)
        assert Spec(schedule=other, total_steps=1).id == spec_id
    short = {key: _as_integer(value) for key, value in written.items() if not _is_default(schedule, key, value)}
    assert Spec(schedule=parse({**short, "kind": kind}), total_steps=1).id == spec_id


def _is_default(schedule: Schedule, name: str, value: Any) -> bool:
    field = type(schedule).__dataclass_fields__[name]  # type: ignore[attr-defined]  # every kind is a dataclass
    return bool(field.default == value) and type(field.default) is type(value)


def _as_integer(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.mark.parametrize("kind", ALL)
def test_the_docstring_says_what_people_need(kind: str) -> None:
    """Every kind documents its formula, its first step and its source, in sentences."""
    text = KINDS[kind].__doc__ or ""
    for words in (("Step 0", "step 0"), ("Source",), ("Formula", "·")):
        assert any(word in text for word in words), f"{kind} does not say its {words[0]}"


@pytest.mark.parametrize("kind", ALL)
def test_unknown_fields_are_refused_by_name(kind: str) -> None:
    """A misspelt parameter is an error that names it, never ignored."""
    with pytest.raises(ValueError, match="warmupsteps"):
        parse({"kind": kind, "warmupsteps": 3})
