"""Summary of a table: its schedule in one line, its extremes, its boundaries, and how its progress is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import Values
from scheduler.schedule import Schedule
from scheduler.spec import Spec
from scheduler.table import Table
from scheduler.table_format import Axis

_UNITS = (("T", 10**12), ("B", 10**9), ("M", 10**6))
_DECADES = 100.0  # between the values of the first and the last tenth, in order of size
_SAMPLE = 10_000  # values looked at


def call(schedule: Schedule) -> str:
    """The schedule as the call that makes it: `custom.LinearWarmup(base_lr=0.001, warmup_steps=100)`.

    The parts of a composite are written without their defaults, to keep it short.
    """
    names = [name for name in schedule.to_dict() if name != "kind"]
    return f"{schedule.kind}({', '.join(f'{name}={_written(getattr(schedule, name))}' for name in names)})"


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return _part(value) if isinstance(value, Schedule) else repr(value)


def _part(schedule: Schedule) -> str:
    """A part of a composition, as short as it can be written."""
    fields: dict[str, Any] = dict(type(schedule).__pydantic_fields__)  # type: ignore[attr-defined]  # a kind is a pydantic dataclass
    written = {name: getattr(schedule, name) for name in fields if name != "kind"}
    kept = [
        f"{name}={_written(value)}"
        for name, value in written.items()
        if fields[name].is_required() or value != fields[name].get_default(call_default_factory=True)
    ]
    return f"{schedule.kind}({', '.join(kept)})"


def parameters(kind: type[Schedule]) -> dict[str, str]:
    """A kind's parameters in the order of its fields: name to `name`, or to `name=default` where it has one."""
    fields: dict[str, Any] = dict(kind.__pydantic_fields__)  # type: ignore[attr-defined]  # a kind is a pydantic dataclass
    del fields["kind"]
    return {
        name: name if field.is_required() else f"{name}={field.get_default(call_default_factory=True)!r}"
        for name, field in fields.items()
    }


def signature(kind: type[Schedule]) -> str:
    """A kind as it is called: `custom.ExponentialWarmup(base_lr, warmup_steps, start_lr=1e-07)`."""
    return f"{kind.kind}({', '.join(parameters(kind).values())})"


def extremes(values: Values, buckets: int) -> NDArray[np.intp]:
    """Rows, ascending, which drawn alone look like all of `values` (shape [n]): no spike is lost.

    The rows are cut into at most `buckets` (at least 1) runs of equal length. Of each run the row of its lowest and
    that of its highest value are kept, and of the whole the first and the last: shape [at most 2 * buckets + 2].
    """
    n = len(values)
    if n <= 2 * buckets:
        return np.arange(n)
    width = -(-n // buckets)
    whole = n - n % width
    starts = np.arange(0, whole, width)
    runs = values[:whole].reshape(-1, width)
    kept = [starts + runs.argmin(axis=1), starts + runs.argmax(axis=1), np.array([0, n - 1])]
    if whole < n:
        kept.append(whole + np.array([values[whole:].argmin(), values[whole:].argmax()]))
    return np.unique(np.concatenate(kept))


def boundaries(table: Table, column: str) -> list[int]:
    """Rows, ascending, at which a column's schedule changes its formula, with the first and the last row.

    A table without a spec has only those two.
    """
    spec: Spec | None = table.spec
    if spec is None:
        return sorted({0, table.total_steps - 1})
    schedule, _ = spec.plan()[column]
    return schedule.boundaries(table.total_steps)


def landmarks(table: Table) -> dict[int, str]:
    """The rows to check before a training, ascending, each with its name: every column's boundaries, and the middle.

    `initial`, `after warmup` (where a schedule has a warmup), `mid-training`, `final`, and `boundary` for the others.
    """
    rows = set[int]().union(*(boundaries(table, column) for column in table.columns))
    names = {table.total_steps // 2: "mid-training"}
    names |= dict.fromkeys(rows - names.keys(), "boundary")
    names |= dict.fromkeys(rows & _warmup_ends(table), "after warmup")
    names |= {table.total_steps - 1: "final", 0: "initial"}
    return dict(sorted(names.items()))


def _warmup_ends(table: Table) -> set[int]:
    """Values of the integer parameters with "warmup" in their name."""
    spec: Spec | None = table.spec
    schedules = spec.schedules if spec is not None else ()
    return {
        value
        for schedule in schedules
        for name, value in vars(schedule).items()
        if "warmup" in name and isinstance(value, int)
    }


def column_order(column: str) -> tuple[bool, str, int]:
    """The key that sorts columns: the rates first, then by name, the groups of one in their order."""
    name, _, group = column.partition(".")
    return name != "lr", name, int(group or -1)


def grouped_columns(columns: Iterable[str]) -> dict[str, list[str]]:
    """Name without group to its columns, in the order given: what a picture draws in one panel."""
    grouped: dict[str, list[str]] = {}
    for column in columns:
        grouped.setdefault(column.partition(".")[0], []).append(column)
    return grouped


def progress(value: int, axis: Axis) -> str:
    """An amount of progress, exactly: `1,000`, and of tokens `375B` or `1.25T` where three digits behind it do."""
    if axis == "token":
        for letter, unit in _UNITS:
            if value >= unit and value % (unit // 1000) == 0:
                return f"{value / unit:.3f}".rstrip("0").rstrip(".") + letter
    return f"{value:,}"


class Counted(Protocol):
    """What has rows that count something: a table, a spec, or a run's version."""

    @property
    def total_steps(self) -> int:
        """The number of rows."""

    @property
    def stride(self) -> int:
        """Units of progress per row."""

    @property
    def axis(self) -> Axis:
        """What the rows count."""


def length_in_words(counted: Counted) -> str:
    """Rows, and what they count: `1,000 steps`, `1 epoch`, `100 rows of 4,096 tokens`."""
    rows, stride, axis = counted.total_steps, counted.stride, counted.axis
    if stride == 1:
        return _of_axis(rows, axis)
    return f"{rows:,} row{'s' if rows > 1 else ''} of {_of_axis(stride, axis)}"


def progress_in_words(counted: Counted) -> str:
    """All progress of a table's rows: `1,000 steps`, `375B tokens`."""
    return _of_axis(counted.total_steps * counted.stride, counted.axis)


def _of_axis(number: int, axis: Axis) -> str:
    return f"{progress(number, axis)} {axis}{'' if number == 1 else 's'}"


def short_progress(value: float, axis: Axis) -> str:
    """An amount of progress for the label of an axis: tokens in four digits."""
    if axis == "token":
        for letter, unit in _UNITS:
            if value >= unit:
                return f"{value / unit:.4g}{letter}"
    return f"{value:,.0f}"


def spans_decades(columns: Iterable[Values]) -> bool:
    """Whether values (each of shape [n]) show more on a log scale.

    All are above 0, and those in the middle span a factor of 100: the tenth at either end of their order does not
    count, so that a cosine, which comes down to nearly 0 in its last steps, keeps its shape.
    """
    drawn = [column for column in columns if len(column)]
    if not drawn or min(float(column.min()) for column in drawn) <= 0.0:
        return False
    sampled = [column[:: -(-len(column) // _SAMPLE)] for column in drawn]
    low = min(float(np.quantile(column, 0.1)) for column in sampled)
    high = max(float(np.quantile(column, 0.9)) for column in sampled)
    return high >= _DECADES * low


def unit_of(column: str) -> str:
    """What the values of a column, named without a group, are called beside an axis."""
    return "learning rate" if column == "lr" else column.replace("_", " ")
