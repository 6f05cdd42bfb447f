"""Curves in portable arithmetic: the same bits on every machine, and faster than calling cos or exp.

Only + - * / and sqrt touch the values: IEEE 754 fixes their results, while cos, exp and pow differ between libm
versions, CPUs and NumPy releases. A curve over D steps is cut into rows of about sqrt(D) steps, and an addition theorem
makes every value from one number of its row and one of its column:

    hav(a + b) = hav(a) + cos(a) hav(b) + sin(a)/2 sin(b),  hav(x) = (1 - cos x) / 2
    g**(a + b) = g**a g**b
    e**(a + b) - 1 = (e**a - 1) + e**a (e**b - 1)

so about 2 sqrt(D) transcendental values are needed. Powers and logarithms of the position, which have no such theorem,
are a Taylor series within each row. The values per row come from polynomials in + and *, and from products of
double-doubles (an unevaluated sum of two float64, about 106 bits). Constants (pi, roots, logarithms) come from Python's
integers and from `decimal`, which are the same everywhere. The terms of each sum have one sign, and a ramp is computed
from its nearer end, so a value close to the ramp's low end keeps its relative accuracy: nothing cancels.

Every function fills `out` (float64, shape [m], contiguous) with the curve at positions first, first + 1, ...; the value
at a position depends neither on `first` nor on m.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from scheduler.fields import Values
from scheduler.numerics.double_double import DIGITS, Pair, as_pair, multiply, powers, whole_power
from scheduler.numerics.grid import column_count, count_before, fill_grid, remembered
from scheduler.numerics.pieces import BLOCK, LARGE_BLOCK, STEPS

_TABLE = 1024  # rows, and columns, of a geometric grid


def linear(out: Values, first: int, start: float, stop: float, length: int) -> None:
    """The straight line from `start` at position 0 to `stop` at position `length`, both exact."""
    half = count_before(length // 2 + 1, first, out)
    _line(out[:half], first, 1.0, start, stop - start, length)
    _line(out[half:], length - first - half, -1.0, stop, start - stop, length)


def exponential(
    out: Values, first: int, start: float, stop: float, length: int, *, rate: float = 1.0, stride: int = 1
) -> None:
    """An exponential from `start` at position 0 to `stop` at position `length`: slow first for rate > 0, else fast.

    start + (stop - start) (e**(rate x) - 1) / (e**rate - 1), x = position / length, at positions first, first + stride,
    ...: with a stride of 2 a length may lie between two steps.
    """
    near_start, near_stop, halfway = _exponential_constants(rate, length)
    half = count_before(max(halfway - first, -1) // stride + 1, 0, out)
    span = stop - start
    rising, falling = _Growth(rate, length, halfway, stride), _Growth(-rate, length, length - halfway, stride)
    _growth(out[:half], first, start, span * near_start, rising, towards=False)
    _growth(out[half:], length - first - stride * half, stop, span * near_stop, falling, towards=True)


def logistic(out: Values, first: int, start: float, stop: float, length: int, *, low: float, high: float) -> None:
    """From `start` to `stop` as 1 / (1 + e**(2 x)) = (1 - tanh(x)) / 2 falls while x goes from `low` to `high`.

    The way from the nearer end is a multiple of (E - 1) / (1 + c E), E = e**(2 (high - low) distance / length) and
    c = e**(2 low) at the start, e**(-2 high) at the stop.
    """
    from_start, from_stop, rate, halfway = _logistic_constants(low, high, length)
    growth = _Growth(rate, length, max(halfway, length - halfway), stride=1)
    half = count_before(halfway, first, out)
    _share(out[:half], first, start, stop - start, from_start, growth, towards=False)
    _share(out[half:], length - first - half, stop, start - stop, from_stop, growth, towards=True)


def geometric(out: Values, first: int, scale: float, ratio: Decimal, length: int | None = None) -> None:
    """scale * ratio**position, for positions below `length` (None: any, then ratio must not be above 1)."""
    if len(out) == 0:
        return
    columns, table = _geometric_tables(ratio, _TABLE**2 if length is None else length)
    rows = range(first // _TABLE, (first + len(out) - 1) // _TABLE + 1)
    fill_grid(out, first % _TABLE, (_geometric_rows(rows, scale, ratio, table),), (columns,))


def repeated(out: Values, first: int, row: Values) -> None:
    """One period over and over: the value at a position is row[position % len(row)]."""
    column = first % len(row)
    tile = np.tile(row, max(1, BLOCK // len(row)))
    done = 0
    while done < len(out):
        count = min(len(tile) - column, len(out) - done)
        out[done : done + count] = tile[column : column + count]
        done += count
        column = (column + count) % len(row)


def scaled(out: Values, first: int, row: Values, ratio: Decimal) -> None:
    """One period over and over, each time `ratio` times the one before; `ratio` is at most 1."""
    if ratio == 1:
        return repeated(out, first, row)
    cycle = first // len(row)
    factors = np.empty((first + len(out)) // len(row) + 1 - cycle)
    geometric(factors, cycle, 1.0, ratio)
    return fill_grid(out, first % len(row), (factors,), (row,))


def cycles(out: Values, first: int, low: float, tops: Values, row: tuple[Values, Values]) -> None:
    """Cycles between `low` and a top of their own: low + (top - low) * shape, exactly `top` where the shape is 1.

    `tops` are those of the cycles from position first on; `row` is the shape over one cycle, 0 to 1, and 1 - shape.
    """
    shape, complement = row
    near_top = (shape > complement).astype(np.float64)
    signed = np.where(near_top, -complement, shape)
    fill_grid(
        out,
        first % len(shape),
        (tops - low, tops),
        (signed, near_top),  # products with 0 and 1 are exact: with the offsets they pick the nearer end
        offsets=low * (1.0 - near_top),
    )


def _line(out: Values, distance: int, direction: float, anchor: float, span: float, length: int) -> None:
    """anchor + span * distance / length, with the distance growing or shrinking by one per step."""
    for begin in range(0, len(out), BLOCK):
        block = out[begin : begin + BLOCK]
        np.multiply(STEPS[: len(block)], direction, out=block)
        block += distance + direction * begin
        block /= length
        block *= span
        block += anchor


@remembered(lambda ratio, length: 0)
def _geometric_tables(ratio: Decimal, length: int) -> tuple[Values, Pair]:
    """ratio**j of the columns, and (ratio**_TABLE)**i of the rows within a chunk of _TABLE rows, as many as needed."""
    columns, _ = powers(ratio, min(_TABLE, length))
    return columns, powers(whole_power(ratio, _TABLE), min(_TABLE, -(-length // _TABLE)))


def _geometric_rows(numbers: range, scale: float, ratio: Decimal, table: Pair) -> Values:
    """scale * ratio**(_TABLE * number) for each row number: the chunk's power, exactly, times the row's within it."""
    rows = np.empty(len(numbers))
    for chunk in range(numbers.start // _TABLE, (numbers.stop - 1) // _TABLE + 1):
        begin, end = max(numbers.start, chunk * _TABLE), min(numbers.stop, (chunk + 1) * _TABLE)
        within = slice(begin - chunk * _TABLE, end - chunk * _TABLE)
        factor = as_pair(Decimal(scale) * whole_power(ratio, chunk * _TABLE * _TABLE))
        rows[begin - numbers.start : end - numbers.start], _ = multiply((table[0][within], table[1][within]), factor)
    return rows


class _Growth(NamedTuple):
    """e**(rate * position / length) for positions up to `reach`, `stride` apart."""

    rate: float | Decimal
    length: int
    reach: int
    stride: int


def _growth(out: Values, first: int, anchor: float, span: float, growth: _Growth, *, towards: bool) -> None:
    """anchor + span * (e**(rate * position / length) - 1), the position growing, or falling where `towards`."""
    if len(out) == 0:
        return
    coarse, coarse_minus_one, fine_minus_one = _growth_tables(growth, first % growth.stride)
    width, rows = len(fine_minus_one), len(coarse)
    cell = first // growth.stride
    if towards:  # the last row ends where the position is smallest
        cell = rows * width - 1 - cell
    within = slice(cell // width, (cell + len(out) - 1) // width + 1)
    order = slice(None, None, -1 if towards else 1)
    bias = anchor + span * coarse_minus_one[order][within]
    fill_grid(out, cell % width, (span * coarse[order][within],), (fine_minus_one[order].copy(),), bias=bias)


@remembered(lambda growth, remainder: growth.reach)
def _growth_tables(growth: _Growth, remainder: int) -> tuple[Values, Values, Values]:
    """e**a and e**a - 1 of the rows, e**b - 1 of the columns; positions are `remainder` more than whole strides."""
    cells = max(growth.reach, 0) // growth.stride + 1
    width = column_count(cells)
    with localcontext(prec=DIGITS):
        unit = (Decimal(growth.rate) / growth.length).exp()
        step = whole_power(unit, growth.stride)
    fine = powers(step, width)
    coarse = multiply(powers(whole_power(step, width), cells // width + 1), as_pair(whole_power(unit, remainder)))
    return coarse[0], (coarse[0] - 1.0) + coarse[1], (fine[0] - 1.0) + fine[1]


def _share(
    out: Values,
    first: int,
    anchor: float,
    span: float,
    constants: tuple[float, float],
    growth: _Growth,
    *,
    towards: bool,
) -> None:
    """anchor + span * factor * (E - 1) / (1 + c E), E the growth, for the constants factor and c."""
    factor, c = constants
    _growth(out, first, 0.0, span * factor, growth, towards=towards)
    divisors = np.empty(min(LARGE_BLOCK, len(out)))
    for begin in range(0, len(out), LARGE_BLOCK):
        block = out[begin : begin + LARGE_BLOCK]
        position = first - begin if towards else first + begin
        _growth(divisors[: len(block)], position, 1.0 + c, c, growth, towards=towards)
        block /= divisors[: len(block)]
        block += anchor


@lru_cache(maxsize=256)
def _logistic_constants(
    low: float, high: float, length: int
) -> tuple[tuple[float, float], tuple[float, float], Decimal, int]:
    """Factor and c at the start, and at the stop; the rate; and the first position past half of the way."""
    with localcontext(prec=DIGITS):
        first, last = (2 * Decimal(low)).exp(), (2 * Decimal(high)).exp()
        growth = last / first - 1
        from_start, from_stop = ((1 + last) / growth, first), ((1 + 1 / first) / growth, 1 / last)
        rate = 2 * (Decimal(high) - Decimal(low))
        halfway = (1 + growth * (1 + first) / (2 + first + last)).ln() / rate
        at_start, at_stop = ((float(factor), float(c)) for factor, c in (from_start, from_stop))
        return at_start, at_stop, rate, int(halfway * length) + 1


@lru_cache(maxsize=256)
def _exponential_constants(rate: float, length: int) -> tuple[float, float, int]:
    """1 / (e**rate - 1), 1 / (1 - e**-rate), and the last position before the curve is half way."""
    with localcontext(prec=DIGITS):
        growth = Decimal(rate).exp()
        halfway = ((growth + 1) / 2).ln() / Decimal(rate)
        return float(1 / (growth - 1)), float(1 / (1 - 1 / growth)), int(halfway * length)
