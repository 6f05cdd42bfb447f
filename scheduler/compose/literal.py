"""Given values: the escape hatch for a curve that no kind describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Self
from typing import Literal as OneOf

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from scheduler.fields import Rate, Values
from scheduler.named_tables import Column, UnresolvedError, find_table
from scheduler.numerics.cancellation import check_cancelled
from scheduler.numerics.pieces import in_blocks
from scheduler.schedule import Schedule, schedule
from scheduler.table_format import COLUMN

MAX_VALUES = 100_000
"""Values given inline; a longer table is published, and named by its digest."""


if TYPE_CHECKING:
    Given = Sequence[float]
else:  # any sequence is taken, and kept as a tuple
    Given = Annotated[tuple[Rate, ...], Field(min_length=1, max_length=MAX_VALUES, strict=False)]


@schedule
class Literal(Schedule):
    """Values as they are: given inline, or as a column of a table named by its digest.

    Args:
        given: learning rates of steps 0, 1, ..., at most 100,000, each at least 0, in place of a digest.
        digest: SHA-256 of a stored table's values, 64 hexadecimal digits, in place of given values.
        column: name of the column of that table, such as `lr`, or `lr.0` for the first parameter group's.

    Formula: lr(t) = given[t], then the last of them.

    Step 0: the first value. Its end is the number of values: past it the last is held. A table named by `digest` must
    be looked up (`resolved`) before anything can be computed; until then the end is unknown.

    Raises where neither or both of `given` and `digest` are there. Source: fairseq's `manual`; captured schedules.

    Example: `Literal([0.1, 0.05, 0.01]).get_lr(1)` is 0.05.
    """

    given: Given | None = None
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    _: KW_ONLY
    column: Annotated[str, Field(pattern=f"^{COLUMN}$")] = "lr"
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
    def _column(self) -> Column:
        if self.digest is not None:
            return self._looked_up(self.digest)
        given: Column | None = self.__dict__.get("_given")
        if given is None:
            given = np.array(self.given)
            object.__setattr__(self, "_given", given)
        return given

    def _looked_up(self, digest: str) -> Column:
        """The column of the table with this digest; it is not kept here, however long this schedule lives."""
        if (table := find_table(digest)) is None:
            raise UnresolvedError(f"the table {digest} of this Literal has not been looked up")
        if self.column not in table.columns:
            raise UnresolvedError(f"the table {digest} of this Literal has no column {self.column!r}")
        return table.columns[self.column]

    @property
    @override
    def table_digest(self) -> str | None:
        return self.digest

    @property
    @override
    def end(self) -> int | None:
        return len(self._column) if self.digest is None or find_table(self.digest) else None

    @property
    @override
    def afterwards(self) -> None:
        """The last value is held, as the values' owner knows."""
        return None

    def _fill(self, out: Values, start: int) -> None:
        column = self._column
        inside = min(max(len(column) - start, 0), len(out))
        for block, first in in_blocks(out[:inside], start):
            check_cancelled()
            block[:] = column[first : first + len(block)]
        if inside < len(out):
            out[inside:] = column[-1]
