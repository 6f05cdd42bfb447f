"""The rows of an imported schedule where nobody says how many: as many as it takes to hold the last for ever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.importing.configurations import BadFileError
from scheduler.schedule import Schedule

_LOOKED_AT = 1_000_000  # steps past the stated ones at most
_ASK = "--steps (total_steps) must be given"


def length(schedules: Sequence[Schedule], asked: int | None, position: int = 0) -> tuple[int, str]:
    """The rows of a table of these schedules, and why so many.

    Args:
        schedules: one for each parameter group, or the only one.
        asked: what the user says.
        position: steps that were taken already.

    Raises `BadFileError` where the schedules have no length, go on changing after it, or have passed it.
    """
    steps, why = (asked, "as asked") if asked is not None else _own(schedules)
    if position > steps:
        given = f"got {asked}" if asked is not None else f"where this schedule, by itself, has {steps}: give it"
        raise BadFileError(f"--steps (total_steps) must be at least the scheduler's position {position}, {given}")
    return steps, why


def _own(schedules: Sequence[Schedule]) -> tuple[int, str]:
    ends = [schedule.end for schedule in schedules if schedule.end is not None]
    if ends:
        return min(ends), "where the schedule ends"
    steps = max((schedule.stated_steps or 0 for schedule in schedules), default=0)
    if not steps:
        raise BadFileError(f"{_ASK}: the schedule has no end, and the file no length")
    for schedule in schedules:
        _check_held(schedule, steps)
    return steps, "the steps that the schedule is made for"


def _check_held(schedule: Schedule, steps: int) -> None:
    """Raise `BadFileError` where a later row differs from the last one, unless those steps are the training's."""
    if hasattr(schedule, "total_num_steps"):  # DeepSpeed's name of all steps of a training
        return
    looked_at = min(2 * steps + 1000, _LOOKED_AT)
    columns = {name: np.empty(1 + looked_at) for name in schedule.column_names}
    schedule.fill_columns(columns, steps - 1)
    for column, values in columns.items():
        held = values[0]
        if (changed := np.flatnonzero(values != held)).size:
            after = int(changed[0])
            raise BadFileError(
                f"{_ASK}: this {schedule.kind} names {steps} steps, and its {column} still changes after them, from "
                f"{float(held)!r} at step {steps - 1} to {float(values[after])!r} at step {steps - 1 + after}"
            )
