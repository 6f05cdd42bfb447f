"""Given values: the escape hatch for a curve that no kind describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Self
from typing import Literal as OneOf

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from scheduler.schedule import Rate, Schedule, Values, schedule

if TYPE_CHECKING:
    from scheduler.table import Table

MAX_VALUES = 100_000
"""Values given inline; a longer table is published, and named by its digest."""


if TYPE_CHECKING:
    Given = Sequence[float]
else:  # any sequence is taken, and kept as a tuple
    Given = Annotated[tuple[Rate, ...], Field(min_length=1, max_length=MAX_VALUES, strict=False)]


class UnresolvedError(LookupError):
    """A Literal names a table that nobody has looked up."""


@schedule
class Literal(Schedule):
    """Values as they are: given inline, or as a column of a table named by its digest.

    Formula: lr(t) = given[t], then the last of them.

    Step 0: the first value. Its end is the number of values: past it the last is held. A table named by `digest` must
    be looked up (`resolve`) before anything can be computed; until then the end is unknown.

    Raises where neither or both of `given` and `digest` are there. Source: fairseq's `manual`; captured schedules.

    Example: `Literal([0.1, 0.05, 0.01]).get_lr(1)` is 0.05.
    """

    given: Given | None = None
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    _: KW_ONLY
    column: str = "lr"
    kind: OneOf["Literal"] = "Literal"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.given is None) == (self.digest is None):
            raise ValueError(
                "a Literal needs either given values or the digest of a table, got " + self._what_is_there()
            )
        return self

    def _what_is_there(self) -> str:
        return "neither" if self.given is None else "both"

    @property
    def _array(self) -> Values:
        looked_up: Values | None = self.__dict__.get("_values")
        if looked_up is None and self.given is not None:
            looked_up = np.array(self.given)
            object.__setattr__(self, "_values", looked_up)
        if looked_up is None:
            raise UnresolvedError(f"the table {self.digest} of this Literal has not been looked up")
        return looked_up

    @property
    @override
    def end(self) -> int | None:
        return len(self._array) if self.given is not None or "_values" in self.__dict__ else None

    def _fill(self, out: Values, start: int) -> None:
        values = self._array
        inside = min(max(len(values) - start, 0), len(out))
        out[:inside] = values[start : start + inside]
        out[inside:] = values[-1]


def named_digests(schedules: Iterable[Schedule]) -> set[str]:
    """The tables that the Literals among the schedules name, at any depth."""
    parts = (part for top in schedules for part in top.walk())
    return {part.digest for part in parts if isinstance(part, Literal) and part.digest is not None}


def resolve(schedules: Iterable[Schedule], lookup: Callable[[str], Table]) -> None:
    """Give every Literal among the schedules, at any depth, the values of the table that it names.

    Raises what `lookup` raises where a table is unknown, and `KeyError` where it lacks the column.
    """
    for top in schedules:
        for part in top.walk():
            if isinstance(part, Literal) and part.digest is not None:
                object.__setattr__(part, "_values", lookup(part.digest).columns[part.column])
