"""Where and by how much two columns of rates differ: bit for bit, in value and in ULP."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import Values
from scheduler.named_tables import Column, Named
from scheduler.numerics.pieces import BLOCK

_HALF = np.uint64(2**63)


@dataclass(frozen=True)
class Difference:
    """The result of `difference`. Steps count from 0; where the columns are equal, every number is 0 and no step is.

    A step that goes with a largest difference is the first that has it.
    """

    steps: int
    """Steps compared."""
    differing: int
    """Steps whose bits differ."""
    first: int | None
    """First differing step."""
    largest: float
    """Largest absolute difference, in the rates' own unit."""
    largest_at: int | None
    """Its step."""
    relative: float
    """Largest difference as a share of the larger of the two values: 0 to 2, above 1 where their signs differ."""
    relative_at: int | None
    """Its step."""
    ulp: int
    """Largest difference counted in representable doubles between two values of which both or neither are 0."""
    ulp_at: int | None
    """Its step."""
    zeros: int = 0
    """Steps in which one value is 0 and the other is not: no count of doubles says how far apart they are."""

    @property
    def equal(self) -> bool:
        """Whether every compared step has the same bits."""
        return self.first is None

    @property
    def prefix(self) -> int:
        """Steps before the first that differs."""
        return self.steps if self.first is None else self.first


def difference(left: Values, right: Values) -> Difference:
    """Compare two finite float64 columns of one length, shape [n], step by step.

    Raises `ValueError` where their lengths differ. 0.0 and -0.0 differ in their bits, by 0 in value and 0 ULP.
    """
    if len(left) != len(right):
        raise ValueError(f"columns to compare must have one length, got {len(left)} and {len(right)}")
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    steps = np.flatnonzero(left.view(np.int64) != right.view(np.int64))
    if len(steps) == 0:
        return Difference(len(left), 0, None, 0.0, None, 0.0, None, 0, None)
    pair = left[steps], right[steps]
    absolute, relative, ulp = _absolute(*pair), _relative(*pair), _ulp(*pair)
    has_zero = (pair[0] == 0) != (pair[1] == 0)
    ulp[has_zero] = 0
    counted = np.flatnonzero(~has_zero)
    return Difference(
        steps=len(left),
        differing=len(steps),
        first=int(steps[0]),
        largest=float(absolute.max()),
        largest_at=int(steps[absolute.argmax()]),
        relative=float(relative.max()),
        relative_at=int(steps[relative.argmax()]),
        ulp=int(ulp.max()),
        ulp_at=int(steps[counted[ulp[counted].argmax()]]) if len(counted) else None,
        zeros=int(np.count_nonzero(has_zero)),
    )


def first_difference(old: Named, new: Named) -> int:
    """The first row whose bits differ in some column; the length of the shorter where only their lengths do.

    0 where they do not have the same columns. Columns are read a block at a time, and no further than to the first
    block with a difference.
    """
    if old.columns.keys() != new.columns.keys():
        return 0
    pairs = [(values, new.columns[name]) for name, values in old.columns.items()]
    rows = min(len(column) for pair in pairs for column in pair)
    for begin in range(0, rows, BLOCK):
        part = slice(begin, min(begin + BLOCK, rows))
        equal = min(_equal_rows(left[part], right[part]) for left, right in pairs)
        if begin + equal < part.stop:
            return begin + equal
    return rows


def _equal_rows(left: Values, right: Values) -> int:
    """Rows before the first whose bits differ; all of them where none do."""
    differs = np.ascontiguousarray(left).view(np.int64) != np.ascontiguousarray(right).view(np.int64)
    return int(np.argmax(differs)) if differs.any() else len(differs)


def largest_factor(old: Named, new: Named, from_step: int) -> float:
    """The largest factor, up or down, between the rates of a row in two tables, from `from_step` on.

    At least 1. A rate that all parameter groups share in one table is compared with that of each group in the other.
    Rows that one of them lacks, and rates that are not above 0 in both, have no factor. Columns are read a block at a
    time.
    """
    largest = 1.0
    for name, other in product(old.columns, new.columns):
        if _is_of_one_group(name, other):
            largest = max(largest, _factor(old.columns[name], new.columns[other], from_step))
    return largest


def _is_of_one_group(name: str, other: str) -> bool:
    """Whether two columns are rates of one parameter group: `lr` is that of every group."""
    return all(each.partition(".")[0] == "lr" for each in (name, other)) and (name == other or "lr" in (name, other))


def _factor(left: Column, right: Column, first: int) -> float:
    rows, largest = min(len(left), len(right)), 1.0
    for begin in range(first, rows, BLOCK):
        before, after = (each[begin : min(begin + BLOCK, rows)] for each in (left, right))
        both = (before > 0) & (after > 0)
        if both.any():
            with np.errstate(over="ignore", under="ignore", divide="ignore"):  # the factor may be infinite
                ratios = after[both] / before[both]
                largest = max(largest, float(ratios.max()), float(1.0 / ratios.min()))
    return largest


def _absolute(left: Values, right: Values) -> Values:
    with np.errstate(over="ignore"):  # between the largest doubles of both signs there is infinity
        return np.abs(left - right)


def _relative(left: Values, right: Values) -> Values:
    """Two zeros do not differ; where the difference is infinite, the signs do, and 2 is the most there is."""
    larger = np.maximum(np.abs(left), np.abs(right))
    shares = np.divide(_absolute(left, right), larger, out=np.zeros(len(left)), where=larger > 0)
    return np.minimum(shares, 2.0, out=shares)


def _ulp(left: Values, right: Values) -> NDArray[np.uint64]:
    ranks = _rank(left), _rank(right)
    return np.maximum(*ranks) - np.minimum(*ranks)


def _rank(values: Values) -> NDArray[np.uint64]:
    """The place of each double among all doubles, both zeros in the middle: differences fit 64 bits without a sign."""
    bits = values.view(np.uint64)
    return np.where(bits < _HALF, _HALF + bits, _HALF - (bits & ~_HALF))
