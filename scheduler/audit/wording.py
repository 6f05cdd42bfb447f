"""An audit in words, for a person at a terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from scheduler.audit.result import ColumnAudit, ColumnFit, Deviation
from scheduler.views.chart import number
from scheduler.views.summary import call

_AS_WRITTEN = {"float64": "float64, exact", "float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
_CONVENTIONS = {0: "step s has the rate of update s", -1: "step s has the rate of update s - 1, which was just made"}


def audit_text(source: str, columns: Sequence[ColumnAudit]) -> str:
    """The findings of all columns, a few lines each."""
    return "\n".join([source, *(line for column in columns for line in _lines(column))])


def fit_text(source: str, columns: Sequence[ColumnFit]) -> str:
    """The schedules of all columns, a few lines each."""
    return "\n".join([source, *(line for column in columns for line in _fit_lines(column))])


def _fit_lines(column: ColumnFit) -> Iterator[str]:
    yield _heading(column)
    fit = column.fit
    if fit is None:
        yield "no schedule was found: a rate is no number, or of an update before the first"
        return
    yield f"{'exactly' if fit.is_exact else 'nearest to'} {call(fit.schedule)}"
    if fit.largest_deviation:
        rounds = ", which rounds to what is logged" if fit.is_exact else ""
        yield f"largest deviation: {number(fit.largest_deviation)} at step {fit.step:,}{rounds}"
    else:
        yield "largest deviation: 0, every bit is equal"
    yield f"see it with: lrtables show {shlex.quote(json.dumps(fit.schedule.to_dict()))}"


def _heading(column: ColumnAudit | ColumnFit) -> str:
    first, last = int(column.steps.min()), int(column.steps.max())
    is_inferred = isinstance(column, ColumnAudit) and column.is_inferred
    counts = "it counts from 1: " if is_inferred or (first, column.offset) == (1, -1) else ""
    precision = _AS_WRITTEN.get(column.precision, f"rounded to {column.precision}")
    convention = counts + _convention(column.offset)
    return f"{column.name}: {_rates(column)} of steps {first:,} to {last:,}, {precision}; {convention}"


def _rates(column: ColumnAudit | ColumnFit) -> str:
    count = len(column.logged)
    return f"{count:,} rates" if count > 1 else "1 rate"


def _lines(column: ColumnAudit) -> Iterator[str]:
    yield _heading(column)
    if column.verdict == "equal":
        exact = ", every bit" if column.largest is None else " at that precision"
        yield f"equal to the table's {column.planned_name}{exact}"
    elif column.verdict == "rounding" and column.largest is not None:
        yield f"equal to the table's {column.planned_name} up to float64 rounding, at most {_size(column.largest)}"
    else:
        yield from _differences(column)
    if column.is_ambiguous:
        yield "if the loop counts from 0 after all, each rate arrived one update late: then say --offset 0"


def _differences(column: ColumnAudit) -> Iterator[str]:
    yield f"differs from the table's {column.planned_name} in {column.differing:,} of {_rates(column)}"
    if column.first_wrong is not None:
        yield f"first wrong: {_values(column.first_wrong)}"
    if column.largest is not None:
        yield f"largest deviation: {_size(column.largest)} at step {column.largest.step:,}"
    yield from _diseases(column)


def _diseases(column: ColumnAudit) -> Iterator[str]:
    if not column.diseases:
        yield "no known disease explains every logged rate"
    for index, disease in enumerate(column.diseases):
        begin = "looks like" if not index else "or, which explains it equally"
        yield f"{begin}: {disease.name}: {disease.detail}"
        if disease.name == "one step late" and column.offset == 0 and column.steps.min() > 0:
            yield "or the loop counts from 1, and all is well: then say --offset -1"


def _convention(offset: int) -> str:
    return _CONVENTIONS.get(offset, f"step s has the rate of update s {'+' if offset > 0 else '-'} {abs(offset)}")


def _values(found: Deviation) -> str:
    return f"step {found.step:,}, {found.logged!r} logged, {found.planned!r} planned"


def _size(found: Deviation) -> str:
    share = f" ({number(found.size / abs(found.planned))} of the planned rate)" if found.planned else ""
    return f"{number(found.size)}{share}"
