"""A schedule in the terminal: a small chart of braille dots, and the exact values at the landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scheduler.fields import Values
from scheduler.table import Table
from scheduler.table_format import Axis
from scheduler.views.summary import landmarks, progress, short_progress

_DOTS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]])  # Unicode's bit of each dot of a braille cell
_ROWS_PER_LABEL = 4
_MOST_BOUNDARIES = 8
_LEVEL = 1e-12  # decades: less is one rate
BEHIND = "·"
"""What stands for values that are drawn behind others."""
GLYPHS = (BEHIND, "+", "x", "o", "*", "#")
"""What stands for the curves behind the first, in their order."""


def chart(
    values: ArrayLike,
    width: int = 72,
    height: int = 12,
    *,
    axis: Axis = "step",
    stride: int = 1,
    before: ArrayLike | None = None,
    behind: Sequence[tuple[ArrayLike, int]] = (),
    log: bool = False,
) -> str:
    """Draw values (shape [n]) over their rows: a text of `height` + 2 lines, each at most `width` characters.

    Every character holds 2 x 4 dots. Where a column of dots stands for many rows, it reaches from their lowest to
    their highest value, so no spike is lost. The labels at the left are the values of their lines, rounded; those
    below are the first and last row times `stride`, in units of `axis`. A constant is drawn against 0.

    Args:
        values: the values, in front of all others.
        width: characters of a line, at least 24.
        height: lines of the drawing, at least 2.
        axis: what the rows count.
        stride: units of `axis` per row.
        before: other values of the same stride, drawn behind as `BEHIND`.
        behind: more of them, each with a stride, drawn behind as the characters of `GLYPHS` in their order.
        log: whether the height is the logarithm of the value; what is not above 0 is drawn at the bottom.

    Raises `ValueError` for values that are not one-dimensional and finite, for too small a width or height, for more
    curves than there are glyphs, and on a log scale where no value is above 0.
    """
    others = [*([] if before is None else [(before, stride)]), *behind]
    columns = [_column(each) for each in (values, *(other for other, _ in others))]
    if width < 24 or height < 2:
        raise ValueError(f"width must be at least 24 and height at least 2, got {width} and {height}")
    if len(others) > len(GLYPHS):
        raise ValueError(f"behind must have at most {len(GLYPHS)} curves, got {len(others)}")
    if log:
        columns = _logarithms(columns)
    low, high = _limits(np.concatenate(columns), log=log)
    labels = _labels(low, high, height, log=log)
    margin = max(map(len, labels.values()))
    across = width - margin - 2
    lengths = [
        len(column) * each for column, each in zip(columns, (stride, *(each for _, each in others)), strict=True)
    ]
    shares = [max(round(across * length / max(lengths)), 1) for length in lengths]
    cells, *rest = (
        [line.ljust(across) for line in _cells(column, share, height, low, high)]
        for column, share in zip(columns, shares, strict=True)
    )
    for glyph, drawing in zip(GLYPHS, rest, strict=False):
        cells = [_over(line, other, glyph) for line, other in zip(cells, drawing, strict=True)]
    lines = [f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{line}" for row, line in enumerate(cells)]
    last = max(lengths) - (stride if lengths[0] == max(lengths) else others[lengths.index(max(lengths)) - 1][1])
    below = [" " * (margin + 1) + "└" + "─" * across, _below(last, axis, margin, across)]
    return "\n".join(line.rstrip() for line in lines + below)


def boundary_lines(table: Table) -> list[str]:
    """The table's values at its landmarks, exact: one line each, with the step, its name and `repr` of the value.

    Of many boundaries only the first are shown, and a last line says that there are more.
    """
    names = landmarks(table)
    left_out = set([row for row, name in names.items() if name == "boundary"][_MOST_BOUNDARIES:])
    lines = value_lines(table, {row: name for row, name in names.items() if row not in left_out})
    return [*lines, "and more boundaries"] if left_out else lines


def value_lines(table: Table, rows: Mapping[int, str] | Iterable[int]) -> list[str]:
    """The exact values of rows, one line each: row times stride, the row's name where given, `repr` of each value.

    With several columns a first line names them. Raises `IndexError` for a row that the table does not have.
    """
    names = dict(rows) if isinstance(rows, Mapping) else dict.fromkeys(rows, "")
    words = [
        [_unit(row * table.stride, table.axis), name, *(repr(float(column[row])) for column in table.columns.values())]
        for row, name in names.items()
    ]
    if len(table.columns) > 1:
        words.insert(0, [table.axis, "", *table.columns])
    widths = [max(map(len, column)) for column in zip(*words, strict=True)]
    return [_line(line, widths) for line in words]


def _unit(progressed: int, axis: Axis) -> str:
    """An amount of progress to read and to type again: tokens in T, B and M."""
    return progress(progressed, axis) if axis == "token" else str(progressed)


def number(value: float, digits: int = 3) -> str:
    """A value rounded to significant digits, short: `0.0005`, `2.5e-7`."""
    mantissa, exponent, power = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(power)}" if exponent else mantissa


def _line(words: list[str], widths: list[int]) -> str:
    step, *others = words
    cells = [step.rjust(widths[0]), *(word.ljust(width) for word, width in zip(others, widths[1:], strict=True))]
    return "  ".join(cell for cell, width in zip(cells, widths, strict=True) if width).rstrip()


def _limits(values: Values, *, log: bool = False) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        step = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"values must be finite, got {values[step]} at step {step}")
    if log and high - low < _LEVEL:
        return low - 1.0, high + 1.0
    if high - low < np.finfo(np.float64).tiny:  # nothing that a label could tell apart
        return (min(low, 0.0), max(high, 0.0)) if abs(high) >= np.finfo(np.float64).tiny else (0.0, 1.0)
    return low, high


def _labels(low: float, high: float, height: int, *, log: bool = False) -> dict[int, str]:
    """Line to label, from the top; as many digits as tell them apart."""
    count = max(2, round((height - 1) / _ROWS_PER_LABEL) + 1)
    lines = [round(line) for line in np.linspace(0, height - 1, count)]
    values = [high + (low - high) * (line / (height - 1)) for line in lines]
    values = [10.0**value for value in values] if log else values
    texts = [[number(value, digits) for value in values] for digits in range(3, 18)]
    return dict(zip(lines, next((text for text in texts if len(set(text)) == count), texts[-1]), strict=True))


def _column(values: ArrayLike) -> Values:
    column: Values = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or column.size == 0:
        raise ValueError(f"values must have one value per step, got shape {list(column.shape)}")
    return column


def _over(line: str, other: str, glyph: str) -> str:
    """A line of a drawing, with the glyph in the places where only the other one has dots."""
    return "".join(mine if mine != " " or behind == " " else glyph for mine, behind in zip(line, other, strict=True))


def _logarithms(columns: Sequence[Values]) -> list[Values]:
    """The columns on a log scale. Values that are not above 0 count as the smallest that is."""
    _limits(np.concatenate(columns))  # refuses what is not finite
    smallest = min((float(column[column > 0].min()) for column in columns if (column > 0).any()), default=0.0)
    if not smallest:
        raise ValueError("a log scale needs values above 0, and there is none")
    return [np.log10(np.maximum(column, smallest)) for column in columns]


def _cells(values: Values, columns: int, height: int, low: float, high: float) -> list[str]:
    """The drawing: one text per line, of `columns` characters."""
    starts = np.arange(2 * columns) * len(values) // (2 * columns)
    top, bottom = (
        np.rint((high - limit.reduceat(values, starts)) / (high - low) * (4 * height - 1)).astype(int)
        for limit in (np.maximum, np.minimum)
    )
    # A column reaches to its left neighbour, so that a jump is a line.
    upper, lower = top.copy(), bottom.copy()
    upper[1:] = np.minimum(top[1:], bottom[:-1])
    lower[1:] = np.maximum(bottom[1:], top[:-1])
    dots = np.arange(4 * height)[:, np.newaxis]
    return _braille((dots >= upper) & (dots <= lower))


def _braille(dots: NDArray[np.bool_]) -> list[str]:
    """Dots (shape [4 * height, 2 * columns]) as `height` texts of `columns` characters."""
    height, columns = dots.shape[0] // 4, dots.shape[1] // 2
    codes = np.einsum("hrcd,rd->hc", dots.reshape(height, 4, columns, 2), _DOTS)
    return ["".join(chr(0x2800 + code) if code else " " for code in line) for line in codes.tolist()]


def _below(last: int, axis: Axis, margin: int, columns: int) -> str:
    """The line below: the first unit of progress, the axis, and the first unit of the last row."""
    end = short_progress(last, axis)
    return " " * (margin + 2) + "0" + axis.center(columns - 1 - len(end)) + end
