"""Powers and logarithms of the position: a Taylor series within each row of about a thousand steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import Values
from scheduler.numerics.grid import blocks, unbuffered
from scheduler.numerics.pieces import LARGE_BLOCK, STEPS

_ROW, _ROWS = 1024, 1024  # steps of a row of a power law, and rows computed at once
_CENTRE = (_ROW - 1) / 2  # of a row of a power law, from its first position
_DISTANCES = (STEPS[: _ROW // 2] + 0.5) / _ROW  # from there, in rows
_SQUARES = _DISTANCES * _DISTANCES
_MOST_TERMS = 2048  # of a series: from order 3 on a term is at most half the one before, and 2**-2048 is 0


class Law(NamedTuple):
    """A function f of the position with (position - pole) f' = exponent * f + constant.

    Such are a power of the distance from the pole, any multiple of it plus a number, and the logarithm.
    """

    values: Callable[[Values], Values]
    """f at each of several positions, not only whole ones."""
    pole: float
    exponent: float
    constant: float = 0.0


def power_law(out: Values, first: int, anchor: float, span: float, law: Law, origin: int = 0) -> None:
    """anchor + span * f(position), for positions on one side of `origin`, at which f must be defined.

    Rows are counted from the origin. Within a row f is its Taylor series about the centre; close to the pole, where
    that converges slowly, and beside the origin, where its terms may cancel, f is computed value by value.
    """
    if len(out) == 0:  # f need not be defined there
        return
    aligned = first - (first - origin) % _ROW
    for begin in range(aligned, first + len(out), _ROW * _ROWS):
        start = max(first, begin)
        window = out[start - first : begin + _ROW * _ROWS - first]
        rows = begin + _ROW * STEPS[: -(-(start + len(window) - begin) // _ROW)]
        near = _near(rows, law, origin)
        _expand(window, start - begin, _series(rows, near, anchor, span, law, origin))
        positions = (rows[near, None] + STEPS[:_ROW]).ravel()
        positions = positions[(positions >= start) & (positions < start + len(window))]
        window[(positions - start).astype(np.intp)] = anchor + span * law.values(positions)


def horner(x: Values, coefficients: list[float]) -> Values:
    """coefficients[0] + coefficients[1] x + ..., by Horner's rule."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result *= x
        result += coefficient
    return result


def _near(rows: Values, law: Law, origin: int) -> NDArray[np.bool_]:
    """Which rows, given by their first positions, are close to the pole or beside the origin."""
    centres = rows + _CENTRE
    reach = _ROW * max(4.0, abs(law.exponent))
    near: NDArray[np.bool_] = (np.abs(centres - law.pole) < reach) | (np.abs(centres - origin) < _ROW)
    return near


def _series(rows: Values, near: NDArray[np.bool_], anchor: float, span: float, law: Law, origin: int) -> Values:
    """The Taylor series about each row's centre, in rows, without the terms that change nothing; 0 where `near`.

    Shape [n, 2, rows]: the terms of order 0 and 1, 2 and 3, and so on; n is at least 2.
    """
    centres = np.where(near, float(origin), rows + _CENTRE)
    step = np.where(near, 0.0, _ROW / (rows + _CENTRE - law.pole))
    values = law.values(centres)
    terms = [anchor + span * values, span * (law.exponent * values + law.constant) * step]
    least = 2.0**-53 * np.abs(terms[0])
    while len(terms) < 4 or len(terms) % 2 or (terms[-1].any() and len(terms) < _MOST_TERMS):
        order = len(terms)
        least *= 2.0  # at the ends of the row a term is halved `order` times
        term = (law.exponent + 1.0 - order) / order * step * terms[-1]
        terms.append(np.where(np.abs(term) < least, 0.0, term))
    return np.array(terms).reshape(-1, 2, len(rows))


def _expand(out: Values, column: int, terms: Values) -> None:
    """The series' values, from a column of the first row on; a block is spared the orders that none of its rows has."""
    used = 1 + np.count_nonzero(terms[1:].any(axis=1), axis=0)
    scratch = np.empty(min(LARGE_BLOCK, -(-len(out) // _ROW) * _ROW))
    with unbuffered():
        for block, rows, columns in blocks(out, _ROW, column, LARGE_BLOCK):
            whole = block if block.shape[1] == _ROW else np.empty((1, _ROW))
            _mirror(whole, terms[: max(2, *used[rows]), :, rows, None], scratch)
            if whole is not block:
                block[:] = whole[:, columns]


def _mirror(block: Values, terms: Values, scratch: Values) -> None:
    """Whole rows, both halves at once: the even orders plus, and minus, the odd ones."""
    sums = scratch[: block.size].reshape(2, len(block), -1)
    np.multiply(terms[-1], _SQUARES, out=sums)
    for pair in terms[-2:0:-1]:
        sums += pair
        sums *= _SQUARES
    sums += terms[0]
    even, odd = sums
    odd *= _DISTANCES
    np.add(even, odd, out=block[:, _ROW // 2 :])
    np.subtract(even, odd, out=block[:, _ROW // 2 - 1 :: -1])
