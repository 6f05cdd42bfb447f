"""The laws of amendments, for schedules and tails of every kind: what is kept, what is new, and how deep it gets."""

from __future__ import annotations

from hypothesis import assume, given, reject
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, ScheduleError, Spec, TableError
from scheduler.amendments import Amendment, Cooldown, Extend, Hold, NewTail, Rescale, Rewind, amend, parse_amendment
from scheduler.compose import Constant, Ramp, Sequence
from scheduler.compose.base import MAX_DEPTH
from scheduler.numerics.shapes import Shape
from tests.support.schedules.amended_arrays import amended_arrays, arrays, next_value
from tests.support.schedules.bits import assert_same_bits, assert_same_columns
from tests.support.schedules.strategies import schedules

LONGEST = 300
SHAPES: tuple[Shape, ...] = ("linear", "cosine", "1-sqrt", "rex", "tanh")
STEPS = st.integers(0, LONGEST)
ANY = st.sampled_from(sorted(KINDS)).flatmap(schedules)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Specs of one schedule of any kind, as long as its rows can be kept in a composite."""
    schedule = draw(ANY)
    assume(schedule.depth <= MAX_DEPTH - 6)
    ends = [end for end in (schedule.end, schedule.over) if end is not None]
    return Spec(schedule=schedule, total_steps=draw(st.integers(1, min([LONGEST, *ends]))))


def tails(columns: tuple[str, ...]) -> st.SearchStrategy[Schedule]:
    """Tails that drive no columns but these, some of which start from the rate that would have come next."""
    ramps = st.builds(
        Ramp, st.just("previous"), st.floats(0.0, 1.0), st.integers(0, 80), st.sampled_from(SHAPES)
    )  # fmt: skip
    sequences = st.builds(
        lambda first, then, length: Sequence([first, then, Constant("previous")], [length, 10]),
        ramps,
        ANY,
        st.integers(0, 20),
    )
    drawn = st.one_of(st.just(Constant("previous")), ramps, sequences, ANY)
    return drawn.filter(lambda tail: set(tail.column_names) <= set(columns))


@st.composite
def amendments(draw: st.DrawFn, spec: Spec, at: st.SearchStrategy[int] | None = None) -> Amendment:
    """Amendments of a spec with one schedule, from any of its steps on; every template, factors powers of 2."""
    inside = st.integers(0, spec.total_steps - 1)
    step = draw(inside if at is None else at)
    template = draw(st.sampled_from(["tail", "rewind", "cooldown", "extend", "hold", "scale"]))
    match template:
        case "cooldown":
            length, shape = draw(st.integers(1, 80)), draw(st.sampled_from(SHAPES))
            return Cooldown(from_step=step, length=length, rate=draw(st.floats(0.0, 1.0)), shape=shape)
        case "extend":
            return Extend(from_step=step, total_steps=spec.total_steps + draw(st.integers(1, 50)))
        case "hold":
            return Hold(from_step=step)
        case "scale":
            return Rescale(from_step=step, factor=draw(st.sampled_from([0.25, 0.5, 2.0])))
    assert isinstance(spec.schedule, Schedule)
    tail = draw(tails(spec.schedule.column_names))
    total = step + draw(st.integers(1, min(tail.end or LONGEST, LONGEST)))
    made = NewTail if template == "tail" else Rewind
    return made(from_step=step, tail=tail, total_steps=total)


def amended(spec: Spec, amendment: Amendment) -> Spec:
    """The amended spec; an example whose product of rates leaves the range of rates is not one."""
    try:
        new = amend(spec, amendment)
        new.table()
    except ScheduleError as error:
        assume("1000000000000" not in str(error))
        raise
    except TableError:  # the same
        reject()
        raise
    return new


@given(st.data())
def test_an_amended_table_is_the_spliced_arrays(data: st.DataObject) -> None:
    """Rows before the step keep their bits in every column; the others are the tail's, the old ones, or a product."""
    spec = data.draw(specs())
    amendment = data.draw(amendments(spec))
    new, old = amended(spec, amendment), arrays(spec)
    assert_same_columns(arrays(new), amended_arrays(spec, old, amendment))
    for name, values in old.items():
        kept = min(amendment.from_step, len(values))
        assert_same_bits(arrays(new)[name][:kept], values[:kept], name)
    assert (new.axis, new.stride, new.after) == (spec.axis, spec.stride, spec.after)
    assert Spec.model_validate_json(new.canonical()).id == new.id


@given(st.data())
def test_amending_again_and_again_splices_the_arrays_again_and_again(data: st.DataObject) -> None:
    """Any number of amendments, at earlier and later steps, gives the arrays of the model, and no deep nesting."""
    spec = data.draw(specs())
    assert isinstance(spec.schedule, Schedule)
    expected, deepest = arrays(spec), spec.schedule.depth
    for _ in range(data.draw(st.integers(2, 6))):
        amendment = data.draw(amendments(spec))
        if isinstance(amendment, NewTail | Rewind):
            assert isinstance(amendment.tail, Schedule)
            deepest = max(deepest, amendment.tail.depth)
        expected = amended_arrays(spec, expected, amendment)
        spec = amended(spec, amendment)
        assert_same_columns(arrays(spec), expected)
        assert isinstance(spec.schedule, Schedule)
        assert spec.schedule.depth <= deepest + 3


@given(st.data())
def test_the_tail_has_the_rows_of_the_tail_alone(data: st.DataObject) -> None:
    """What stands from the step on is the tail computed alone, from the rate that would have come next."""
    spec = data.draw(specs())
    assert isinstance(spec.schedule, Schedule)
    step = data.draw(st.integers(0, spec.total_steps))
    tail = data.draw(tails(spec.schedule.column_names))
    rows = data.draw(st.integers(1, min(tail.end or LONGEST, tail.over or LONGEST, LONGEST)))
    new = amended(spec, NewTail(from_step=step, tail=tail, total_steps=step + rows))
    alone = tail.after(next_value(spec, arrays(spec), step)).columns(rows)
    for name, values in alone.items():
        assert_same_bits(arrays(new)[name][step:], values, name)


@given(st.data(), st.floats(1e-3, 1e3))
def test_the_first_scaling_is_a_product(data: st.DataObject, factor: float) -> None:
    """Every row from the step on is the factor times the old one, bit for bit, and other columns are as they were."""
    spec = data.draw(specs())
    step = data.draw(st.integers(0, spec.total_steps - 1))
    new, old = arrays(amended(spec, Rescale(from_step=step, factor=factor))), arrays(spec)
    if isinstance(spec.schedule, Schedule) and not any(part.kind == "Scale" for part in spec.schedule.walk()):
        assert_same_bits(new["lr"][step:], old["lr"][step:] * factor)
    for name in old.keys() - {"lr"}:
        assert_same_bits(new[name], old[name], name)


@given(st.data())
def test_an_amendment_survives_json(data: st.DataObject) -> None:
    """An amendment's JSON is read as an equal one."""
    amendment = data.draw(amendments(data.draw(specs())))
    assert parse_amendment(amendment.model_dump_json()) == amendment
    assert parse_amendment(amendment.model_dump(mode="json")) == amendment
    assert parse_amendment(amendment) is amendment
