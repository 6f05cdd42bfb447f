"""Curves in portable arithmetic: the same bits on every machine, and faster than calling cos or exp.

Only + - * / and sqrt touch the values: IEEE 754 fixes their results, while cos, exp and pow differ between libm
versions, CPUs and NumPy releases. A curve over D steps is cut into rows of about sqrt(D) steps, and an addition theorem
makes every value from one number of its row and one of its column:

    hav(a + b) = hav(a) + cos(a) hav(b) + sin(a)/2 sin(b),  hav(x) = (1 - cos x) / 2
    g**(a + b) = g**a g**b
    e**(a + b) - 1 = (e**a - 1) + e**a (e**b - 1)

so about 2 sqrt(D) transcendental values are needed; they come from polynomials in + and *, and from products of
double-doubles (an unevaluated sum of two float64, about 106 bits). Constants (pi, roots, logarithms) come from Python's
integers and from `decimal`, which are the same everywhere. The terms of each sum have one sign, and a ramp is computed
from its nearer end, so a value close to the ramp's low end keeps its relative accuracy: nothing cancels.

Every function fills `out` (float64, shape [m], contiguous) with the curve at positions first, first + 1, ...; the value
at a position depends neither on `first` nor on m.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from scheduler.schedule import Values

Fill = Callable[[Values, int], None]
"""Writes a curve's values from a position on into an array."""
Pair = tuple[Values, Values]
"""A double-double: upper and lower parts, whose unevaluated sum is the number."""

BLOCK = 32768
"""Values computed at once: two such arrays stay in the second-level cache."""

_PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923").as_integer_ratio()
_STEPS = np.arange(BLOCK, dtype=np.float64)
_TABLE = 1024  # rows, and columns, of a geometric grid
_DIGITS = 60  # decimal digits of the constants: twice what a double-double holds

# (1 - cos 2y) / 2 = z + z**2 (c[0] + c[1] z + ...), z = y**2; the first coefficient left out is below 2**-90
_HAVERSINE = [float(Fraction((-1) ** (k + 1) * 2 ** (2 * k - 1), math.factorial(2 * k))) for k in range(2, 16)]


def linear(out: Values, first: int, start: float, stop: float, length: int) -> None:
    """The straight line from `start` at position 0 to `stop` at position `length`, both exact."""
    half = _until(length // 2 + 1, first, out)
    _line(out[:half], first, 1.0, start, stop - start, length)
    _line(out[half:], length - first - half, -1.0, stop, start - stop, length)


def cosine(out: Values, first: int, start: float, stop: float, length: int) -> None:
    """Half a cosine wave from `start` at position 0 to `stop` at position `length`, both exact.

    start + (stop - start) (1 - cos(pi position / length)) / 2
    """
    half = _until(length // 2 + 1, first, out)
    _haversine(out[:half], first, start, stop - start, length, towards=False)
    _haversine(out[half:], first + half, stop, start - stop, length, towards=True)


def exponential(
    out: Values, first: int, start: float, stop: float, length: int, *, rate: float = 1.0, stride: int = 1
) -> None:
    """An exponential from `start` at position 0 to `stop` at position `length`: slow first for rate > 0, else fast.

    start + (stop - start) (e**(rate x) - 1) / (e**rate - 1), x = position / length, at positions first, first + stride,
    ...: with a stride of 2 a length may lie between two steps.
    """
    near_start, near_stop, halfway = _exponential_constants(rate, length)
    half = _until(max(halfway - first, -1) // stride + 1, 0, out)
    span = stop - start
    _growth(out[:half], first, start, span * near_start, _Growth(rate, length, halfway, stride))
    _growth(
        out[half:],
        length - first - stride * half,
        stop,
        span * near_stop,
        _Growth(-rate, length, length - halfway, stride, towards=True),
    )


def geometric(out: Values, first: int, scale: float, ratio: Decimal, length: int | None = None) -> None:
    """scale * ratio**position, for positions below `length` (None: any, then ratio must not be above 1)."""
    if len(out) == 0:
        return
    columns, table = _geometric_tables(ratio, _TABLE**2 if length is None else length)
    rows = range(first // _TABLE, (first + len(out) - 1) // _TABLE + 1)
    _grid(out, first % _TABLE, (_geometric_rows(rows, scale, ratio, table),), (columns,))


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
    return _grid(out, first % len(row), (factors,), (row,))


def cycles(out: Values, first: int, low: float, tops: Values, row: tuple[Values, Values]) -> None:
    """Cycles between `low` and a top of their own: low + (top - low) * shape, exactly `top` where the shape is 1.

    `tops` are those of the cycles from position first on; `row` is the shape over one cycle, 0 to 1, and 1 - shape.
    """
    shape, complement = row
    near_top = (shape > complement).astype(np.float64)
    signed = np.where(near_top, -complement, shape)
    _grid(
        out,
        first % len(shape),
        (tops - low, tops),
        (signed, near_top),  # products with 0 and 1 are exact: with the offsets they pick the nearer end
        offsets=low * (1.0 - near_top),
    )


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


def polynomial(x: Values, coefficients: list[float]) -> Values:
    """coefficients[0] + coefficients[1] x + ..., by Horner's rule."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result *= x
        result += coefficient
    return result


def forget() -> None:
    """Drop the remembered factor tables: the next computation pays for its own (benchmarks ask for that)."""
    for table in (_haversine_table, _geometric_tables, _growth_tables):
        table.cache_clear()


# -- straight lines ---------------------------------------------------------------------------------------------------


def _line(out: Values, distance: int, direction: float, anchor: float, span: float, length: int) -> None:
    """anchor + span * distance / length, with the distance growing or shrinking by one per step."""
    for begin in range(0, len(out), BLOCK):
        block = out[begin : begin + BLOCK]
        np.multiply(_STEPS[: len(block)], direction, out=block)
        block += distance + direction * begin
        block /= length
        block *= span
        block += anchor


# -- half cosine waves ------------------------------------------------------------------------------------------------


def _haversine(out: Values, first: int, anchor: float, span: float, length: int, *, towards: bool) -> None:
    """anchor + span * hav(pi * distance / length); distance = position, or length - position `towards` the anchor."""
    if len(out) == 0:
        return
    table = _haversine_table(length)
    width, rows = len(table.columns), len(table.rows)
    cell = first + rows * width - 1 - length if towards else first  # the last row ends where the distance is 0
    within = slice(cell // width, (cell + len(out) - 1) // width + 1)
    order = slice(None, None, -1 if towards else 1)
    _grid(
        out,
        cell % width,
        (span * table.row_cosines[order][within], span * table.row_sines[order][within]),
        (table.columns[order].copy(), table.column_sines[order].copy()),
        bias=anchor + span * table.rows[order][within],
    )


class _HaversineTable(NamedTuple):
    """What hav(a + b) = hav(a) + cos(a) hav(b) + sin(a)/2 sin(b) takes, a the rows' angles and b the columns'."""

    rows: Values
    row_cosines: Values
    row_sines: Values  # halved
    columns: Values
    column_sines: Values


@lru_cache(maxsize=64)
def _haversine_table(length: int) -> _HaversineTable:
    """Rows and columns for distances up to half the length; sin(x) / 2 = sqrt(hav(x) (1 - hav(x)))."""
    width = _width(length // 2 + 1)
    rows = length // 2 // width + 1
    numbers = np.concatenate((np.arange(rows, dtype=np.float64), np.arange(width, dtype=np.float64)))
    haversines = _haversines(numbers, [(rows, width), (width, 1)], length)
    sines = np.sqrt(haversines * (1.0 - haversines))
    return _HaversineTable(
        haversines[:rows], 1.0 - 2.0 * haversines[:rows], sines[:rows], haversines[rows:], 2.0 * sines[rows:]
    )


def _haversines(numbers: Values, strides: list[tuple[int, int]], length: int) -> Values:
    """hav(pi * number * stride / length) for whole numbers, angles up to pi / 2: relative error below 2**-52.

    `strides` are (how many numbers, their stride). hav(2 y) = sin(y)**2 is a power series in z = y**2, which is
    number**2 * zeta. That product is exact to about 100 bits: zeta is split so that its upper part times number**2 has
    no rounding.
    """
    counts = [count for count, _ in strides]
    bits = max(1, 53 - 2 * max(counts).bit_length())
    uppers, lowers = zip(*(_split_zeta(stride, length, bits) for _, stride in strides), strict=True)
    squares = numbers * numbers
    high: Values = squares * np.repeat(uppers, counts)
    low: Values = squares * np.repeat(lowers, counts)
    z = high + low
    return high + (low + z * z * polynomial(z, _HAVERSINE))


def _split_zeta(stride: int, length: int, bits: int) -> tuple[float, float]:
    """(pi * stride / (2 * length))**2 as its upper `bits` bits and the rest, by whole numbers."""
    over, under = _PI[0] ** 2 * stride**2, _PI[1] ** 2 * 4 * length**2
    mantissa, exponent = math.frexp(over / under)
    upper = math.ldexp(math.floor(math.ldexp(mantissa, bits)), exponent - bits)
    upper_over, upper_under = upper.as_integer_ratio()
    return upper, (over * upper_under - upper_over * under) / (under * upper_under)


# -- powers -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _geometric_tables(ratio: Decimal, length: int) -> tuple[Values, Pair]:
    """ratio**j of the columns, and (ratio**_TABLE)**i of the rows within a chunk of _TABLE rows, as many as needed."""
    columns, _ = _powers(ratio, min(_TABLE, length))
    return columns, _powers(whole_power(ratio, _TABLE), min(_TABLE, -(-length // _TABLE)))


def _geometric_rows(numbers: range, scale: float, ratio: Decimal, table: Pair) -> Values:
    """scale * ratio**(_TABLE * number) for each row number: the chunk's power, exactly, times the row's within it."""
    rows = np.empty(len(numbers))
    for chunk in range(numbers.start // _TABLE, (numbers.stop - 1) // _TABLE + 1):
        begin, end = max(numbers.start, chunk * _TABLE), min(numbers.stop, (chunk + 1) * _TABLE)
        within = slice(begin - chunk * _TABLE, end - chunk * _TABLE)
        factor = _pair(Decimal(scale) * whole_power(ratio, chunk * _TABLE * _TABLE))
        rows[begin - numbers.start : end - numbers.start], _ = _multiply((table[0][within], table[1][within]), factor)
    return rows


class _Growth(NamedTuple):
    """e**(rate * position / length) for positions up to `reach`, `stride` apart; in falling order where `towards`."""

    rate: float
    length: int
    reach: int
    stride: int
    towards: bool = False


def _growth(out: Values, first: int, anchor: float, span: float, growth: _Growth) -> None:
    """anchor + span * (e**(rate * position / length) - 1), the position growing, or falling where `towards`."""
    if len(out) == 0:
        return
    coarse, coarse_minus_one, fine_minus_one = _growth_tables(growth, first % growth.stride)
    width, rows = len(fine_minus_one), len(coarse)
    cell = first // growth.stride
    if growth.towards:  # the last row ends where the position is smallest
        cell = rows * width - 1 - cell
    within = slice(cell // width, (cell + len(out) - 1) // width + 1)
    bias = anchor + span * coarse_minus_one[within]
    _grid(out, cell % width, (span * coarse[within],), (fine_minus_one,), bias=bias)


@lru_cache(maxsize=64)
def _growth_tables(growth: _Growth, remainder: int) -> tuple[Values, Values, Values]:
    """e**a and e**a - 1 of the rows, e**b - 1 of the columns; positions are `remainder` more than whole strides."""
    cells = max(growth.reach, 0) // growth.stride + 1
    width = _width(cells)
    with localcontext(prec=_DIGITS):
        unit = (Decimal(growth.rate) / growth.length).exp()
        step = whole_power(unit, growth.stride)
    fine = _powers(step, width)
    coarse = _multiply(_powers(whole_power(step, width), cells // width + 1), _pair(whole_power(unit, remainder)))
    tables = coarse[0], (coarse[0] - 1.0) + coarse[1], (fine[0] - 1.0) + fine[1]
    if not growth.towards:
        return tables
    return tables[0][::-1], tables[1][::-1], tables[2][::-1].copy()


@lru_cache(maxsize=256)
def _exponential_constants(rate: float, length: int) -> tuple[float, float, int]:
    """1 / (e**rate - 1), 1 / (1 - e**-rate), and the last position before the curve is half way."""
    with localcontext(prec=_DIGITS):
        growth = Decimal(rate).exp()
        halfway = ((growth + 1) / 2).ln() / Decimal(rate)
        return float(1 / (growth - 1)), float(1 / (1 - 1 / growth)), int(halfway * length)


def _powers(ratio: Decimal, count: int) -> Pair:
    """ratio**0 .. ratio**(count - 1) as double-doubles, by doubling: relative error about count * 2**-100."""
    high, low = np.ones(1), np.zeros(1)
    while len(high) < count:
        more_high, more_low = _multiply((high, low), _pair(whole_power(ratio, len(high))))
        high, low = np.concatenate((high, more_high)), np.concatenate((low, more_low))
    return high[:count], low[:count]


def whole_power(ratio: Decimal, exponent: int) -> Decimal:
    """ratio**exponent by squaring: products only, which decimal rounds correctly on every platform."""
    result = Decimal(1)
    with localcontext(prec=_DIGITS):
        while exponent:
            if exponent & 1:
                result *= ratio
            ratio *= ratio
            exponent >>= 1
        return result


def quotient(over: float, under: float) -> Decimal:
    """over / under to 60 digits."""
    with localcontext(prec=_DIGITS):
        return Decimal(over) / Decimal(under)


def root(value: Decimal | float, degree: int) -> Decimal:
    """value**(1 / degree) to 60 digits (decimal's ln and exp are correctly rounded)."""
    with localcontext(prec=_DIGITS):
        return (Decimal(value).ln() / degree).exp()


def _pair(number: Decimal) -> tuple[float, float]:
    high = float(number)
    with localcontext(prec=_DIGITS):
        return high, float(number - Decimal(high))


def _multiply(left: Pair, right: Pair | tuple[float, float]) -> Pair:
    """The product of two double-doubles (Dekker): relative error about 2**-102."""
    product = left[0] * right[0]
    left_high, left_low = _split(left[0])
    right_high, right_low = _split(right[0])
    error = ((left_high * right_high - product) + left_high * right_low + left_low * right_high) + left_low * right_low
    error = error + (left[0] * right[1] + left[1] * right[0])
    high = product + error
    return high, error - (high - product)


def _split(number: Values | float) -> tuple[Values | float, Values | float]:
    """A float64 as the sum of two with 26 bits each (Veltkamp)."""
    scaled = 134217729.0 * number
    high = scaled - (scaled - number)
    return high, number - high


# -- the grid ---------------------------------------------------------------------------------------------------------


def _width(steps: int) -> int:
    """Columns of a grid of `steps` cells: about their square root, a power of two where that is many."""
    return min(max(64, 1 << math.isqrt(steps).bit_length()), steps)


def _until(position: int, first: int, out: Values) -> int:
    """How many of `out`'s values lie before a position."""
    return min(max(position - first, 0), len(out))


def _grid(
    out: Values,
    column: int,
    coarse: tuple[Values, ...],
    fine: tuple[Values, ...],
    *,
    bias: Values | None = None,
    offsets: Values | None = None,
) -> None:
    """out = sum of coarse[row] * fine[column] + bias[row] + offsets[column], cell by cell from `column` of row 0 on."""
    width = len(fine[0])
    scratch = np.empty(min(BLOCK, len(out)) if len(coarse) > 1 else 0)
    row = done = 0
    while done < len(out):
        left = len(out) - done
        count = min(width - column, left, BLOCK)
        rows = max(1, min(BLOCK // width, left // width)) if count == width else 1
        block = out[done : done + rows * count].reshape(rows, count)
        np.multiply(coarse[0][row : row + rows, None], fine[0][column : column + count], out=block)
        for by_row, by_column in zip(coarse[1:], fine[1:], strict=True):
            product = scratch[: block.size].reshape(block.shape)
            np.multiply(by_row[row : row + rows, None], by_column[column : column + count], out=product)
            block += product
        if bias is not None:
            block += bias[row : row + rows, None]
        if offsets is not None:
            block += offsets[column : column + count]
        done += block.size
        column = (column + count) % width
        row += rows if column == 0 else 0
