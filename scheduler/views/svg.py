"""Tables as a plain SVG picture, written here: it needs no drawing library, in a server or on a worker."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from xml.sax.saxutils import escape

import numpy as np
from typing_extensions import override

from scheduler.fields import Values
from scheduler.table import Table
from scheduler.table_format import Axis
from scheduler.views.chart import number
from scheduler.views.summary import column_order, extremes, grouped_columns, short_progress, spans_decades, unit_of

_WIDTH, _PANEL = 860, 260  # pixels: of the picture, and the height of one panel's axes
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 18, 58, 44
_GAP = 26  # pixels between two panels
_LETTER = 6.2  # pixels that a letter of a label takes
_LANES = 3  # lines of labels above the first panel
_BUCKETS = 600  # runs of rows, each drawn by its extremes: more than can be told apart at this width
_MOST_COLUMNS = 8  # lines of one table in one panel
_MOST_NAMES = 3  # of grey tables in the legend
_TICKS = 6
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5f5f5f", "#000000")
_BEHIND = "#a8a8a8"
_NOTHING: Mapping[int, str] = MappingProxyType({})

DARK_CLASS = "lrtables-picture"
"""The class of the SVG element that `DARK_STYLE` is for, in a page with other pictures too."""
DARK_STYLE = (
    f"<style>@media (prefers-color-scheme: dark) {{ .{DARK_CLASS} {{ filter: invert(0.9) hue-rotate(180deg) }} }}"
    "</style>"
)
"""Turns a picture on white dark where the reader's pages are, and keeps its hues."""


def picture(tables: Mapping[str, Table], *, title: str = "", marks: Mapping[int, str] = _NOTHING) -> str:
    """Draw tables over one another and return the picture as SVG text.

    A value is drawn as a level from its row to the next; of a table with more rows than the picture has pixels, only
    the extremes are drawn, so no spike is lost. Each hyperparameter has a panel, the learning rate the first. Where
    there are several tables, all but the last are grey, and the last is drawn over them. Of many parameter groups only
    the first eight are drawn. The same tables give the same text.

    Args:
        tables: name, for the legend, to table; one at least. Axis and stride are those of the last.
        title: a line above the picture.
        marks: row to the label of a vertical line there, such as the version that begins in that row.

    Raises `ValueError` for no table.
    """
    if not tables:
        raise ValueError("tables must have at least one table, got none")
    panels = grouped_columns(sorted({name for table in tables.values() for name in table.columns}, key=column_order))
    last = list(tables.values())[-1]
    rows = max(table.total_steps for table in tables.values())
    horizontal = _Scale(0.0, float(rows * last.stride), _LEFT, _WIDTH - _RIGHT)
    height = _TOP + len(panels) * (_PANEL + _GAP) - _GAP + _BOTTOM
    parts = [_text(_LEFT, 18, title, size=13)] if title else []
    named: list[tuple[str, str]] = []
    for index, (name, columns) in enumerate(panels.items()):
        top = _TOP + index * (_PANEL + _GAP)
        is_lowest = index == len(panels) - 1
        parts += _panel(name, columns, tables, horizontal, top, last.axis, has_labels=is_lowest)
        legend = _legend_entries(columns[:_MOST_COLUMNS], tables)
        parts += _legend(legend, top) if legend != named else ()  # what the panel above says is not said again
        named = legend
    lines = {row * last.stride: label for row, label in sorted(marks.items())}
    parts += _marks(lines, horizontal, height - _BOTTOM)
    body = "\n".join(parts)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{DARK_CLASS}" {size} '
        f'font-family="sans-serif" font-size="11" role="img">\n'
        f"<title>{_escaped(title or 'schedule')}</title>\n{DARK_STYLE}\n"
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


@dataclass(frozen=True)
class _Scale:
    """A straight map from values to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    @property
    def ticks(self) -> list[float]:
        """About `_TICKS` round values from `low` to `high`."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


class _LogScale(_Scale):
    """A map from the logarithms of values to pixels; `low` and `high` are powers of ten."""

    @override
    def __call__(self, value: float) -> float:
        return super().__call__(math.log10(value))

    @property
    @override
    def ticks(self) -> list[float]:
        """Powers of ten, about `_TICKS`."""
        powers = range(math.ceil(self.low), math.floor(self.high) + 1)
        return [10.0**power for power in powers[:: -(-len(powers) // _TICKS)]]


def _panel(
    name: str,
    columns: Sequence[str],
    tables: Mapping[str, Table],
    horizontal: _Scale,
    top: float,
    axis: Axis,
    *,
    has_labels: bool,
) -> Iterator[str]:
    drawn = columns[:_MOST_COLUMNS]
    shown = [table.columns[column] for table in tables.values() for column in drawn if column in table.columns]
    vertical = _vertical(shown, top)
    yield from _grid(horizontal, vertical, axis, has_labels=has_labels)
    left_out = len(columns) - len(drawn)
    label = unit_of(name) + (f" (and {left_out} more groups)" if left_out else "")
    yield _text(16, top + _PANEL / 2, label, anchor="middle", turned=True)
    for title, table in tables.items():
        is_behind = title != list(tables)[-1]
        for column, own_color in zip(drawn, _COLORS, strict=False):
            if column not in table.columns:
                continue
            color, width = (_BEHIND, 2.5) if is_behind else (own_color, 1.6)
            path = _path(table.columns[column], table.stride, horizontal, vertical)
            yield f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def _legend_entries(drawn: Sequence[str], tables: Mapping[str, Table]) -> list[tuple[str, str]]:
    """Color and label of each line, and of all grey ones together; none where there is only one line."""
    *earlier, title = tables
    legend = [
        (color, " ".join(_legend_words(title, column, bool(earlier), len(drawn) > 1)))
        for column, color in zip(drawn, _COLORS, strict=False)
        if column in tables[title].columns
    ]
    if earlier:
        legend.insert(0, (_BEHIND, _shortened(earlier)))
    return legend if len(legend) > 1 else []


def _legend_words(title: str, column: str, several_tables: bool, several_columns: bool) -> Iterator[str]:
    if several_columns:
        yield column
    if several_tables:
        yield title


def _shortened(names: Sequence[str]) -> str:
    """The names of the tables that are grey; of many the first and the last."""
    return ", ".join(names if len(names) <= _MOST_NAMES else [names[0], "...", names[-1]])


def _vertical(columns: Sequence[Values], top: float) -> _Scale:
    """The scale of the values: logarithmic where they span decades; else from 0, unless they lie far above it."""
    if spans_decades(columns):
        low, high = (math.log10(extreme) for extreme in _extremes(columns))
        return _LogScale(low - 0.04 * (high - low), high + 0.04 * (high - low), top + _PANEL, top)
    low, high = _extremes(columns)
    if 0 <= low < 0.6 * high or low == high:
        low = min(low, 0.0)
    if not high - low >= np.finfo(np.float64).tiny:
        high = low + 1.0
    room = 0.04 * (high - low)
    return _Scale(low - (room if low else 0.0), high + room, top + _PANEL, top)


def _extremes(columns: Sequence[Values]) -> tuple[float, float]:
    return min(float(column.min()) for column in columns), max(float(column.max()) for column in columns)


def _grid(horizontal: _Scale, vertical: _Scale, axis: Axis, *, has_labels: bool) -> Iterator[str]:
    top, bottom = vertical.stop, vertical.start
    for value in vertical.ticks:
        y = vertical(value)
        yield _line(horizontal.start, y, horizontal.stop, y, "#e4e4e4")
        yield _text(horizontal.start - 6, y + 4, number(value, 6), anchor="end")
    for value in horizontal.ticks:
        x = horizontal(value)
        yield _line(x, top, x, bottom, "#f0f0f0")
        if has_labels:
            label = short_progress(value, axis) if horizontal.high >= _TICKS else number(value)
            yield _text(x, bottom + 16, label, anchor="middle")
    yield _line(horizontal.start, bottom, horizontal.stop, bottom, "#555555")
    yield _line(horizontal.start, top, horizontal.start, bottom, "#555555")
    if has_labels:
        yield _text((horizontal.start + horizontal.stop) / 2, bottom + 34, axis, anchor="middle")


def _path(values: Values, stride: int, horizontal: _Scale, vertical: _Scale) -> str:
    """The path of values drawn as levels, the last one as long as the others; of many, as lines between extremes."""
    rows = extremes(values, _BUCKETS)
    join = "H{x}V{y}" if len(rows) == len(values) else "L{x} {y}"
    heights = [_short(vertical(value)) for value in values[rows].tolist()]
    steps = [f"M{_short(horizontal(0.0))} {heights[0]}"]
    places = zip(rows[1:].tolist(), heights[:-1], heights[1:], [*heights[2:], ""], strict=True)
    for row, before, height, following in places:
        if height != before or (join[0] == "L" and height != following):  # the ends of a plateau are enough
            steps.append(join.format(x=_short(horizontal(float(row * stride))), y=height))
    return "".join([*steps, f"H{_short(horizontal(float(len(values) * stride)))}"])


def _legend(entries: Iterable[tuple[str, str]], top: float) -> Iterator[str]:
    for index, (color, label) in enumerate(entries):
        y = top + 14 + 15 * index
        right = _WIDTH - _RIGHT - 8
        yield _text(right - 26, y, label, anchor="end", halo=True)
        yield _line(right - 20, y - 4, right, y - 4, color, width=2.5)


def _marks(marks: Mapping[int, str], horizontal: _Scale, bottom: float) -> Iterator[str]:
    """Vertical lines with labels, which take turns on a few lines of text where they are close together."""
    ends = [-math.inf] * _LANES
    for step, label in marks.items():
        if not horizontal.low <= step <= horizontal.high:
            continue
        x = horizontal(float(step))
        lane = next((lane for lane, end in enumerate(ends) if end < x), ends.index(min(ends)))
        ends[lane] = x + _LETTER * len(label) + 6
        y = _TOP - 5 - 12 * lane
        yield _line(x, y + 2, x, bottom, "#b00020", dashed=True)
        yield _text(x + 2, y, label, color="#b00020")


def _line(x1: float, y1: float, x2: float, y2: float, color: str, *, width: float = 1, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="3 3"' if dashed else ""
    ends = " ".join(f'{name}="{_short(at)}"' for name, at in (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)))
    return f'<line {ends} stroke="{color}" stroke-width="{width:g}"{dash}/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: int = 11,
    color: str = "#222222",
    turned: bool = False,
    halo: bool = False,
) -> str:
    turn = f' transform="rotate(-90 {_short(x)} {_short(y)})"' if turned else ""
    place = f'x="{_short(x)}" y="{_short(y)}" font-size="{size}" text-anchor="{anchor}" fill="{color}"'
    behind = ' stroke="#ffffff" stroke-width="4" paint-order="stroke"' if halo else ""
    return f"<text {place}{turn}{behind}>{_escaped(text)}</text>"


def _escaped(text: str) -> str:
    """The text as XML can hold it: without control characters, which no XML may have, and lone surrogates."""
    return escape("".join(character if character.isprintable() else "?" for character in text))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
