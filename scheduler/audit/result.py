"""What an audit finds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scheduler.audit.diseases import Disease
from scheduler.audit.fit.best import Fit
from scheduler.audit.logs.logged import Steps
from scheduler.fields import Values
from scheduler.schedule import Schedule

Verdict = Literal["equal", "rounding", "differs"]
"""How a log compares with its table."""
_SEVERITY: Sequence[Verdict] = ("differs", "rounding", "equal")


@dataclass(frozen=True)
class Deviation:
    """A logged rate beside the planned one.

    Args:
        step: the step, as it is logged.
        logged: the rate in the log.
        planned: the rate of the table in the same update; NaN where it has none.
    """

    step: int
    logged: float
    planned: float

    @property
    def size(self) -> float:
        """The difference, at least 0; infinite where one of the two is no number."""
        size = abs(self.logged - self.planned)
        return math.inf if math.isnan(size) else size


@dataclass(frozen=True)
class ColumnAudit:
    """The audit of one column.

    Args:
        name: the column in the log.
        planned_name: the column of the table.
        verdict: `equal` at the log's precision; `rounding`: apart by at most 1e-12 of the largest rate; `differs`.
        precision: the log's precision, in words.
        offset: at step s the rate of update s + offset is logged.
        steps: the steps, as logged; shape [n].
        logged: the logged rates, shape [n].
        planned: the planned rates of the same updates, shape [n].
        differing: how many of them differ.
        first_wrong: the first that differs, in the order of the log; None where none does.
        largest: the largest deviation; None where every bit is equal.
        diseases: what explains all logged rates, the simplest; several where they explain it equally.
        is_inferred: whether the offset is known from the steps alone, and not from what wrote the log.
        is_ambiguous: whether it is so, and the steps are also those of a loop that counts from 0 and began to log late.
    """

    name: str
    planned_name: str
    verdict: Verdict
    precision: str
    offset: int
    steps: Steps = field(repr=False, compare=False)
    logged: Values = field(repr=False, compare=False)
    planned: Values = field(repr=False, compare=False)
    differing: int
    first_wrong: Deviation | None
    largest: Deviation | None
    diseases: tuple[Disease, ...]
    is_inferred: bool = False
    is_ambiguous: bool = False


@dataclass(frozen=True)
class Audit:
    """What a log says of the rates that a run applied.

    Args:
        source: what wrote the log, in words.
        columns: the audit of each column, one at least.
        text: the findings in a few lines.
    """

    source: str
    columns: tuple[ColumnAudit, ...]
    text: str = field(repr=False)

    @property
    def worst(self) -> ColumnAudit:
        """The column with the worst verdict, of several the one that goes wrong first."""
        return min(self.columns, key=lambda column: (_SEVERITY.index(column.verdict), _first_step(column)))

    @property
    def verdict(self) -> Verdict:
        """`equal`, `rounding` or `differs`: that of the worst column."""
        return self.worst.verdict

    @property
    def first_wrong_step(self) -> int | None:
        """The step of the first logged rate that differs from the plan; None where none does."""
        first = self.worst.first_wrong
        return None if first is None else first.step

    @property
    def disease(self) -> str | None:
        """The known disease that explains the log; several, joined by " or ", where they do so equally; else None."""
        return " or ".join(disease.name for disease in self.worst.diseases) or None

    def to_dict(self) -> dict[str, Any]:
        """The findings as JSON data, without the rates."""
        return {
            "verdict": self.verdict,
            "first_wrong_step": self.first_wrong_step,
            "disease": self.disease,
            "source": self.source,
            "columns": [_column(column) for column in self.columns],
        }


@dataclass(frozen=True)
class ColumnFit:
    """The schedule that one column of a log followed.

    Args:
        name: the column in the log.
        precision: the log's precision, in words.
        offset: at step s the rate of update s + offset is logged.
        steps: the steps, as logged; shape [n].
        logged: the logged rates, shape [n].
        fit: the best fit; None where no schedule was found, as for rates that are no numbers.
    """

    name: str
    precision: str
    offset: int
    steps: Steps = field(repr=False, compare=False)
    logged: Values = field(repr=False, compare=False)
    fit: Fit | None


@dataclass(frozen=True)
class Identified:
    """The schedules that a run really followed, found from its log alone.

    Args:
        source: what wrote the log, in words.
        columns: each column, one at least.
        text: the findings in a few lines.
    """

    source: str
    columns: tuple[ColumnFit, ...]
    text: str = field(repr=False)

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of the first column; None where none was found."""
        return None if self.columns[0].fit is None else self.columns[0].fit.schedule

    @property
    def is_exact(self) -> bool:
        """Whether every logged rate of every column is that of its schedule, at the log's precision."""
        return all(column.fit is not None and column.fit.is_exact for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """The findings as JSON data."""
        return {
            "exact": self.is_exact,
            "source": self.source,
            "columns": [_identified(found) for found in self.columns],
        }


def _identified(column: ColumnFit) -> dict[str, Any]:
    fit = column.fit
    return {
        "name": column.name,
        "precision": column.precision,
        "offset": column.offset,
        "rates": len(column.logged),
        "schedule": None if fit is None else fit.schedule.to_dict(),
        "exact": fit is not None and fit.is_exact,
        "largest_deviation": None if fit is None else {"step": fit.step, "size": _jsonable(fit.largest_deviation)},
    }


def _jsonable(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _first_step(column: ColumnAudit) -> int:
    return 0 if column.first_wrong is None else column.first_wrong.step


def _column(column: ColumnAudit) -> dict[str, Any]:
    return {
        "name": column.name,
        "planned": column.planned_name,
        "verdict": column.verdict,
        "precision": column.precision,
        "offset": column.offset,
        "rates": len(column.logged),
        "differing": column.differing,
        "first_wrong": _deviation(column.first_wrong),
        "largest_deviation": _deviation(column.largest),
        "diseases": [
            {"name": disease.name, "detail": disease.detail, "parameters": dict(disease.parameters)}
            for disease in column.diseases
        ],
    }


def _deviation(found: Deviation | None) -> Mapping[str, Any] | None:
    if found is None:
        return None
    numbers = {"logged": found.logged, "planned": found.planned, "size": found.size}
    return {"step": found.step} | {
        name: value if math.isfinite(value) else str(value) for name, value in numbers.items()
    }
