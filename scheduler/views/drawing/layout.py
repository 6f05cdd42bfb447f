"""Where the parts of a picture of tables go: panels, axes, curves, legends and marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from typing_extensions import override

from scheduler.fields import Values
from scheduler.table_format import Axis
from scheduler.views.chart import number
from scheduler.views.drawing.curves import Curves
from scheduler.views.drawing.shapes import LINES, Drawing, Line, Path, Point, Shape, Text
from scheduler.views.summary import column_order, grouped_columns, short_progress, spans_decades, unit_of

WIDTH = 860
"""Pixels of a picture across."""
PANEL, GAP = 260, 26
"""Pixels of a panel's axes in height, and between two panels."""
BELOW = 44
"""Pixels below the last panel."""
_LEFT, _RIGHT = 78, 18
_TOP, _TITLE, _MARKS = 14, 18, 40  # pixels above the first panel: always, and for what is there
_LETTER = 6.2  # pixels that a letter of a label takes
_LANES = 3  # lines of labels above the first panel
_MOST_NAMES = 3  # of grey tables in the legend
_TICKS = 6
_PER_TICK = 110, 40  # pixels across and down
_LEAST, _MOST = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)  # a difference that is drawn; a value
_POWERS = range(-323, 309)  # of ten, that a float64 holds
_NOTHING: Mapping[int, str] = MappingProxyType({})


def drawing_of(
    tables: Mapping[str, Curves],
    *,
    title: str = "",
    marks: Mapping[int, str] = _NOTHING,
    width: int = WIDTH,
    height: int | None = None,
    log: bool | None = None,
) -> Drawing:
    """Lay out tables over one another.

    Args:
        tables: name, for the legend, to what is drawn of the table; one at least. The last gives axis and stride.
        title: a line above the picture.
        marks: row to the label of a vertical line there.
        width: pixels across.
        height: pixels down; None: 260 for each panel, and what stands around them.
        log: whether the values stand on a log scale, those not above 0 at the bottom; None: where they span decades.

    Raises `ValueError` for no table.
    """
    if not tables:
        raise ValueError("tables must have at least one table, got none")
    panels = grouped_columns(sorted({name for table in tables.values() for name in table.columns}, key=column_order))
    above = _TOP + (_TITLE if title else 0) + (_MARKS if marks else 0)
    high = PANEL if height is None else (height - above - BELOW + GAP) / len(panels) - GAP
    last = list(tables.values())[-1]
    rows = max(table.total_steps for table in tables.values())
    across = _Scale(0.0, float(rows * last.stride), _LEFT, width - _RIGHT, most=_most(width - _LEFT - _RIGHT, 0))
    shapes: list[Shape] = [Text((_LEFT, 18), title, size=13)] if title else []
    named: list[tuple[str, str]] = []
    for index, (name, columns) in enumerate(panels.items()):
        frame = _Frame(above + index * (high + GAP), high, across)
        drawn = columns[:LINES]
        shapes += _panel(name, columns, tables, frame, log=log)
        shapes += _axis(frame, last.axis) if index == len(panels) - 1 else ()
        legend = _legend_entries(drawn, tables)
        shapes += _legend(legend, frame) if legend != named else ()  # what the panel above says is not said again
        named = legend
    bottom = above + len(panels) * (high + GAP) - GAP
    shapes += _marks({row * last.stride: label for row, label in sorted(marks.items())}, across, above, bottom)
    return Drawing(width, round(bottom + BELOW), title, shapes)


@dataclass(frozen=True)
class _Scale:
    """A straight map from values to pixels, with at most about `most` round values to be labelled."""

    low: float
    high: float
    start: float
    stop: float
    most: int = _TICKS

    def __call__(self, value: float) -> float:
        """The place of a value."""
        share = (value / 4 - self.low / 4) / (self.high / 4 - self.low / 4)  # quarters, as a difference may overflow
        return self.start + share * (self.stop - self.start)

    @property
    def ticks(self) -> list[float]:
        """About `most` round values from `low` to `high`."""
        return _round_values(self.low, self.high, self.most)


def _round_values(low: float, high: float, most: int) -> list[float]:
    """About `most` values between two, as far apart as 1, 2 or 5 times a power of ten."""
    rough = high / most - low / most
    if rough < _LEAST:
        return [high]  # next to nothing, and nothing between
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


class _LogScale(_Scale):
    """A map from the logarithms of values to pixels; values below `low`, and 0, lie on the bottom line."""

    @override
    def __call__(self, value: float) -> float:
        return super().__call__(max(math.log10(value), self.low) if value > 0 else self.low)

    @property
    @override
    def ticks(self) -> list[float]:
        """Powers of ten, at most `most`; where these are few, others between them."""
        powers = range(max(math.ceil(self.low), _POWERS.start), min(math.floor(self.high) + 1, _POWERS.stop))
        if 3 * len(powers) > self.most + 3:
            return [10.0**power for power in powers[:: -(-len(powers) // self.most)]]
        values = [digit * 10.0**power for power in range(powers.start - 1, powers.stop) for digit in (1, 2, 5)]
        kept = [value for value in values if value and self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]
        if len(kept) > 1:
            return kept
        return _round_values(10.0**self.low, 10.0 ** min(self.high, 308.25), 2 * self.most)


@dataclass(frozen=True)
class _Frame:
    """The place of a panel: its top, its height, and the scale across."""

    top: float
    height: float
    across: _Scale

    @property
    def bottom(self) -> float:
        """The place of the lowest line."""
        return self.top + self.height


def _most(pixels: float, way: int) -> int:
    """The number of labels that have room across (0) or down (1)."""
    return max(2, min(_TICKS, int(pixels // _PER_TICK[way])))


def _panel(
    name: str, columns: Sequence[str], tables: Mapping[str, Curves], frame: _Frame, *, log: bool | None
) -> Iterator[Shape]:
    drawn = columns[:LINES]
    shown = [table.columns[column].values for table in tables.values() for column in drawn if column in table.columns]
    up = _vertical(shown, frame, log=log)
    yield from _grid(frame, up)
    left_out = len(columns) - len(drawn)
    label = unit_of(name) + (f" (and {left_out} more groups)" if left_out else "")
    yield Text((16, frame.top + frame.height / 2), label, anchor="middle", is_turned=True)
    for title, table in tables.items():
        is_behind = title != list(tables)[-1]
        for place, column in enumerate(drawn):
            if column in table.columns:
                role, width = ("behind", 2.5) if is_behind else (f"line{place}", 1.6)
                yield Path(list(_points(table, column, frame.across, up)), role, width)


def _legend_entries(drawn: Sequence[str], tables: Mapping[str, Curves]) -> list[tuple[str, str]]:
    """Role and label of each line, and of all grey ones together; none where there is only one line."""
    *earlier, title = tables
    legend = [
        (f"line{place}", " ".join(_legend_words(title, column, bool(earlier), len(drawn) > 1)))
        for place, column in enumerate(drawn)
        if column in tables[title].columns
    ]
    if earlier:
        legend.insert(0, ("behind", _shortened(earlier)))
    return legend if len(legend) > 1 else []


def _legend_words(title: str, column: str, several_tables: bool, several_columns: bool) -> Iterator[str]:
    if several_columns:
        yield column
    if several_tables:
        yield title


def _shortened(names: Sequence[str]) -> str:
    """The names of the tables that are grey; of many the first and the last."""
    return ", ".join(names if len(names) <= _MOST_NAMES else [names[0], "...", names[-1]])


def _vertical(columns: Sequence[Values], frame: _Frame, *, log: bool | None) -> _Scale:
    """The scale of the values: logarithmic where they span decades; else from 0, unless they lie far above it."""
    most = _most(frame.height, 1)
    low, high = min(float(column.min()) for column in columns), max(float(column.max()) for column in columns)
    if high > 0 and (spans_decades(columns) if log is None else log):
        low = min(float(column[column > 0].min()) for column in columns if (column > 0).any())
        low, high = math.log10(low), math.log10(high)
        room = 0.04 * (high - low) or 0.5
        return _LogScale(low - room, high + room, frame.bottom, frame.top, most)
    if 0 <= low < 0.6 * high or low == high:
        low = min(low, 0.0)
    if not high - low >= _LEAST:
        high = low + max(1.0, -low)
    room = 0.04 * high - 0.04 * low
    return _Scale(max(low - (room if low else 0.0), -_MOST), min(high + room, _MOST), frame.bottom, frame.top, most)


def _grid(frame: _Frame, up: _Scale) -> Iterator[Shape]:
    left, right = frame.across.start, frame.across.stop
    for value in up.ticks:
        y = up(value)
        yield Line((left, y), (right, y), "grid")
        yield Text((left - 6, y + 4), number(value, 6), anchor="end")
    for value in frame.across.ticks:
        x = frame.across(value)
        yield Line((x, frame.top), (x, frame.bottom), "faint")
    yield Line((left, frame.bottom), (right, frame.bottom), "axis")
    yield Line((left, frame.top), (left, frame.bottom), "axis")


def _axis(frame: _Frame, axis: Axis) -> Iterator[Shape]:
    """The labels below the lowest panel; the last one ends within the picture."""
    across = frame.across
    for value in across.ticks:
        label = short_progress(value, axis) if across.high >= _TICKS else number(value)
        most = across.stop + _RIGHT - 2 - _LETTER * len(label) / 2
        yield Text((min(across(value), most), frame.bottom + 16), label, anchor="middle")
    yield Text(((across.start + across.stop) / 2, frame.bottom + 34), axis, anchor="middle")


def _points(table: Curves, column: str, across: _Scale, up: _Scale) -> Iterator[Point]:
    """The points of values drawn as levels, the last one as long as the others; of many, as lines between extremes."""
    curve, is_whole = table.columns[column], table.is_whole(column)
    heights = [up(value) for value in curve.values.tolist()]
    before = heights[0]
    yield across(0.0), before
    places = zip(curve.rows[1:].tolist(), heights[1:], [*heights[2:], math.nan])  # noqa: B905  # one row has no second
    for row, height, following in places:
        x = across(float(row * table.stride))
        if is_whole and height != before:
            yield x, before
            yield x, height
        elif not is_whole and (height != before or height != following):  # the ends of a plateau are enough
            yield x, height
        before = height
    yield across(float(table.total_steps * table.stride)), before


def _legend(entries: Iterable[tuple[str, str]], frame: _Frame) -> Iterator[Shape]:
    right = frame.across.stop - 8
    for index, (role, label) in enumerate(entries):
        y = frame.top + 14 + 15 * index
        yield Text((right - 26, y), label, anchor="end", has_halo=True)
        yield Line((right - 20, y - 4), (right, y - 4), role, width=2.5)


def _marks(marks: Mapping[int, str], across: _Scale, top: float, bottom: float) -> Iterator[Shape]:
    """Vertical lines with labels, which take turns on a few lines of text where they are close together."""
    ends = [-math.inf] * _LANES
    for step, label in marks.items():
        if not across.low <= step <= across.high:
            continue
        x = across(float(step))
        lane = next((lane for lane, end in enumerate(ends) if end < x), ends.index(min(ends)))
        ends[lane] = x + _LETTER * len(label) + 6
        y = top - 5 - 12 * lane
        yield Line((x, y + 2), (x, bottom), "mark", is_dashed=True)
        yield Text((x + 2, y), label, "mark")
