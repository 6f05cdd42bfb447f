"""An amended spec: another from a step on, and the same before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from scheduler.amendments.cut import Cut, delayed, scaled, tail_pieces
from scheduler.amendments.models import Amendment, Cooldown, Extend, Hold, Rescale, refusal
from scheduler.compose.curves import Constant, Ramp
from scheduler.compose.sequence import Sequence
from scheduler.messages.errors import ScheduleError
from scheduler.schedule import Schedule
from scheduler.spec import OneOrGroups, Spec

_Change = Callable[[Cut], Schedule]


def amend(spec: Spec, amendment: Amendment) -> Spec:
    """The spec whose table differs from that of `spec` from row `from_step` on, and has the same bits before it.

    An amended schedule is a `Sequence`. Amending it again edits its parts, so any number of amendments nests it at most
    three levels deeper than the schedule or tail that it is made of. Columns beside the rate that the schedule itself
    drives keep their last value where the new part does not drive them. The spec's other `columns` stay as they are;
    `extend` holds them as it does the rate, and in a longer table they are held at their end.

    Where a rate must be known, the rates until there are computed; a table that the schedule names by its digest must
    then be looked up (`scheduler.named_tables.resolved`).

    Raises `ScheduleError`, naming the field and its value: for a step past the table's end, a tail that drives other
    columns or is made for another number of parameter groups, a total that contradicts the tail's end, more than 1,000
    parts.
    """
    step = amendment.from_step
    inside = isinstance(amendment, Hold | Rescale)
    if step > spec.total_steps - inside:
        raise refusal("from_step", f"must be <= {spec.total_steps - inside} for a table of {spec.total_steps}", step)
    match amendment:
        case Cooldown():
            return _changed(spec, step, [partial(_cooled, amendment=amendment)], step + amendment.length)
        case Hold():
            return _changed(spec, step, [partial(_continued, tail=Constant("previous"))], spec.total_steps)
        case Rescale():
            return _changed(spec, step, [partial(_scaled, factor=amendment.factor)], spec.total_steps)
        case Extend():
            return _extended(spec, amendment)
    tails = _tails(spec, amendment.tail)
    total_steps = amendment.total_steps or _end(tails, step) or spec.total_steps
    return _changed(spec, step, [partial(_continued, tail=tail) for tail in tails], total_steps)


def _tails(spec: Spec, tail: OneOrGroups) -> list[Schedule]:
    """The tail for each schedule of the spec, or one for all of them."""
    if isinstance(tail, Schedule):
        return [tail]
    if isinstance(spec.schedule, Schedule):
        raise refusal("tail", f"must be one schedule, as the spec has, not a list of {len(tail)}")
    if len(tail) != len(spec.schedules):
        raise refusal("tail", f"must have a schedule for each of {len(spec.schedules)} parameter groups", len(tail))
    return list(tail)


def _end(tails: list[Schedule], step: int) -> int | None:
    """The number of rows of a table in which these tails end, or which they are made for; None where they have none."""
    ends = {steps for tail in tails if (steps := tail.end or tail.stated_steps) is not None}
    if len(ends) > 1:
        raise refusal("total_steps", f"is needed, because the tails end after {sorted(ends)} steps")
    return step + ends.pop() if ends else None


def _changed(spec: Spec, step: int, changes: list[_Change], total_steps: int) -> Spec:
    """The spec with its schedule changed from a step on: each group's by its own change, or all by one."""
    if total_steps <= step:
        raise refusal("total_steps", f"must be > from_step ({step})", total_steps)
    cuts = [Cut(schedule, step, spec.total_steps) for schedule in spec.schedules]
    several = changes if len(changes) == len(cuts) else changes * len(cuts)
    made = [change(cut) for change, cut in zip(several, cuts, strict=True)]
    columns = {
        name: _each(given, lambda schedule: _held(schedule, spec.total_steps, total_steps))
        for name, given in spec.columns.items()
    }
    return _remade(spec, made[0] if isinstance(spec.schedule, Schedule) else made, columns, total_steps)


def _extended(spec: Spec, amendment: Extend) -> Spec:
    more = amendment.total_steps - spec.total_steps
    if more <= 0:
        raise refusal("total_steps", f"must be > {spec.total_steps}, the present number", amendment.total_steps)

    def change(schedule: Schedule) -> Schedule:
        cut = Cut(schedule, amendment.from_step, spec.total_steps)
        rest = cut.rest()
        if not amendment.from_step:
            first, length = rest[0]
            return cut.joined([(delayed(first, more), None if length is None else length + more), *rest[1:]])
        return cut.joined([(cut.fed(Constant("previous")), more), *rest])

    columns = {name: _each(given, change) for name, given in spec.columns.items()}
    return _remade(spec, _each(spec.schedule, change), columns, amendment.total_steps)


def _continued(cut: Cut, tail: Schedule) -> Schedule:
    return cut.joined(tail_pieces(cut.fed(tail)))


def _cooled(cut: Cut, amendment: Cooldown) -> Schedule:
    known = amendment.shape in ("geometric", "inverse_sqrt")  # these must know the rate that they start from
    start: float | Literal["previous"] = cut.rate() if known else "previous"
    try:
        ramp = Ramp(start, amendment.rate, amendment.length, amendment.shape)
    except ScheduleError as error:
        raise _uncoolable(amendment, start, error) from error
    return _continued(cut, ramp)


def _uncoolable(amendment: Cooldown, start: object, error: ScheduleError) -> ScheduleError:
    """The error for a cool-down whose shape cannot lead to its rate; `error` is that of the ramp."""
    text = f"cannot be reached from {start} in the shape {amendment.shape} ({error})"
    return refusal("rate", text, amendment.rate)


def _scaled(cut: Cut, factor: float) -> Schedule:
    return cut.joined((scaled(part, factor), length) for part, length in cut.rest())


def _held(schedule: Schedule, old_steps: int, total_steps: int) -> Schedule:
    """The schedule of another column, held where a longer table goes on past its end.

    A table that it names by its digest ends where the old one did, whether or not it has been looked up here.
    """
    last = schedule.schedules[-1] if isinstance(schedule, Sequence) else schedule
    named = any(part.table_digest for part in last.walk())
    end = old_steps if named else schedule.end
    if end is None or end >= total_steps:
        return schedule
    cut = Cut(schedule, end, old_steps)
    return cut.joined([(cut.fed(Constant("previous")), None)])


def _each(given: OneOrGroups, change: Callable[[Schedule], Schedule]) -> OneOrGroups:
    return change(given) if isinstance(given, Schedule) else [change(schedule) for schedule in given]


def _remade(spec: Spec, schedule: OneOrGroups, columns: dict[str, OneOrGroups], total_steps: int) -> Spec:
    return Spec(
        schedule=schedule,
        columns=columns,
        total_steps=total_steps,
        axis=spec.axis,
        stride=spec.stride,
        after=spec.after,
    )
