"""A schedule in the terminal: a small chart of braille dots, and the exact values at the landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scheduler.fields import Values
from scheduler.table import Table
from scheduler.views.summary import landmarks

_DOTS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]])  # Unicode's bit of each dot of a braille cell
_ROWS_PER_LABEL = 4
_MOST_BOUNDARIES = 8
BEHIND = "·"
"""What stands for values that are drawn behind others."""


def chart(
    values: ArrayLike,
    width: int = 72,
    height: int = 12,
    *,
    axis: str = "step",
    stride: int = 1,
    before: ArrayLike | None = None,
) -> str:
    """Draw values (shape [n]) over their rows: a text of `height` + 2 lines, each at most `width` characters.

    Every character holds 2 x 4 dots. Where a column of dots stands for many rows, it reaches from their lowest to
    their highest value, so no spike is lost. The labels at the left are the values of their lines, rounded; those
    below are the first and last row times `stride`, in units of `axis`. A constant is drawn against 0.
    With `before`, of any length, those values are drawn behind the others on the same scale, as `BEHIND`.
    Raises `ValueError` for values that are not one-dimensional and finite, and for too small a width or height.
    """
    column = _column(values)
    earlier = column[:0] if before is None else _column(before)
    if width < 24 or height < 2:
        raise ValueError(f"width must be at least 24 and height at least 2, got {width} and {height}")
    low, high = _limits(np.concatenate([column, earlier]))
    labels = _labels(low, high, height)
    margin = max(map(len, labels.values()))
    columns = width - margin - 2
    rows = max(len(column), len(earlier))
    cells, behind = (_cells(each, columns, rows, height, low, high) for each in (column, earlier))
    cells = [_over(line, other) for line, other in zip(cells, behind, strict=True)]
    lines = [f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{line}" for row, line in enumerate(cells)]
    below = [" " * (margin + 1) + "└" + "─" * columns, _below(rows, stride, axis, margin, columns)]
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
        [str(row * table.stride), name, *(repr(float(column[row])) for column in table.columns.values())]
        for row, name in names.items()
    ]
    if len(table.columns) > 1:
        words.insert(0, [table.axis, "", *table.columns])
    widths = [max(map(len, column)) for column in zip(*words, strict=True)]
    return [_line(line, widths) for line in words]


def number(value: float, digits: int = 3) -> str:
    """A value rounded to significant digits, short: `0.0005`, `2.5e-7`."""
    mantissa, exponent, power = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(power)}" if exponent else mantissa


def _line(words: list[str], widths: list[int]) -> str:
    step, *others = words
    cells = [step.rjust(widths[0]), *(word.ljust(width) for word, width in zip(others, widths[1:], strict=True))]
    return "  ".join(cell for cell, width in zip(cells, widths, strict=True) if width).rstrip()


def _limits(values: Values) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        step = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"values must be finite, got {values[step]} at step {step}")
    if high - low < np.finfo(np.float64).tiny:  # nothing that a label could tell apart
        return (min(low, 0.0), max(high, 0.0)) if abs(high) >= np.finfo(np.float64).tiny else (0.0, 1.0)
    return low, high


def _labels(low: float, high: float, height: int) -> dict[int, str]:
    """Line to label, from the top; as many digits as tell them apart."""
    count = max(2, round((height - 1) / _ROWS_PER_LABEL) + 1)
    lines = [round(line) for line in np.linspace(0, height - 1, count)]
    values = [high + (low - high) * (line / (height - 1)) for line in lines]
    texts = [[number(value, digits) for value in values] for digits in range(3, 18)]
    return dict(zip(lines, next((text for text in texts if len(set(text)) == count), texts[-1]), strict=True))


def _column(values: ArrayLike) -> Values:
    column: Values = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or column.size == 0:
        raise ValueError(f"values must have one value per step, got shape {list(column.shape)}")
    return column


def _over(line: str, other: str) -> str:
    """A line of a drawing, with the places where only the other one has dots as `BEHIND`."""
    return "".join(mine if mine != " " or behind == " " else BEHIND for mine, behind in zip(line, other, strict=True))


def _cells(values: Values, width: int, rows: int, height: int, low: float, high: float) -> list[str]:
    """The drawing: one text per line, of `width` characters, which stand for so many rows."""
    if not values.size:
        return [" " * width] * height
    columns = max(round(width * len(values) / rows), 1)
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
    return [line.ljust(width) for line in _braille((dots >= upper) & (dots <= lower))]


def _braille(dots: NDArray[np.bool_]) -> list[str]:
    """Dots (shape [4 * height, 2 * columns]) as `height` texts of `columns` characters."""
    height, columns = dots.shape[0] // 4, dots.shape[1] // 2
    codes = np.einsum("hrcd,rd->hc", dots.reshape(height, 4, columns, 2), _DOTS)
    return ["".join(chr(0x2800 + code) if code else " " for code in line) for line in codes.tolist()]


def _below(rows: int, stride: int, axis: str, margin: int, columns: int) -> str:
    first, last = "0", f"{(rows - 1) * stride:,}"
    return " " * (margin + 2) + first + axis.center(columns - len(first) - len(last)) + last
