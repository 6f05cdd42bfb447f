"""A schedule or table in a notebook: HTML with a small picture, the length, the range of values and the digest.

The picture is written here and needs no drawing library. Its background is transparent, its text and axes have the
page's own colour, and its lines have colours that stand out from white and from black, so that it can be read in a
light and in a dark notebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import Values
from scheduler.messages.display import draw_html
from scheduler.schedule import Schedule
from scheduler.spec import Spec, stated_length
from scheduler.table import Table
from scheduler.views.chart import number
from scheduler.views.summary import (
    call,
    column_order,
    extremes,
    grouped_columns,
    length_in_words,
    spans_decades,
)

COLORS = ("#2f7ed8", "#d55e00", "#009e73", "#b25fa0", "#8a7a00", "#6f6fd0")
"""Colours of the lines, each with a contrast of at least 3 to white and to black."""

_WIDTH, _PANEL = 480, 96  # pixels: of the picture, and the height of one panel's axes
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 70, 10, 10, 20, 16
_BUCKETS = 200  # runs of rows, each drawn by its extremes
_MOST_PANELS = 4
_MOST_ROWS = 2_000_000  # of a schedule that are computed; of a longer one, places
_PLACES = 1000
_NO_LENGTH = 1000  # steps shown of a schedule that says nothing of its length, at least
_RISES = 4  # and so many times its warmup
_LONGEST_CALL = 300  # characters


class _Curve(NamedTuple):
    """One column: the rows that are drawn (ascending, shape [m]), and the values there."""

    rows: NDArray[np.intp]
    values: Values


def html(shown: Schedule | Table) -> str:
    """What a notebook shows of a schedule or table: HTML with an inline SVG of a few kilobytes, however long it is.

    A schedule is shown over the steps that it states, or else over the first ones. One that is no curve by itself,
    such as a Ramp from "previous", is shown without a picture, with the reason.
    """
    lines = _of_table(shown) if isinstance(shown, Table) else _of_schedule(shown)
    return f'<div style="line-height:1.4;max-width:600px">{"".join(lines)}</div>'


def _of_table(table: Table) -> Iterator[str]:
    spec: Spec | None = table.spec
    yield _line("<b>Table</b>", _code(table.digest))
    yield from (_line(_code(_short(call(schedule)))) for schedule in (spec.schedules[:3] if spec else ()))
    yield _svg({name: _curve(values) for name, values in table.columns.items()}, table.total_steps, table)
    yield _line(f"{length_in_words(table)}; past the last row: {table.after}")
    yield from _ranges(table.columns)


def _of_schedule(schedule: Schedule) -> Iterator[str]:
    yield _line("<b>Schedule</b>", _code(_short(call(schedule))))
    stated = stated_length([schedule])
    steps = stated or max(_NO_LENGTH, _RISES * schedule.rising_steps)
    told = f"{steps:,} steps" if stated else f"no stated length; the first {steps:,} steps are shown"
    try:
        if steps > _MOST_ROWS:
            yield from _of_places(schedule, steps, told)
            return
        table = Table(schedule.columns(steps))
    except (ValueError, LookupError) as error:  # a part of something else, or rates that are none
        yield _line(escape(f"no picture: {error}"))
        return
    yield _svg({name: _curve(values) for name, values in table.columns.items()}, steps, table)
    yield _line(told)
    yield from _ranges(table.columns)
    yield _line(f"digest of the table of {steps:,} steps:", _code(table.digest))


def _of_places(schedule: Schedule, steps: int, told: str) -> Iterator[str]:
    """A schedule of very many steps, by its rates at some of them."""
    if schedule.is_stepped:
        yield _line(f"{told}; no picture: each step's rate follows from the one before")
        return
    places = np.unique(np.linspace(0, steps - 1, _PLACES).astype(np.intp))
    rates = schedule.get_lr(places)
    yield _svg({"lr": _Curve(places, rates)}, steps, None)
    yield _line(f"{told}; drawn from {len(places):,} of them")
    yield from _ranges({"lr": rates})


def _curve(values: Values) -> _Curve:
    rows = extremes(values, _BUCKETS)
    return _Curve(rows, values[rows])


def _ranges(columns: Mapping[str, Values]) -> Iterator[str]:
    """A line for each column that is drawn, with its colour where there are several."""
    drawn = [(name, color) for names in _panels(columns) for name, color in zip(names, COLORS, strict=False)]
    for name, color in drawn:
        values = columns[name]
        low, high, first, last = (number(float(value), 6) for value in (values.min(), values.max(), *values[[0, -1]]))
        mark = f'<span style="color:{color}">■</span> ' if len(drawn) > 1 else ""
        yield _line(f"{mark}{_code(name)} from {low} to {high}; first {first}, last {last}")
    if len(columns) > len(drawn):
        yield _line(f"and {len(columns) - len(drawn)} more columns")


# -- the picture ------------------------------------------------------------------------------------------------------


def _svg(columns: Mapping[str, _Curve], length: int, table: Table | None) -> str:
    """Curves over `length` rows: a panel for each hyperparameter, the groups of one in one panel."""
    panels = _panels(columns)
    height = _TOP + len(panels) * (_PANEL + _GAP) - _GAP + _BOTTOM
    parts = [
        part
        for index, names in enumerate(panels)
        for part in _panel(names[0].partition(".")[0], [columns[name] for name in names], length, index)
    ]
    stride, axis = (table.stride, table.axis) if table else (1, "step")
    parts += [
        _text(_LEFT, height - 5, "0", "start"),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, height - 5, axis, "middle"),
        _text(_WIDTH - _RIGHT, height - 5, f"{length * stride:,}", "end"),
    ]
    label = escape(f"{', '.join(names[0] for names in panels)} over {length:,} rows", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'style="max-width:100%" font-family="sans-serif" font-size="10" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _panels(columns: Iterable[str]) -> list[list[str]]:
    """The columns of each panel: one hyperparameter, its groups in their order; the rates first."""
    return list(grouped_columns(sorted(columns, key=column_order)).values())[:_MOST_PANELS]


def _panel(title: str, curves: Sequence[_Curve], length: int, index: int) -> Iterator[str]:
    top = _TOP + index * (_PANEL + _GAP)
    drawn = curves[: len(COLORS)]
    low = min(float(curve.values.min()) for curve in drawn)
    high = max(float(curve.values.max()) for curve in drawn)
    bottom = top + _PANEL
    yield (
        f'<path d="M{_LEFT} {top}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="currentColor" stroke-opacity="0.5"/>'
    )
    log = spans_decades(curve.values for curve in drawn)
    labels = {top + 4: number(high, 4), bottom + 3: number(low, 4)} if high > low else {}
    middle = f"{title}{' (log)' if log else ''}" if labels else f"{title} {number(high, 4)}"
    for place, text in (labels | {(top + bottom) // 2 + 4: middle}).items():
        yield _text(_LEFT - 5, place, text, "end")
    for curve, color in zip(drawn, COLORS, strict=False):
        x = _LEFT + curve.rows / length * (_WIDTH - _RIGHT - _LEFT)
        drawn_as = np.log if log else np.asarray
        shares = _shares(drawn_as(curve.values), float(drawn_as(low)), float(drawn_as(high)))
        y = bottom - shares * _PANEL
        path = _path(x, y, levels=len(curve.rows) == length)
        yield f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'


def _shares(values: Values, low: float, high: float) -> Values:
    """Heights from 0 to 1; of a constant, and of a range that floats can hardly tell apart, only the level."""
    if high - low < np.finfo(np.float64).tiny:
        return np.full(len(values), 0.5)
    return np.asarray((values - low) / (high - low))


def _path(x: Values, y: Values, *, levels: bool) -> str:
    """A line through points, or a level from each to the next; where a run has one height, its ends are enough."""
    kept = np.ones(len(y), dtype=bool)
    kept[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
    join = "H{0:.1f}V{1:.1f}" if levels else "L{0:.1f} {1:.1f}"
    (first, height), *points = zip(x[kept].tolist(), y[kept].tolist(), strict=True)
    return f"M{first:.1f} {height:.1f}{''.join(join.format(*point) for point in points)}H{_WIDTH - _RIGHT}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'


# -- the lines of text ------------------------------------------------------------------------------------------------


def _line(*parts: str) -> str:
    return f"<div>{' '.join(parts)}</div>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CALL else f"{text[:_LONGEST_CALL]} ..."


draw_html.provide(html)
