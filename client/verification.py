"""Verification: do a manifest and a table belong to the requested spec?

A digest proves that a table's bytes are those that the digest names. It says nothing about the request: a service, a
cache or a proxy may send the digest of another table. So the manifest must repeat the spec, the table must have
its layout, and its values are computed here again, all of them or at the rows where a wrong one would show.

Portable kinds give the same bits everywhere, and are compared bit for bit. Twins of other libraries use the C library,
whose `cos`, `pow` and `exp` may differ from another machine's by 1 ULP. A twin's closed formula has fewer than 16 such
roundings, each at most 1 ULP of the largest value in the column: near 0, where values cancel, that is the error of
the sum. A twin of torch that steps from row to row adds at most 4 more per row. A value within these bounds is taken.
(`torch.CosineAnnealingLR` divides by nearly 0 at its lowest point. Past its T_max, of which it warns, machines with
different C libraries can differ by more: such a table is refused.)
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, count, islice
from typing import Any, NamedTuple

import numpy as np

from client.errors import DigestMismatchError, UnexpectedResponseError
from scheduler import Schedule, Spec, Table
from scheduler.fields import Values
from scheduler.named_tables import UnresolvedError
from scheduler.numerics.cancellation import ComputationStoppedError, cancellable
from scheduler.numerics.pieces import BLOCK
from scheduler.numerics.rates import MAX_RATE
from scheduler.texts import abbreviate

_ULP = 2.0**-52  # of 1
_CLOSED, _PER_ROW = 16, 4  # ULP of the largest value: of a formula, and of a step
_SMALL = 2**18  # rows times schedules: a table up to this is computed whole, in a few milliseconds
_STEPS = 2**21  # steps that may be computed for the rows of a larger one: less than a second
_CALL = 128  # steps that take as long as computing one row
_WINDOW = 1024  # rows of a closed formula that are computed at once in the time that a window of few takes
_FEWEST, _MOST = 2, 80  # windows of rows in a column
_RANDOM = 16  # rows that a service cannot foresee

_choose = random.SystemRandom().sample


class Cost(NamedTuple):
    """Cost of computing a column: number of schedules in it, and of those that step from row to row."""

    parts: int
    stepping: int

    @classmethod
    def of(cls, schedule: Schedule) -> Cost:
        """The cost of a schedule. At most `_STEPS` parts are counted."""
        parts = list(islice(schedule.walk(), _STEPS))
        return cls(len(parts), sum(part.is_iterative for part in parts))


def check_manifest(manifest: Mapping[str, Any], spec: Spec) -> None:
    """Raise `UnexpectedResponseError`, naming the first field that differs, unless a manifest is of the spec."""
    layout = spec.layout
    columns = manifest.get("columns")
    said = {**manifest, "columns": sorted(columns) if isinstance(columns, dict) else columns}
    fields = {"axis": layout.axis, "stride": layout.stride, "after": layout.after, "total_steps": layout.total_steps}
    asked = {"spec": json.loads(spec.canonical()), **fields, "columns": list(layout.columns), "nbytes": layout.nbytes}
    difference = _difference(asked, {name: said.get(name) for name in asked}, "")
    if difference is None and manifest.get("spec_id") != spec.id:
        difference = (
            f"/spec_id: asked for {spec.id}, got {_shown(manifest.get('spec_id'))}, though the spec is the same: "
            "this lrtables and that of the service have different revisions of a kind"
        )
    if difference is not None:
        raise UnexpectedResponseError(f"the manifest is not that of the spec: {difference}")


def _difference(asked: Any, given: Any, place: str) -> str | None:
    """The first place, as a JSON pointer, where JSON data differ, and how; None where they do not."""
    if isinstance(asked, dict) and isinstance(given, dict):
        names: Iterable[Any] = sorted(asked.keys() | given.keys())
        asked_items, given_items = asked, given
    elif isinstance(asked, list) and isinstance(given, list):
        names = range(max(len(asked), len(given)))
        asked_items, given_items = dict(enumerate(asked)), dict(enumerate(given))
    else:
        same = isinstance(asked, bool) == isinstance(given, bool) and asked == given
        return None if same else f"{place}: asked for {_shown(asked)}, got {_shown(given)}"
    for name in names:
        if name not in given_items:
            return f"{place}/{name}: asked for {_shown(asked_items[name])}, got nothing"
        if name not in asked_items:
            return f"{place}/{name}: got {_shown(given_items[name])}, which was not asked for"
        found = _difference(asked_items[name], given_items[name], f"{place}/{name}")
        if found is not None:
            return found
    return None


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return abbreviate(value)


def check_table(table: Table, spec: Spec, *, every_row: bool) -> None:
    """Raise `DigestMismatchError` where a table is not that of the spec: another layout, or other values.

    Args:
        table: with the digest that it claims.
        spec: the requested spec.
        every_row: compare every row. Else all rows of small tables, and some dozen rows of large ones: the first and
            the last, those around the boundaries of the schedule, and random ones. At most 2 million steps are
            computed: rows of torch's step-by-step twins that lie further on are left out, and so are columns of a
            `Literal` whose table is not at hand (`scheduler.named_tables.resolved`).
    """
    asked, layout = spec.layout, table.layout
    for name in ("columns", "total_steps", "axis", "stride", "after"):
        expected, got = getattr(asked, name), getattr(layout, name)
        if expected != got:
            raise DigestMismatchError(f"table {table.digest} is not that of the spec: {name} is {got}, not {expected}")
    plan = spec.plan()
    costs = {name: Cost.of(schedule) for name, (schedule, _) in plan.items()}
    is_small = sum(cost.parts for cost in costs.values()) * spec.total_steps <= _SMALL
    for name, (schedule, column) in plan.items():
        rows = [range(spec.total_steps)]
        if not (every_row or is_small):
            some = _rows(schedule, costs[name], spec.total_steps, len(costs))
            if costs[name].stepping or spec.total_steps > _WINDOW * len(some):  # else all rows take no longer than some
                rows = some
        with cancellable(_never if every_row else _after(costs[name], len(rows), len(costs))):
            wrong = _wrong_row(table.columns[name], schedule, column, rows, costs[name])
        if wrong is not None:
            row, value = wrong
            raise DigestMismatchError(
                f"table {table.digest} is not that of the spec: {name} of row {row} is {table.columns[name][row]}, "
                f"and {value} computed here"
            )


def _never() -> bool:
    return False


def _after(cost: Cost, windows: int, columns: int) -> Callable[[], bool]:
    """Return a function that cancels a computation after as many blocks of steps as a column may take.

    A schedule that starts in its middle (`Shift`) can have a first row that is a hundred million steps away.
    """
    calls = count()
    if not cost.stepping:
        return _never
    most = _STEPS // (BLOCK * cost.stepping * columns) + 4 * windows * cost.parts
    return lambda: next(calls) > most


def _rows(schedule: Schedule, cost: Cost, total_steps: int, columns: int) -> list[range]:
    """Windows of rows, in order: around the boundaries of the schedule, and random ones, as many as the cost allows."""
    budget = _STEPS // columns
    reach = min(total_steps, budget // cost.stepping + 1) if cost.stepping else total_steps
    most = budget // (min(reach, BLOCK) * cost.stepping + _CALL * cost.parts)
    most = min(max(most, _FEWEST), _MOST) - _FEWEST
    boundaries = [boundary for boundary in schedule.boundaries(total_steps) if 0 < boundary < reach - 1]
    boundaries = boundaries[:: len(boundaries) // most + 1] if most else []
    others = _choose(range(reach), min(_RANDOM, reach, most - len(boundaries)))
    return list(_merged(sorted({0, reach - 1, *boundaries, *others}), reach))


def _merged(rows: Iterable[int], stop: int) -> Iterator[range]:
    """Each row with the one before and the one after it; windows that touch are one."""
    window: range | None = None
    for row in rows:
        around = range(max(row - 1, 0), min(row + 2, stop))
        if window is not None and around.start <= window.stop:
            window = range(window.start, around.stop)
            continue
        if window is not None:
            yield window
        window = around
    if window is not None:
        yield window


def _wrong_row(
    values: Values, schedule: Schedule, column: str, windows: list[range], cost: Cost
) -> tuple[int, float] | None:
    """The first row with a wrong value, and the right value; None where none was found.

    Rows are not checked where the values come from a table that is not at hand, or take too long to compute.
    """
    try:
        expected = _computed(schedule, column, windows)
    except (UnresolvedError, ComputationStoppedError):
        return None
    given = np.concatenate([values[window.start : window.stop] for window in windows])
    wrong = given.view(np.int64) != expected.view(np.int64)
    largest = np.abs(expected).max()
    if wrong.any() and largest <= MAX_RATE and not is_portable(schedule):  # what is beyond every rate is in no table
        rows = np.concatenate([np.arange(window.start, window.stop) for window in windows])
        bound = _CLOSED + (_PER_ROW * rows if cost.stepping else 0)
        wrong = ~(np.abs(given - expected) <= bound * (_ULP * largest))
    if not wrong.any():
        return None
    first = int(np.argmax(wrong))
    return next(islice(chain.from_iterable(windows), first, None)), float(expected[first])


def _computed(schedule: Schedule, column: str, windows: list[range]) -> Values:
    expected = np.empty(sum(map(len, windows)))
    done = 0
    for window in windows:
        schedule.fill(expected[done : done + len(window)], window.start, column=column)
        done += len(window)
    return expected


def is_portable(schedule: Schedule) -> bool:
    """Return whether a schedule has the same bits on every machine: nothing in it is a twin of another library."""
    return all("." not in part.kind or part.kind.startswith("custom.") for part in schedule.walk())
