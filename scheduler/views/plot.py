"""A table as a picture: PNG or SVG, through matplotlib (extra `plot`)."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scheduler.fields import Values
from scheduler.spec import Spec
from scheduler.table import Table, draw
from scheduler.table_format import Axis
from scheduler.views.difference import difference
from scheduler.views.drawing.svg_text import CLASS
from scheduler.views.summary import (
    boundaries,
    call,
    column_order,
    extremes,
    grouped_columns,
    progress,
    short_progress,
    spans_decades,
    unit_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_SUFFIXES = (".png", ".svg")
# matplotlib's colors stand in each shape: all are turned at once, and keep their hues.
_DARK = (
    f"<style>@media (prefers-color-scheme: dark) {{ .{CLASS} {{ filter: invert(0.9) hue-rotate(180deg) }} }}</style>"
)
_BUCKETS = 2000  # more than the picture has pixels across: drawing every extreme of them loses nothing visible
_MOST_BOUNDARIES = 12  # more marks than this would hide what they mark
_NAMED_BOUNDARIES = 6
_MOST_CALLS = 3
_MOST_MARKERS = 30
_NORMAL, _WIDE = 1.5, 3.0
_OVER: dict[str, Any] = {"linewidth": 1.0, "linestyle": "--", "color": "black"}  # to be seen on top of _WIDE


def plot(
    table: Table,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    applied: ArrayLike | Mapping[str, ArrayLike] | None = None,
    log: bool | None = None,
) -> Figure:
    """Draw every column of a table over its axis and return the matplotlib `Figure`.

    A value is drawn as a level from its row to the next, since that is how long it is in force. Columns of parameter
    groups share a panel with the others of their name. Boundaries are marked where they are known and few. A table of
    any length is drawn from its extremes: 10 million steps take no longer than their reading, and no spike is lost.

    Args:
        table: the table.
        path: file to save, `.png` or `.svg`; None saves nothing.
        title: None: the schedule and its parameters, where the table has a spec, and the table's digest.
        applied: the rates really applied during a training, one per row, drawn over the planned ones: `lr` alone, or
            a mapping of column name to values. The legend says whether they are equal bit for bit, and if not, the
            first differing step. They may be fewer or more than the table's rows.
        log: whether the values stand on a log scale; None: where they are above 0 and span decades
            (`scheduler.views.summary.spans_decades`).

    Raises `ImportError` without matplotlib; `ValueError` for another suffix, for applied values of an unknown column
    and for those that are not one-dimensional and finite; `OSError` where the file cannot be written. Nothing global
    in matplotlib is touched, so threads may draw at once.
    """
    target = None if path is None else picture_path(path)
    actual = _applied(table, applied)
    panels = grouped_columns(sorted(table.columns, key=column_order))
    figure = empty_figure(1.2 + 2.8 * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for panel, (name, columns) in zip(axes, panels.items(), strict=True):
        panel.set_ylabel(unit_of(name))
        for column in columns:
            _draw(panel, table, column, actual.get(column), is_alone=len(columns) == 1)
        _mark_boundaries(panel, table, columns, is_named=panel is axes[0])
        scale_values(panel, [table.columns[column] for column in columns], log=log)
        finish(panel, table.axis)
    axes[-1].set_xlabel(table.axis)
    figure.suptitle(_title(table) if title is None else title, fontsize=10)
    if target is not None:
        save(figure, target)
    return figure


def plot_lines(
    path: str | os.PathLike[str] | None,
    unit: str,
    lines: Mapping[str, Sequence[float]],
    *,
    title: str,
    over: Mapping[str, Sequence[float]] | None = None,
    over_name: str = "again",
) -> Figure:
    """Draw measured values, one per epoch counted from 1, as named lines in one panel; save them where a path is given.

    `over` is drawn on top, thin and dashed, so that equal lines show as equal; the legend calls all of it `over_name`.
    Raises as `plot` does.
    """
    target = None if path is None else picture_path(path)
    figure = empty_figure(1.2 + 2.8)
    panel = figure.subplots()
    _draw_epochs(panel, lines, linewidth=_WIDE if over else _NORMAL)
    if over:
        _draw_epochs(panel, {f"_{name}": values for name, values in over.items()}, **_OVER)
        panel.lines[-1].set_label(over_name)  # they all look alike: one entry for them
    panel.set(xlabel="epoch", ylabel=unit)
    finish(panel, "epoch")
    figure.suptitle(title, fontsize=10)
    if target is not None:
        save(figure, target)
    return figure


def _draw_epochs(panel: Axes, lines: Mapping[str, Sequence[float]], **style: Any) -> None:
    """Lines over the epochs from 1; a name with _ in front stands in no legend."""
    for name, values in lines.items():
        marker = "o" if len(values) < _MOST_MARKERS else ""  # a single epoch would not show as a line
        panel.plot(range(1, len(values) + 1), values, label=name, marker=marker, markersize=3, **style)


def empty_figure(height: float) -> Figure:
    """An empty figure, `height` inches high.

    A notebook shows it. It is not pyplot's: pyplot keeps every figure alive and shares them between threads.
    """
    try:
        from scheduler.views.figure import NotebookFigure  # noqa: PLC0415  # matplotlib is an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ImportError(
            "drawing a picture needs matplotlib: pip install 'lrtables[plot]'", name=error.name
        ) from error
    return NotebookFigure(figsize=(10, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Save a figure: a PNG on white, or an SVG that turns dark with the page it is shown in."""
    if path.suffix.lower() != ".svg":
        figure.savefig(path, dpi=150, facecolor="white")
        return
    text = io.StringIO()
    figure.savefig(text, format="svg", facecolor="white")
    path.write_text(
        text.getvalue().replace("<svg ", f'<svg class="{CLASS}" ', 1).replace(" <defs>", f" {_DARK}\n <defs>", 1)
    )


def picture_path(path: str | os.PathLike[str]) -> Path:
    """The path of a picture. Raises `ValueError` for a suffix that is not `.png` or `.svg`."""
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise ValueError(f"a picture's path must end in {' or '.join(_SUFFIXES)}, got {os.fspath(path)!r}")
    return Path(path)


def _applied(table: Table, applied: ArrayLike | Mapping[str, ArrayLike] | None) -> dict[str, Values]:
    """Column name to the values applied, checked."""
    given = {} if applied is None else applied if isinstance(applied, Mapping) else {"lr": applied}
    actual = {name: np.asarray(values, dtype=np.float64) for name, values in given.items()}
    for name, values in actual.items():
        if name not in table.columns:
            raise ValueError(f"applied has a column {name!r}, the table only {', '.join(table.columns)}")
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"applied {name!r} must have one value per row, got shape {list(values.shape)}")
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise ValueError(f"applied {name!r} must be finite, got {values[row]} at row {row}")
    return actual


def _draw(panel: Axes, table: Table, column: str, actual: Values | None, *, is_alone: bool) -> None:
    values = table.columns[column]
    label = "_" if is_alone and actual is None else column  # the panel's own name says it
    levels(panel, values, table.stride, label=label, linewidth=_NORMAL if actual is None else _WIDE)
    if actual is not None:
        label = f"{column} applied: {_verdict(values, actual)}"
        levels(panel, actual, table.stride, label=label, **_OVER)


def levels(panel: Axes, values: Values, stride: int, **style: Any) -> Line2D:
    """Draw values as levels, the last one as long as the others."""
    rows = extremes(values, _BUCKETS)
    edges = np.append(rows, len(values)) * stride
    (line,) = panel.plot(edges, np.append(values[rows], values[-1]), drawstyle="steps-post", **style)
    return line


def _mark_boundaries(panel: Axes, table: Table, columns: Sequence[str], *, is_named: bool) -> None:
    """Mark where the formula changes; the legend has each list of steps once, in the picture's first panel."""
    named: set[str] = set()
    lines = [line for line in panel.lines if line.get_linestyle() == "-"]
    for column, line in zip(columns, lines, strict=True):
        rows = boundaries(table, column)
        if table.spec is None or len(rows) > _MOST_BOUNDARIES:
            continue
        steps = [row * table.stride for row in rows]
        said = " · ".join(progress(step, table.axis) for step in steps)
        label = f"boundaries: {said if len(steps) <= _NAMED_BOUNDARIES else f'{len(steps)} steps'}"
        for step in steps:
            panel.axvline(step, color="0.85", linewidth=0.8, zorder=0)
        shown = label if is_named and label not in named else "_"
        named.add(label)
        panel.plot(steps, table.columns[column][rows], "o", markersize=4, color=line.get_color(), label=shown)


def _verdict(planned: Values, actual: Values) -> str:
    """Whether the values applied are the planned ones, in words."""
    common = min(len(planned), len(actual))
    found = difference(planned[:common], actual[:common])
    if not found.equal:
        return f"differs from the table in {found.differing:,} of {common:,} rows, first in row {found.first:,}"
    beyond = len(actual) - len(planned)
    return f"equal in all {common:,} rows" + (f", then {beyond:,} rows past the table's end" if beyond > 0 else "")


def scale_values(panel: Axes, columns: Sequence[Values], *, log: bool | None) -> None:
    """Put the values of a panel on a log scale where that is asked for; None: where they span decades."""
    if spans_decades(columns) if log is None else log:
        panel.set_yscale("log", nonpositive="mask")


def finish(panel: Axes, axis: Axis) -> None:
    """Give a panel its grid, its legend where something has a name, and whole numbers along its axis."""
    panel.grid(visible=True, alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(x=0.01)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=8, framealpha=0.9)
    panel.locator_params(axis="x", integer=True)
    panel.xaxis.set_major_formatter(lambda value, _: short_progress(value, axis))


def _title(table: Table) -> str:
    spec: Spec | None = table.spec
    schedules = spec.schedules if spec is not None else ()
    calls = [shorten(call(schedule), 240, placeholder=" ...") for schedule in schedules[:_MOST_CALLS]]
    if len(schedules) > _MOST_CALLS:
        calls.append(f"and {len(schedules) - _MOST_CALLS} more parameter groups")
    lines = [line for text in calls for line in wrap(text, 120)]
    return "\n".join([*lines, f"table {table.digest[:12]}"])


draw.provide(plot)
