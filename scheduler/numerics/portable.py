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

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from scheduler.schedule import Values

Fill = Callable[[Values, int], None]
"""Writes a curve's values from a position on into an array."""
Pair = tuple[Values, Values]
"""A double-double: upper and lower parts, whose unevaluated sum is the number."""
P = ParamSpec("P")
T = TypeVar("T")

BLOCK = 32768
"""Values computed at once: two such arrays stay in the second-level cache."""

_PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923").as_integer_ratio()
_STEPS = np.arange(BLOCK, dtype=np.float64)
_LARGE = 2 * BLOCK  # values computed at once where that takes many calls of NumPy
_ROW, _ROWS = 1024, 1024  # steps of a row of a power law, and rows computed at once
_CENTRE = (_ROW - 1) / 2  # of a row of a power law, from its first position
_DISTANCES = (_STEPS[: _ROW // 2] + 0.5) / _ROW  # from there, in rows
_SQUARES = _DISTANCES * _DISTANCES
_MOST_TERMS = 2048  # of a series: from order 3 on a term is at most half the one before, and 2**-2048 is 0
_TABLE = 1024  # rows, and columns, of a geometric grid
_REMEMBERED, _REMEMBERED_LONG = 64, 4  # tables of factors: a few kilobytes each; megabytes for lengths above _FAR
_FAR = 10**8
_DIGITS = 60  # decimal digits of the constants: twice what a double-double holds

# (1 - cos 2y) / 2 = z + z**2 (c[0] + c[1] z + ...), z = y**2; the first coefficient left out is below 2**-90
_HAVERSINE = [float(Fraction((-1) ** (k + 1) * 2 ** (2 * k - 1), math.factorial(2 * k))) for k in range(2, 16)]


class Law(NamedTuple):
    """A function f of the position with (position - pole) f' = exponent * f + constant.

    Such are a power of the distance from the pole, any multiple of it plus a number, and the logarithm.
    """

    values: Callable[[Values], Values]
    """f at each of several positions, not only whole ones."""
    pole: float
    exponent: float
    constant: float = 0.0


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
    half = _until(halfway, first, out)
    _share(out[:half], first, start, stop - start, from_start, growth, towards=False)
    _share(out[half:], length - first - half, stop, start - stop, from_stop, growth, towards=True)


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
        rows = begin + _ROW * _STEPS[: -(-(start + len(window) - begin) // _ROW)]
        near = _near(rows, law, origin)
        _expand(window, start - begin, _series(rows, near, anchor, span, law, origin))
        positions = (rows[near, None] + _STEPS[:_ROW]).ravel()
        positions = positions[(positions >= start) & (positions < start + len(window))]
        window[(positions - start).astype(np.intp)] = anchor + span * law.values(positions)


def polynomial(x: Values, coefficients: list[float]) -> Values:
    """coefficients[0] + coefficients[1] x + ..., by Horner's rule."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result *= x
        result += coefficient
    return result


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
    width, rows = _haversine_shape(length)
    if len(out) < width // 16:
        _few_haversines(out, first, anchor, span, length, towards=towards)
        return
    table = _haversine_table(length)
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


def _haversine_shape(length: int) -> tuple[int, int]:
    """Columns and rows of the grid of distances up to half the length."""
    width = _width(length // 2 + 1)
    return width, length // 2 // width + 1


@remembered(lambda length: length)
def _haversine_table(length: int) -> _HaversineTable:
    """All rows and columns."""
    width, rows = _haversine_shape(length)
    return _haversine_cells(np.arange(rows, dtype=np.float64), np.arange(width, dtype=np.float64), length)


def _haversine_cells(rows: Values, columns: Values, length: int) -> _HaversineTable:
    """What rows and columns with these numbers need; sin(x) / 2 = sqrt(hav(x) (1 - hav(x)))."""
    shape = _haversine_shape(length)
    bits = max(1, 53 - 2 * max(shape).bit_length())
    across, down = _haversines(columns, 1, length, bits), _haversines(rows, shape[0], length, bits)
    sines = np.sqrt(across * (1.0 - across))
    return _HaversineTable(down, 1.0 - 2.0 * down, np.sqrt(down * (1.0 - down)), across, 2.0 * sines)


def _few_haversines(out: Values, first: int, anchor: float, span: float, length: int, *, towards: bool) -> None:
    """As `_haversine`, cell by cell of its grid, for a window that is not worth a table."""
    width, _ = _haversine_shape(length)
    steps = np.arange(first, first + len(out))
    distances = length - steps if towards else steps
    rows, columns = np.divmod(distances, width)
    numbers, which = np.unique(rows, return_inverse=True)
    cells = _haversine_cells(numbers.astype(np.float64), columns.astype(np.float64), length)
    np.multiply((span * cells.row_cosines)[which], cells.columns, out=out)
    out += (span * cells.row_sines)[which] * cells.column_sines
    out += (anchor + span * cells.rows)[which]


def _haversines(numbers: Values, stride: int, length: int, bits: int) -> Values:
    """hav(pi * number * stride / length) for whole numbers, angles up to pi / 2: relative error below 2**-52.

    hav(2 y) = sin(y)**2 is a power series in z = y**2, which is number**2 * zeta. That product is exact to about 100
    bits: zeta is split so that its upper `bits` bits times number**2 have no rounding.
    """
    upper, lower = _split_zeta(stride, length, bits)
    squares = numbers * numbers
    high: Values = squares * upper
    low: Values = squares * lower
    z = high + low
    return high + (low + z * z * polynomial(z, _HAVERSINE))


def _split_zeta(stride: int, length: int, bits: int) -> tuple[float, float]:
    """(pi * stride / (2 * length))**2 as its upper `bits` bits and the rest, by whole numbers."""
    over, under = _PI[0] ** 2 * stride**2, _PI[1] ** 2 * 4 * length**2
    mantissa, exponent = math.frexp(over / under)
    upper = math.ldexp(math.floor(math.ldexp(mantissa, bits)), exponent - bits)
    upper_over, upper_under = upper.as_integer_ratio()
    return upper, (over * upper_under - upper_over * under) / (under * upper_under)


# -- power laws -------------------------------------------------------------------------------------------------------


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
    scratch = np.empty(min(_LARGE, -(-len(out) // _ROW) * _ROW))
    with _unbuffered():
        for block, rows, columns in _blocks(out, _ROW, column, _LARGE):
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


# -- powers -----------------------------------------------------------------------------------------------------------


@remembered(lambda ratio, length: 0)
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
    _grid(out, cell % width, (span * coarse[order][within],), (fine_minus_one[order].copy(),), bias=bias)


@remembered(lambda growth, remainder: growth.reach)
def _growth_tables(growth: _Growth, remainder: int) -> tuple[Values, Values, Values]:
    """e**a and e**a - 1 of the rows, e**b - 1 of the columns; positions are `remainder` more than whole strides."""
    cells = max(growth.reach, 0) // growth.stride + 1
    width = _width(cells)
    with localcontext(prec=_DIGITS):
        unit = (Decimal(growth.rate) / growth.length).exp()
        step = whole_power(unit, growth.stride)
    fine = _powers(step, width)
    coarse = _multiply(_powers(whole_power(step, width), cells // width + 1), _pair(whole_power(unit, remainder)))
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
    divisors = np.empty(min(_LARGE, len(out)))
    for begin in range(0, len(out), _LARGE):
        block = out[begin : begin + _LARGE]
        position = first - begin if towards else first + begin
        _growth(divisors[: len(block)], position, 1.0 + c, c, growth, towards=towards)
        block /= divisors[: len(block)]
        block += anchor


@lru_cache(maxsize=256)
def _logistic_constants(
    low: float, high: float, length: int
) -> tuple[tuple[float, float], tuple[float, float], Decimal, int]:
    """Factor and c at the start, and at the stop; the rate; and the first position past half of the way."""
    with localcontext(prec=_DIGITS):
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
    scratch = np.empty(min(BLOCK, len(out)) if len(coarse) > 1 else 0)
    with _unbuffered():
        for block, rows, columns in _blocks(out, len(fine[0]), column):
            np.multiply(coarse[0][rows, None], fine[0][columns], out=block)
            for by_row, by_column in zip(coarse[1:], fine[1:], strict=True):
                product = scratch[: block.size].reshape(block.shape)
                np.multiply(by_row[rows, None], by_column[columns], out=product)
                block += product
            if bias is not None:
                block += bias[rows, None]
            if offsets is not None:
                block += offsets[columns]


def _blocks(out: Values, width: int, column: int, size: int = BLOCK) -> Iterator[tuple[Values, slice, slice]]:
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
def _unbuffered() -> Iterator[None]:
    """Let NumPy read a broadcast row or column where it lies: to copy it first, as usual, takes twice as long."""
    before = np.setbufsize(16)
    try:
        yield
    finally:
        np.setbufsize(before)
