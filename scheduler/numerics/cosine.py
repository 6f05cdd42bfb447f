"""Half a cosine wave in portable arithmetic, by the addition theorem of the haversine: see `portable`."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from scheduler.fields import Values
from scheduler.numerics.grid import column_count, count_before, fill_grid, remembered
from scheduler.numerics.power_law import horner

_PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923").as_integer_ratio()
# (1 - cos 2y) / 2 = z + z**2 (c[0] + c[1] z + ...), z = y**2; the first coefficient left out is below 2**-90
_HAVERSINE = [float(Fraction((-1) ** (k + 1) * 2 ** (2 * k - 1), math.factorial(2 * k))) for k in range(2, 16)]


def cosine(out: Values, first: int, start: float, stop: float, length: int) -> None:
    """Half a cosine wave from `start` at position 0 to `stop` at position `length`, both exact.

    start + (stop - start) (1 - cos(pi position / length)) / 2
    """
    half = count_before(length // 2 + 1, first, out)
    _haversine(out[:half], first, start, stop - start, length, towards=False)
    _haversine(out[half:], first + half, stop, start - stop, length, towards=True)


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
    fill_grid(
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
    width = column_count(length // 2 + 1)
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
    return high + (low + z * z * horner(z, _HAVERSINE))


def _split_zeta(stride: int, length: int, bits: int) -> tuple[float, float]:
    """(pi * stride / (2 * length))**2 as its upper `bits` bits and the rest, by whole numbers."""
    over, under = _PI[0] ** 2 * stride**2, _PI[1] ** 2 * 4 * length**2
    mantissa, exponent = math.frexp(over / under)
    upper = math.ldexp(math.floor(math.ldexp(mantissa, bits)), exponent - bits)
    upper_over, upper_under = upper.as_integer_ratio()
    return upper, (over * upper_under - upper_over * under) / (under * upper_under)
