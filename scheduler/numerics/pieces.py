"""Long arrays in blocks, and curves one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from scheduler.fields import Values

T = TypeVar("T")
Fill = Callable[[Values, int], None]
"""Writes a curve's values from a position on into an array."""

BLOCK = 32768
"""Values computed at once: two such arrays stay in the second-level cache."""

LARGE_BLOCK = 2 * BLOCK
"""Values computed at once where that takes many calls of NumPy."""

STEPS = np.arange(BLOCK + 1, dtype=np.float64)
"""The steps of a block, from its first, and the one after it: read-only."""
STEPS.flags.writeable = False

ENDLESS = 2**62
"""The length of a piece that goes on for ever."""


class Overlap(NamedTuple, Generic[T]):
    """The part of a window that lies in one piece."""

    piece: T
    begin: int
    """The first position in both."""
    end: int
    """The position after the last."""
    position: int
    """The first position, counted from the start of the piece."""


def in_blocks(out: Values, first: int) -> Iterator[tuple[Values, int]]:
    """`out` in blocks of at most BLOCK values, each with the position that it begins at."""
    for begin in range(0, len(out), BLOCK):
        yield out[begin : begin + BLOCK], first + begin


def overlaps(first: int, last: int, pieces: Iterable[tuple[int, T]], origin: int = 0) -> Iterator[Overlap[T]]:
    """Split the window from `first` to before `last` into its overlaps with pieces, each given with its length.

    Pieces follow one another from `origin` on. Pieces behind the window are not read.
    """
    following = iter(pieces)
    while origin < last and (given := next(following, None)):
        length, piece = given
        begin, end = max(first, origin), min(last, origin + length)
        if begin < end:
            yield Overlap(piece, begin, end, begin - origin)
        origin += length


def piecewise(out: Values, first: int, pieces: Iterable[tuple[int, Fill]], origin: int = 0) -> None:
    """Curves one after another, each on its own clock from 0; the first begins at position `origin`.

    `pieces` are (length, fill) with fill(out, position on the piece's clock). Those outside the window are passed over.
    """
    for fill, begin, end, position in overlaps(first, first + len(out), pieces, origin):
        fill(out[begin - first : end - first], position)
