"""What a run should have applied, for any update, and what its log says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from scheduler.audit.logs.logged import Series, Steps
from scheduler.fields import Values
from scheduler.schedule import Schedule
from scheduler.spec import Spec
from scheduler.table import Table

Beyond = Literal["hold", "formula"]
Places: TypeAlias = np.ndarray[Any, np.dtype[np.intp]] | slice
"""Indices of a log's values, or all of them from one on."""
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Planned:
    """One column of a table, as a function of the update.

    Args:
        rows: the column's values, shape [rows].
        schedule: the schedule that they were computed from, where it is known and each update has a row.
        progress_per_update: units of the table's axis that an update makes.
        stride: units of progress per row.
    """

    rows: Values
    schedule: Schedule | None = None
    progress_per_update: int = 1
    stride: int = 1

    @classmethod
    def of(cls, table: Table, column: str, per_step: int = 1) -> Planned:
        """The column of a table; `per_step` is how many units of its axis an update makes."""
        spec: Spec | None = table.spec
        schedule = None
        if spec is not None and per_step == table.stride:
            planned, own = spec.plan().get(column, (None, ""))
            schedule = planned if own == "lr" else None
        return cls(table.columns[column], schedule, per_step, table.stride)

    @property
    def updates(self) -> int:
        """Number of updates that have a row of their own."""
        return -(-len(self.rows) * self.stride // self.progress_per_update)

    def at(self, updates: Steps, beyond: Beyond = "hold") -> Values:
        """The rates of updates, shape [n]; below 0 NaN. Past the end the last one, or what the formula goes on with."""
        index = updates * self.progress_per_update // self.stride
        rates = self.rows[np.clip(index, 0, len(self.rows) - 1)]
        rates = np.where(updates < 0, np.nan, rates)
        is_past = index >= len(self.rows)
        if beyond == "formula" and self.schedule is not None and is_past.any():
            rates[is_past] = schedule_at(self.schedule, index[is_past])
        return rates


def schedule_at(schedule: Schedule, steps: Steps) -> Values:
    """The rates of a schedule at single steps, shape [n]; those that it refuses are NaN."""
    rates = np.full(len(steps), np.nan)
    if len(steps) == 0:
        return rates
    first, last = int(steps.min()), int(steps.max())
    if last - first < _DENSE * len(steps):
        every = np.empty(last - first + 1)
        try:
            schedule.fill(every, first)
            return every[steps - first]
        except (ValueError, IndexError):  # past the end of a schedule of a library that raises there
            pass
    for index, step in enumerate(steps.tolist()):
        try:
            schedule.fill(rates[index : index + 1], step)
        except (ValueError, IndexError):  # the same
            rates[index] = np.nan
    return rates


_LONG = 40  # rates of a log of which not all are looked at for each hypothesis
_TRIED_FIRST, _MOST_TELLING = 16, 256
_DENSE = 64  # rows that are computed at once in the time of one alone


@dataclass(frozen=True)
class Observed:
    """A column of a log beside the updates that it speaks of.

    Args:
        series: the column.
        offset: at step s the rate of update s + offset is logged.
    """

    series: Series
    offset: int = 0

    @property
    def values(self) -> Values:
        """The logged rates, shape [n]."""
        return self.series.values

    @cached_property
    def updates(self) -> Steps:
        """The update that each rate is of, shape [n]."""
        return self.series.steps + self.offset

    @cached_property
    def bounds(self) -> tuple[Values, Values]:
        """The least and the largest rate that each logged one may stand for."""
        return self.series.precision.bounds(self.values)

    @cached_property
    def _telling(self) -> list[int]:
        """Indices that a hypothesis is tried at first: some of all, and each at which one was wrong."""
        found: list[int] = np.unique(np.linspace(0, len(self.values) - 1, _TRIED_FIRST).round().astype(int)).tolist()
        return found

    def rates_that_explain(self, rates: Callable[[Places], Values], begin: int = 0) -> Values | None:
        """The rates of a hypothesis for the values from index `begin` on, where they explain all of them.

        A long log is looked at in a few places first, so that most hypotheses cost no more than those.

        Args:
            rates: the rates that the hypothesis has for values at these indices.
            begin: the first index.
        """
        some = self.telling(begin)
        if some is not None and not self.agrees_at(some, rates(some)):
            return None
        found = rates(slice(begin, None))
        return found if self.explained(found, begin) else None

    def telling(self, begin: int = 0) -> Places | None:
        """Indices from `begin` on at which a hypothesis is to be tried first; None where the log is short."""
        if len(self.values) - begin <= _LONG:
            return None
        return np.array([index for index in self._telling if index >= begin], dtype=np.intp)

    def agrees_at(self, places: Places, rates: Values) -> bool:
        """Whether rates at these indices round to what was logged there."""
        low, high = self.bounds
        return bool(((low[places] <= rates) & (rates <= high[places])).all())

    def agrees(self, rates: Values, begin: int = 0) -> Flags:
        """Whether each of the rates, for the values from index `begin` on, rounds to what was logged."""
        low, high = self.bounds
        found: Flags = (low[begin:] <= rates) & (rates <= high[begin:])
        return found

    def explained(self, rates: Values, begin: int = 0) -> bool:
        """Whether all of them do. The first that does not is one of the telling ones from then on."""
        agrees = self.agrees(rates, begin)
        if agrees.all():
            return True
        if len(self._telling) < _MOST_TELLING:
            self._telling.append(begin + int(np.argmin(agrees)))
        return False
