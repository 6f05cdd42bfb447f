"""Whether one table may take another's place in the middle of a training."""

from __future__ import annotations

from scheduler import Table
from scheduler.table import check_table
from scheduler.texts import abbreviate
from scheduler.views.table_difference import table_difference


def check_replacement(old: Table, new: Table, progress: int, from_step: int | None = None) -> None:
    """Raise `ValueError` unless the new table repeats every row of the old one that has been applied.

    Args:
        old: the table in force.
        new: the table to go on with.
        progress: of the training, in units of the axis; the rows before it have been applied.
        from_step: the first row in which the tables may differ; without it, the row of `progress`.
    """
    check_table(new)
    for name in ("columns", "axis", "stride"):
        mine, theirs = ([*each] if name == "columns" else each for each in (getattr(old, name), getattr(new, name)))
        if mine != theirs:
            raise ValueError(f"the new table must have the old one's {name}, {mine}, got {theirs}")
    row = -(-progress // old.stride)  # a row in the middle of its stride has been applied in part
    if row > old.total_steps and old.digest != new.digest:
        end = old.total_steps * old.stride
        raise ValueError(f"{old.axis} {progress} is past the end of the table, {end}: it is too late for another one")
    if from_step is not None and (type(from_step) is not int or from_step < row):
        raise ValueError(f"from_step must be a row from {row}, the present position, got {abbreviate(from_step)}")
    difference = table_difference(old, new, row if from_step is None else from_step)
    if difference is not None:
        where = "has been applied" if difference.row < row else f"is before from_step, {from_step}"
        raise ValueError(
            f"the tables differ in a row that {where}: {difference} (table {old.digest[:12]} and "
            f"{new.digest[:12]}). Going on with the new one takes a restart from a checkpoint at or before that row"
        )
