"""Logged and planned rates as tables of the same rows, to be drawn over one another."""

from __future__ import annotations

import numpy as np

from scheduler.audit.result import Audit, ColumnAudit
from scheduler.fields import Values
from scheduler.table import Table

MOST_ROWS = 10**7
"""Longest log, in updates, that is drawn."""


def drawn_tables(audit: Audit) -> tuple[Table, Table]:
    """The planned and the logged rates of the worst column, from update 0 to the last one that is logged.

    Between two logged steps the rate of the earlier one is held; before the first one, that one's. Raises `ValueError`
    for a log of more than `MOST_ROWS` updates, and for rates that no picture shows: none finite or below 0.
    """
    column = audit.worst
    last = int(column.steps.max()) + 1
    if last > MOST_ROWS:
        raise ValueError(f"a log of at most {MOST_ROWS:,} updates is drawn, got {last:,}")
    kept = np.isfinite(column.logged) & np.isfinite(column.planned)
    if not kept.any():
        raise ValueError(f"{column.name} has no finite rate to draw")
    return _held(column, column.planned, kept, last), _held(column, column.logged, kept, last)


def _held(column: ColumnAudit, values: Values, kept: np.ndarray[tuple[int], np.dtype[np.bool_]], last: int) -> Table:
    rows = np.full(last, -1, dtype=np.int64)
    rows[column.steps[kept]] = np.flatnonzero(kept)  # of a step that is there twice, what was logged last
    rows = np.maximum.accumulate(rows)
    rows[rows < 0] = rows[rows >= 0][0]
    return Table({"lr": np.maximum(values[rows], 0.0)})
