"""What a TableLR can be made of."""

from __future__ import annotations

from torch.optim import Optimizer

from client.optimizer.scheduler_state import checked_progress
from scheduler import Schedule, Spec, Table
from scheduler.numerics.progress import MAX_PROGRESS
from scheduler.texts import abbreviate


def check_types(optimizer: object, table: object, relative: object, allow_other_table: object) -> None:
    """Raise `TypeError` for what no TableLR can be made of."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch optimizer, got {optimizer!r}")
    if not isinstance(table, Table | Schedule | Spec):
        raise TypeError(f"table must be a Table, a schedule or a Spec, got {abbreviate(table)}")
    if relative not in (None, True, False):
        raise TypeError(f"relative must be True or False, got {relative!r}")
    if not isinstance(allow_other_table, bool | Table):
        raise TypeError(f"allow_other_table must be True, False or the old Table, got {allow_other_table!r}")


def check_length(table: Table | Schedule | Spec, total_steps: object) -> None:
    """Raise `ValueError` for a length that the table or the spec does not have; a schedule may get any."""
    if total_steps is None or isinstance(table, Schedule) or total_steps == table.total_steps:
        return
    name, rows = "table" if isinstance(table, Table) else "spec", table.total_steps
    raise ValueError(f"total_steps is for a schedule: this {name} has {rows} rows, got {abbreviate(total_steps)}")


def first_progress(start: object, last_epoch: object, axis: str) -> int:
    """The progress to start from: `start`, or the one after `last_epoch`, as torch's schedulers have it.

    Raises `ValueError` for what is no position, and where both are given and contradict each other.
    """
    first = checked_progress(start, "start")
    if type(last_epoch) is not int or not -1 <= last_epoch < MAX_PROGRESS:
        raise ValueError(f"last_epoch must be a whole number from -1, got {abbreviate(last_epoch)}")
    if last_epoch == -1:
        return first
    if axis not in ("step", "epoch"):
        raise ValueError(f"last_epoch={last_epoch} says nothing about {axis}s: give start, the {axis}s so far")
    if first not in (0, last_epoch + 1):
        raise ValueError(f"last_epoch={last_epoch} starts at {last_epoch + 1}, and start={first} says otherwise")
    return last_epoch + 1


def units_per_update(per_step: object, axis: str) -> int | None:
    """The samples or tokens of an update. Raises `ValueError` for what is no number of them, or on another axis."""
    if per_step is None:
        return None
    if axis not in ("sample", "token"):
        raise ValueError(f"per_step is for tables that count samples or tokens, and this one counts {axis}s")
    if type(per_step) is not int or not 1 <= per_step <= MAX_PROGRESS:
        raise ValueError(f"per_step must be a whole number of {axis}s from 1, got {abbreviate(per_step)}")
    return per_step
