"""The audit: logged rates beside the planned ones, where they part, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from scheduler.audit.diseases import diagnose
from scheduler.audit.fit.best import best_fit
from scheduler.audit.lengths import usual_interval
from scheduler.audit.logs.logged import MAX_STEP, Cells, LogError, RateLog, Series, Steps
from scheduler.audit.logs.rate_columns import rate_columns
from scheduler.audit.logs.readers import read_log
from scheduler.audit.planned import Flags, Observed, Planned
from scheduler.audit.result import Audit, ColumnAudit, ColumnFit, Deviation, Identified, Verdict
from scheduler.audit.wording import audit_text, fit_text
from scheduler.fields import Values
from scheduler.table import Table

_UNITS = ("sample", "token")  # axes on which an update makes more than one unit

Log = str | os.PathLike[str] | RateLog | tuple[ArrayLike, ArrayLike]
"""A file or folder of a trainer, a log that was read, or steps and rates as arrays."""


def audit(
    log: Log,
    table: Table,
    *,
    column: str | None = None,
    group: int | None = None,
    offset: int | None = None,
    per_step: int = 1,
) -> Audit:
    """Compare the rates that a run logged with its table.

    A logged rate agrees with a row if the row rounds to it at the log's precision, which is found in the log: float64,
    float32, or so many digits. Gaps, a late begin, and steps that are there twice after a resume are fine. Where rates
    differ, the known diseases are tried (see `scheduler.audit.diseases`).

    Args:
        log: a file or folder of a trainer (see `scheduler.audit.logs.readers`), or a pair of arrays: steps and rates.
        table: what the run should have applied.
        column: the column, tag or key of the log; None finds it by its usual names.
        group: the parameter group of a table with a column for each; None takes as many as the log has.
        offset: at step s the log has the rate of update s + offset. None: what the trainer does where it is known,
            else 0.
        per_step: units of the table's axis that an update makes, on the axes `sample` and `token`.

    Raises `LogError` (a `ValueError`) for a log that cannot be read, and where no rate is found in it or several may be
    it; `OSError` from the system; `ImportError` with what to install; `ValueError` for a group that the table lacks,
    and for `per_step` on another axis.
    """
    if per_step < 1:
        raise ValueError(f"per_step must be at least 1, got {per_step}")
    if per_step > MAX_STEP:
        raise ValueError(f"per_step must be at most {MAX_STEP:,}, got {per_step}")
    if per_step > 1 and table.axis not in _UNITS:
        raise ValueError(
            f"per_step {per_step}: it is for tables on the axes sample and token, this one's is {table.axis}"
        )
    if group is not None and "lr" in table.columns:
        raise ValueError(f"group {group}: the table has no groups, one column lr is for all")
    read = opened(log)
    names = rate_columns(read.columns, column, table.groups if group is None else None)
    columns = tuple(
        _audited(read, read.columns[name].series(name), planned, Planned.of(table, planned, per_step), offset)
        for name, planned in zip(names, _planned_names(table, len(names), group), strict=True)
    )
    return Audit(read.source, columns, audit_text(read.source, columns))


def identify(log: Log, *, column: str | None = None, offset: int | None = None) -> Identified:
    """Name the schedule that a run really followed, from its log alone.

    Of the kinds with a warmup, plateau, decay, levels or restarts that give every logged rate at the log's precision,
    the one with the fewest parameters is named, with the roundest numbers that do; else the one with the smallest
    deviation.

    Args and errors are those of `audit`.
    """
    read = opened(log)
    names = rate_columns(read.columns, column, None)
    is_of_transformers = "Hugging Face" in read.source
    series = [read.columns[name].series(name) for name in names]
    offsets = (_offsets(read, each, offset) for each in series)
    columns = tuple(_identified(*each, is_of_transformers) for each in zip(series, offsets, strict=True))
    return Identified(read.source, columns, fit_text(read.source, columns))


def _offsets(read: RateLog, series: Series, offset: int | None, updates: int | None = None) -> Sequence[int]:
    """The conventions that a healthy log may have, the usual one first; `updates`: how many the plan has."""
    if offset is not None:
        if abs(offset) > MAX_STEP:
            raise ValueError(f"offset must be from -{MAX_STEP:,} to {MAX_STEP:,}, got {offset}")
        return (offset,)
    if read.is_exact or -1 in read.offsets or not _may_count_from_1(series.steps, updates):
        return read.offsets
    return (*read.offsets, -1)


def _may_count_from_1(steps: Steps, updates: int | None) -> bool:
    """Whether a log begins or ends as that of a loop which counts from 1 does, and not as one that counts from 0.

    From 1, every step is logged from step 1 on, every tenth from step 10 on (beside the last one), and the plan's last
    update is the step of its length. From 0, the first update is step 0, and the last is one less than that length.
    """
    first, last, interval = int(steps.min()), int(steps.max()), usual_interval(steps)
    begins = first == 1 or (first == interval and not (steps[steps < last] % interval).any())
    return first > 0 and (begins or last == updates)


def _identified(series: Series, offsets: Sequence[int], is_of_transformers: bool) -> ColumnFit:
    """The simplest fit that gives every rate, under the first convention that has it, else the nearest."""
    found: list[ColumnFit] = []
    for offset in offsets:
        view = Observed(series, offset)
        fit = best_fit(view, for_transformers=is_of_transformers)
        found.append(ColumnFit(series.name, str(series.precision), offset, series.steps, series.values, fit))
    exact = [(column.fit.free, column) for column in found if column.fit is not None and column.fit.is_exact]
    if exact:
        return min(exact, key=lambda each: each[0])[1]
    return min(found, key=lambda column: np.inf if column.fit is None else column.fit.largest_deviation)


def opened(log: Log) -> RateLog:
    """The log, read where it is a path. Raises what `audit` raises of it."""
    if isinstance(log, RateLog):
        return log
    return read_log(log) if isinstance(log, (str, os.PathLike)) else _of_arrays(*log)


def _of_arrays(steps: ArrayLike, rates: ArrayLike) -> RateLog:
    counted, values = np.asarray(steps), np.asarray(rates)
    if counted.ndim != 1 or counted.shape != values.shape or not len(counted):
        shapes = f"{list(counted.shape)} and {list(values.shape)}"
        raise LogError(f"steps and rates must have one shape [n], n at least 1, got {shapes}")
    if counted.dtype.kind not in "iu" or values.dtype.kind not in "iuf":
        raise LogError(f"steps must be whole numbers and rates floats, got {counted.dtype} and {values.dtype}")
    words = [repr(value) for value in values.astype(np.float64).tolist()]
    return RateLog("arrays", {"lr": Cells(counted.tolist(), words)})


def _planned_names(table: Table, count: int, group: int | None) -> list[str]:
    """The table's column beside each of the log's."""
    if group is None and count == 1 and "lr" in table.columns:
        return ["lr"]
    wanted = range(count) if group is None else [group]
    names = ["lr" if "lr" in table.columns else f"lr.{number}" for number in wanted]
    if missing := [name for name in names if name not in table.columns]:
        raise ValueError(f"the table has no column {missing[0]}, only {', '.join(table.columns)}")
    return names


def _audited(read: RateLog, series: Series, name: str, planned: Planned, offset: int | None) -> ColumnAudit:
    """The audit under the first convention that the log agrees with, else that a disease explains, else the usual."""
    is_exact = read.is_exact
    views = [Observed(series, each) for each in _offsets(read, series, offset, planned.updates)]
    healthy = (view for view in views if view.explained(planned.at(view.updates)))
    if (view := next(healthy, None)) is not None:
        is_inferred = offset is None and view.offset not in read.offsets
        # from 1 alone, a log has both the first step and the last one: the plan's length
        is_whole = series.steps.min() == 1 and series.steps.max() == planned.updates
        found = _column(view, name, planned, is_exact, diseased=False)
        return replace(found, is_inferred=is_inferred, is_ambiguous=is_inferred and not is_whole)
    audits = [_column(view, name, planned, is_exact) for view in views]
    explained = [found for found in audits if found.diseases]
    return min(explained, key=lambda found: found.diseases[0].free, default=audits[0])


def _column(view: Observed, name: str, planned: Planned, is_exact: bool, *, diseased: bool = True) -> ColumnAudit:
    rates = planned.at(view.updates)
    is_wrong = ~view.agrees(rates)
    if is_exact:
        is_wrong = view.values != rates
    deviations = np.nan_to_num(np.abs(view.values - rates), nan=np.inf)
    differing = int(is_wrong.sum())
    return ColumnAudit(
        name=view.series.name,
        planned_name=name,
        verdict=_verdict(view, rates, is_wrong),
        precision=str(view.series.precision),
        offset=view.offset,
        steps=view.series.steps,
        logged=view.values,
        planned=rates,
        differing=differing,
        first_wrong=_deviation(view, rates, int(np.argmax(is_wrong))) if differing else None,
        largest=_deviation(view, rates, int(np.argmax(deviations))) if deviations.max() > 0 else None,
        diseases=diagnose(view, planned) if diseased else (),
    )


def _verdict(view: Observed, rates: Values, is_wrong: Flags) -> Verdict:
    if is_wrong.any():
        return "differs"
    is_double = view.series.precision.kind == "float64"
    return "rounding" if is_double and not np.array_equal(view.values, rates) else "equal"


def _deviation(view: Observed, rates: Values, index: int) -> Deviation:
    return Deviation(int(view.series.steps[index]), float(view.values[index]), float(rates[index]))
