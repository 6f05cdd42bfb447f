"""Two schedules, tables or torch schedulers compared: are they the same rates, and if not, where and by how much?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from scheduler.fields import Values
from scheduler.interop.capture import capture
from scheduler.interop.dry_run import TorchScheduler
from scheduler.schedule import Schedule
from scheduler.table import Table
from scheduler.views.difference import Difference, difference
from scheduler.views.overlay import overlay
from scheduler.views.summary import call, column_order
from scheduler.views.verdict import Verdict, ulps, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Operand = Schedule | Sequence[Schedule] | Table | TorchScheduler
"""A schedule, one for each parameter group, a table, or a torch scheduler."""

_MOST_NAMES = 3  # of columns in a line


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`. Steps count from 0."""

    names: tuple[str, str]
    """A line that describes A, and one that describes B."""
    steps: int
    """Steps compared."""
    columns: Mapping[str, Difference]
    """Each column that both have; where either has groups, one for each group (`lr.1`)."""
    others: tuple[str, ...]
    """Other differences, in sentences: lengths, what rows count, columns that one of them lacks."""
    pairs: Mapping[str, tuple[Values, Values]]
    """The values compared, of A and B, by column: float64, shape [steps] each."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs: no bit of any column, and nothing else."""
        return self.first is None and not self.others

    @property
    def first(self) -> int | None:
        """First step at which a column differs."""
        return min((found.first for found in self.columns.values() if found.first is not None), default=None)

    @property
    def prefix(self) -> int:
        """Steps before the first at which a column differs."""
        return self.steps if self.first is None else self.first

    def __str__(self) -> str:
        names = (f"{side}  {name}" for side, name in zip("AB", self.names, strict=True))
        columns = (line for name, found in self.columns.items() for line in _lines(name, found))
        return "\n".join([*names, *columns, *self.others, *self.verdict_lines])

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """How each column of B relates to that of A: equal, rounding only, scaled, shifted or different."""
        return {name: verdict(*pair, self.columns[name]) for name, pair in self.pairs.items()}

    @property
    def verdict_lines(self) -> list[str]:
        """The verdicts in words; one line where it is the same for all columns."""
        apart = ", apart from the lines above" if self.others else ""
        return [f"verdict{columns}: {words}{apart}" for columns, words in self.verdict_words().items()]

    def verdict_words(self, name: str = "B") -> dict[str, str]:
        """The columns, as ` for lr, momentum`, to the verdict on them, in which B is called `name`; empty for all."""
        said: dict[str, list[str]] = {}
        for column, found in self.verdicts.items():
            said.setdefault(found.said_of(name), []).append(column)
        return {f" for {_listed(columns)}" if len(said) > 1 else "": words for words, columns in said.items()}

    def plot(self, path: str | os.PathLike[str]) -> Figure:
        """Draw both, and below them A - B, save the picture (`.png`, `.svg`) and return it.

        Raises `ImportError` without matplotlib, `ValueError` for a suffix that it does not know, `OSError` where the
        file cannot be written.
        """
        return overlay(path, self.pairs, names=self.names)


def compare(a: Operand, b: Operand, total_steps: int | None = None) -> Comparison:
    """Compare two schedules, lists of schedules (one for each parameter group), tables or torch schedulers.

    Columns are compared step by step and bit for bit. A column that one side has for all groups is compared with each
    group of the other. A torch scheduler is captured from where it stands, and not touched. Two tables must also agree
    in what their rows count, in what happens past the end and, without `total_steps`, in length.

    Args:
        a: the one.
        b: the other.
        total_steps: steps to compare. None: the longer table's; without a table, the longest
            length that a schedule states.

    Raises `ValueError` where nothing says how many steps to compare, and for a table that has fewer than that; what
    `scheduler.capture` raises for a scheduler that cannot be captured.
    """
    steps = _length(a, b, total_steps)
    left, right = _table(a, steps), _table(b, steps)
    common = min(steps, left.total_steps, right.total_steps)
    pairs, others = {}, []
    for name in _column_names(left, right):
        pair = _column(left, name), _column(right, name)
        if pair[0] is None or pair[1] is None:
            others.append(f"only {'A' if pair[1] is None else 'B'} has the column {name}")
        else:
            pairs[name] = pair[0][:common], pair[1][:common]
    if isinstance(a, Table) and isinstance(b, Table):
        others += _layout_differences(a, b, with_length=total_steps is None)
    columns = {name: difference(*pair) for name, pair in pairs.items()}
    return Comparison((_name(a), _name(b)), common, columns, tuple(others), pairs)


def _length(a: Operand, b: Operand, total_steps: int | None) -> int:
    """Number of steps to compare: `total_steps`, which every table must have, or by default as many as there are."""
    rows = [operand.total_steps for operand in (a, b) if isinstance(operand, Table)]
    if total_steps is not None:
        if min(rows, default=total_steps) < total_steps:
            raise ValueError(f"total_steps must be at most {min(rows)}, the length of the table, got {total_steps}")
        return total_steps
    stated = [schedule.stated_steps for operand in (a, b) for schedule in _schedules(operand)]
    lengths = rows or [steps for steps in stated if steps]
    if not lengths:
        raise ValueError("total_steps must be given: neither side has an end")
    return max(lengths)


def _schedules(operand: Operand) -> Sequence[Schedule]:
    """The schedules that an operand consists of, none where it is something else."""
    if isinstance(operand, Schedule):
        return (operand,)
    if isinstance(operand, Sequence) and all(isinstance(part, Schedule) for part in operand):
        return operand
    return ()


def _table(operand: Operand, steps: int) -> Table:
    if isinstance(operand, Table):
        return operand
    if isinstance(operand, Schedule):
        return Table(operand.columns(steps))
    if groups := _schedules(operand):
        columns = [schedule.columns(steps) for schedule in groups]
        return Table({f"{name}.{group}": own[name] for group, own in enumerate(columns) for name in own})
    return capture(operand, steps)


def _column_names(a: Table, b: Table) -> list[str]:
    """The columns of either side, the rates first; a name without group only where neither side has groups of it."""
    names = {*a.columns, *b.columns}
    grouped = {name.partition(".")[0] for name in names if "." in name}
    return sorted(names - grouped, key=column_order)


def _column(table: Table, name: str) -> Values | None:
    return table.columns.get(name, table.columns.get(name.partition(".")[0]))


def _layout_differences(a: Table, b: Table, *, with_length: bool) -> Iterator[str]:
    """Differences of two tables beside their values, in sentences."""
    for field in ("axis", "stride", "after", *(["total_steps"] if with_length else [])):
        left, right = getattr(a, field), getattr(b, field)
        if left != right:
            yield f"{field}: A has {left}, B has {right}"


def _name(operand: Operand) -> str:
    """A description of an operand, in one line."""
    if schedules := _schedules(operand):
        return " | ".join(map(call, schedules))
    if not isinstance(operand, Table):
        return f"{type(operand).__name__} on {type(getattr(operand, 'optimizer', None)).__name__}"
    source = f" of {' | '.join(map(call, operand.spec.schedules))}" if operand.spec is not None else ""
    return f"table {operand.digest[:12]}{source}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def _lines(name: str, found: Difference) -> Iterator[str]:
    """The difference in a column, as lines to read."""
    if found.equal:
        yield f"{name}: equal bit for bit in all {found.steps:,} steps"
        return
    yield f"{name}: different in {found.differing:,} of {found.steps:,} steps, first in step {found.first:,}"
    yield f"    largest difference: {found.largest:.3g} at step {found.largest_at:,}"
    yield f"    largest relative difference: {100 * found.relative:.3g}% at step {found.relative_at:,}"
    if found.ulp_at is not None:
        yield f"    largest difference in ULP: {ulps(found)} at step {found.ulp_at:,}"
    if found.zeros:
        yield f"    one of them is 0 and the other is not in {found.zeros:,} step{'s' if found.zeros > 1 else ''}"
