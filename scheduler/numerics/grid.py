"""Curves as a grid: every value from one number of its row and one of its column, and the tables of these numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from scheduler.fields import Values
from scheduler.numerics.pieces import BLOCK

P = ParamSpec("P")
T = TypeVar("T")
_REMEMBERED, _REMEMBERED_LONG = 64, 4  # tables of factors: a few kilobytes each; megabytes for lengths above _FAR
_FAR = 10**8
_caches: list[Any] = []


def remembered(length: Callable[P, int]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Remember the tables made last, many short ones and a few long ones: their size is about sqrt(length)."""

    def wrap(make: Callable[P, T]) -> Callable[P, T]:
        short, long = lru_cache(_REMEMBERED)(make), lru_cache(_REMEMBERED_LONG)(make)
        _caches.extend((short, long))

        @wraps(make)
        def table(*args: P.args, **kwargs: P.kwargs) -> T:
            cached = short if length(*args, **kwargs) <= _FAR else long
            return cached(*args, **kwargs)  # type: ignore[arg-type]  # hashable, as those who use it see to

        return table

    return wrap


def clear_caches() -> None:
    """Drop the remembered factor tables: the next computation pays for its own (benchmarks ask for that)."""
    for cache in _caches:
        cache.cache_clear()


def column_count(steps: int) -> int:
    """Columns of a grid of `steps` cells: about their square root, a power of two where that is many."""
    return min(max(64, 1 << math.isqrt(steps).bit_length()), steps)


def count_before(position: int, first: int, out: Values) -> int:
    """Number of `out`'s values that lie before a position."""
    return min(max(position - first, 0), len(out))


def fill_grid(
    out: Values,
    column: int,
    coarse: tuple[Values, ...],
    fine: tuple[Values, ...],
    *,
    bias: Values | None = None,
    offsets: Values | None = None,
) -> None:
    """out = sum of coarse[row] * fine[column] + bias[row] + offsets[column], cell by cell from `column` of row 0 on."""
    scratch = np.empty(min(BLOCK, len(out)) if len(coarse) > 1 else 0)
    with unbuffered():
        for block, rows, columns in blocks(out, len(fine[0]), column):
            np.multiply(coarse[0][rows, None], fine[0][columns], out=block)
            for by_row, by_column in zip(coarse[1:], fine[1:], strict=True):
                product = scratch[: block.size].reshape(block.shape)
                np.multiply(by_row[rows, None], by_column[columns], out=product)
                block += product
            if bias is not None:
                block += bias[rows, None]
            if offsets is not None:
                block += offsets[columns]


def blocks(out: Values, width: int, column: int, size: int = BLOCK) -> Iterator[tuple[Values, slice, slice]]:
    """`out`, from `column` of row 0 on, in blocks of whole rows or of a part of one, each with its rows and columns."""
    row = done = 0
    while done < len(out):
        left = len(out) - done
        count = min(width - column, left, size)
        rows = max(1, min(size // width, left // width)) if count == width else 1
        block = out[done : done + rows * count].reshape(rows, count)
        yield block, slice(row, row + rows), slice(column, column + count)
        done += block.size
        column = (column + count) % width
        row += rows if column == 0 else 0


@contextmanager
def unbuffered() -> Iterator[None]:
    """Let NumPy read a broadcast row or column where it lies: to copy it first, as usual, takes twice as long."""
    before = np.setbufsize(16)
    try:
        yield
    finally:
        np.setbufsize(before)
