"""Long arrays in blocks, and curves one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from scheduler.fields import Values

Fill = Callable[[Values, int], None]
"""Writes a curve's values from a position on into an array."""

BLOCK = 32768
"""Values computed at once: two such arrays stay in the second-level cache."""

LARGE_BLOCK = 2 * BLOCK
"""Values computed at once where that takes many calls of NumPy."""

STEPS = np.arange(BLOCK, dtype=np.float64)
"""The steps of a block, from its first: read-only."""
STEPS.flags.writeable = False


def piecewise(out: Values, first: int, pieces: Iterable[tuple[int, Fill]], origin: int = 0) -> None:
    """Curves one after another, each on its own clock from 0; the first begins at position `origin`.

    `pieces` are (length, fill) with fill(out, position on the piece's clock). Those outside the window are passed over.
    """
    last = first + len(out)
    following = iter(pieces)
    while origin < last and (piece := next(following, None)):  # no piece is asked for that is not reached
        length, fill = piece
        begin, end = max(first, origin), min(last, origin + length)
        if begin < end:
            fill(out[begin - first : end - first], begin - origin)
        origin += length
