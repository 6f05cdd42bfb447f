"""What amendments mean, on arrays: the rows before the step as they are, others after it."""

from __future__ import annotations

import numpy as np

from scheduler import Schedule, Spec
from scheduler.amendments import Amendment, Cooldown, Extend, Hold, NewTail, Rescale, Rewind
from scheduler.compose import Constant, Ramp
from scheduler.fields import Values

Arrays = dict[str, Values]


def arrays(spec: Spec) -> Arrays:
    """The columns of a spec's table."""
    return dict(spec.table().columns)


def amended_arrays(spec: Spec, old: Arrays, amendment: Amendment) -> Arrays:
    """The columns after an amendment of a spec with one schedule and no other columns, whose arrays are `old`."""
    step = amendment.from_step
    match amendment:
        case Rescale():
            return {**old, "lr": np.concatenate([old["lr"][:step], old["lr"][step:] * amendment.factor])}
        case Extend():
            return _extended(spec, old, amendment)
        case Hold():
            tail: Schedule = Constant("previous")
            total = spec.total_steps
        case Cooldown():
            tail = Ramp("previous", amendment.rate, amendment.length, amendment.shape)
            total = step + amendment.length
        case NewTail() | Rewind():
            assert isinstance(amendment.tail, Schedule)
            tail = amendment.tail
            total = amendment.total_steps or (spec.total_steps if tail.end is None else step + tail.end)
    tail = tail.after(next_value(spec, old, step))
    return {name: _spliced(spec, values, name, step, tail, total - step) for name, values in old.items()}


def next_value(spec: Spec, old: Arrays, step: int, name: str = "lr") -> float:
    """The value that comes at a step, or would come after the last row; a rate rounded below 0 counts as 0."""
    assert isinstance(spec.schedule, Schedule)
    value = np.empty(1)
    if step < len(old[name]):
        value[0] = old[name][step]
    else:
        spec.schedule.fill_held(value, step, column=name)
    return max(float(value[0]), 0.0)


def _spliced(spec: Spec, old: Values, name: str, step: int, tail: Schedule, rows: int) -> Values:
    new = np.empty(rows)
    if name in tail.column_names:
        tail.fill_held(new, column=name)
    else:  # as an optimizer keeps it
        new[:] = old[step - 1] if step else old[0]
    return np.concatenate([old[:step], new])


def _extended(spec: Spec, old: Arrays, amendment: Extend) -> Arrays:
    step, more = amendment.from_step, amendment.total_steps - spec.total_steps
    new: Arrays = {}
    for name, values in old.items():
        kept = next_value(spec, old, step) if name == "lr" else values[step - 1] if step else values[0]
        new[name] = np.concatenate([values[:step], np.full(more, kept), values[step:]])
    return new
