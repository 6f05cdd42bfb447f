"""Any object with `get_lr(step)` as a table: computed once for all steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scheduler.fields import step_index
from scheduler.messages.warnings import warn_of
from scheduler.numerics.rates import first_bad_rate
from scheduler.schedule import Schedule
from scheduler.table import Table
from scheduler.table_format import TableError
from scheduler.texts import abbreviate


class CachedScheduler:
    """Any object with `get_lr(step)`, computed once for all steps and looked up ever after.

    Args:
        scheduler: an object with `get_lr(step)`; one of our schedules is computed as an array.
        total_steps: how many steps to compute, at least 1.

    `lrs` holds the rates (read-only floats, length total_steps); `table` is the same as a `Table`. `get_lr` past the
    last step raises `PastEndError` (an `IndexError`), except at `total_steps` itself, where the last rate is held.

    Warns (`ScheduleWarning`) of what is rarely meant, such as more steps than one of our schedules has. Raises
    `TypeError` where there is no `get_lr`, or where it gives no number (torch's schedulers give a list: `capture` takes
    those), and `TableError` where that is no learning rate (see `scheduler.numerics.rates`), both naming the step.
    """

    def __init__(self, scheduler: Any, total_steps: int) -> None:
        if isinstance(total_steps, bool) or step_index(total_steps, "total_steps") < 1:
            raise ValueError(f"total_steps must be at least 1, got {total_steps}")
        if isinstance(scheduler, Schedule):
            warn_of(scheduler.warnings(total_steps), stacklevel=3)
            values = scheduler.values(total_steps)
        else:
            _check_get_lr(scheduler)
            values = np.fromiter((_rate(scheduler, step) for step in range(total_steps)), np.float64, total_steps)
        if (step := first_bad_rate(values)) is not None:
            raise TableError(f"{_named(scheduler)} must give learning rates, got {values[step]} at step {step}")
        self._adopt(Table({"lr": values}, after="error"))

    def _adopt(self, table: Table) -> None:
        self.table = table
        self.lrs: memoryview = table.lr.data
        self.get_lr = table.get_lr

    def __getstate__(self) -> dict[str, Table]:
        """The state that can be copied and pickled: the table. Everything else is a view of it."""
        return {"table": self.table}

    def __setstate__(self, state: dict[str, Table]) -> None:
        self._adopt(state["table"])


def _check_get_lr(scheduler: Any) -> None:
    if not callable(getattr(scheduler, "get_lr", None)):
        raise TypeError(f"scheduler must be an object with get_lr(step), got {abbreviate(scheduler)}")


def _rate(scheduler: Any, step: int) -> float:
    """The number that an object's `get_lr` returns for a step. Raises `TypeError` for anything else."""
    try:
        value = scheduler.get_lr(step)
    except TypeError as error:
        if hasattr(getattr(scheduler, "optimizer", None), "param_groups"):
            raise TypeError(f"{_named(scheduler)} failed at step {step}: {error}; {_ADVICE}") from error
        raise
    if (number := _as_float(value)) is None:
        raise TypeError(f"{_named(scheduler)} must give numbers, got {abbreviate(value)} at step {step}; {_ADVICE}")
    return number


def _as_float(value: Any) -> float | None:
    """A number as a float, infinite where it is beyond those; None for what is none, text and truth values included."""
    if isinstance(value, (str, bytes, bool, np.bool_)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


_ADVICE = "a torch scheduler is taken by scheduler.capture(scheduler, total_steps)"


def _named(scheduler: Any) -> str:
    return f"{type(scheduler).__name__}.get_lr"
