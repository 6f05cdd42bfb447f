"""Several tables over one another, or two sides and their difference, as a picture through matplotlib."""

from __future__ import annotations

import os
from collections.abc import Mapping
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from scheduler.fields import Values
from scheduler.table import Table
from scheduler.views.plot import empty_figure, finish, levels, picture_path, save, scale_values
from scheduler.views.summary import grouped_columns, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BELOW: dict[str, Any] = {"linewidth": 3.0}
_OVER: dict[str, Any] = {"linewidth": 1.0, "linestyle": "--", "color": "black"}  # to be seen on top of A

Pairs = Mapping[str, tuple[Values, Values]]
"""Column name to the values of A and B, shape [n] each."""


def overlay(path: str | os.PathLike[str], pairs: Pairs, *, names: tuple[str, str]) -> Figure:
    """Draw A's columns, B's on top of them and A - B in a panel below, save the picture and return it.

    Columns of parameter groups share their panels. A value is drawn as a level from its step to the next. `names` says
    in the title what A and B are. Raises `ImportError` without matplotlib, `ValueError` for a suffix that it does not
    know and where there is no column, `OSError` where the file cannot be written.
    """
    if not pairs:
        raise ValueError("there is nothing to draw: A and B have no column in common")
    target = picture_path(path)
    panels = grouped_columns(pairs)
    figure = empty_figure(1.5 + 4.4 * len(panels))
    axes = figure.subplots(2 * len(panels), sharex=True, squeeze=False)[:, 0]
    for (name, columns), above, below in zip(panels.items(), axes[::2], axes[1::2], strict=True):
        above.set_ylabel(unit_of(name))
        below.set_ylabel("A - B")
        for column in columns:
            _draw(above, below, column, *pairs[column])
        scale_values(above, [side for column in columns for side in pairs[column]], log=None)
        finish(above, "step")
        finish(below, "step")
    axes[-1].set_xlabel("step")
    figure.suptitle(
        "\n".join(f"{side}  {shorten(name, 120)}" for side, name in zip("AB", names, strict=True)), fontsize=9
    )
    save(figure, target)
    return figure


def draw_together(path: str | os.PathLike[str], tables: Mapping[str, Table], *, log: bool | None = None) -> Figure:
    """Draw the columns of several tables over one another, save the picture and return it.

    Args:
        path: file to save, `.png` or `.svg`.
        tables: name, for the legend, to table, one at least. Their rows count the same; strides may differ.
        log: whether the values stand on a log scale; None: where they span decades.

    Raises as `overlay` does.
    """
    target = picture_path(path)
    panels = grouped_columns(dict.fromkeys(column for table in tables.values() for column in table.columns))
    figure = empty_figure(1.2 + 2.8 * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for panel, (base, columns) in zip(axes, panels.items(), strict=True):
        panel.set_ylabel(unit_of(base))
        drawn = [
            (name, table, column) for name, table in tables.items() for column in columns if column in table.columns
        ]
        for place, (name, table, column) in enumerate(drawn):
            label = shorten(f"{name}{column.removeprefix(base)}", 100)
            width = _BELOW["linewidth"] if not place else 1.5  # the first is seen where others run over it
            levels(
                panel, table.columns[column], table.stride, label=label if panel is axes[0] else "_", linewidth=width
            )
        axis = drawn[0][1].axis
        scale_values(panel, [table.columns[column] for _, table, column in drawn], log=log)
        finish(panel, axis)
        panel.set_xlabel(axis if panel is axes[-1] else "")
    save(figure, target)
    return figure


def _draw(above: Axes, below: Axes, column: str, a: Values, b: Values) -> None:
    levels(above, a, 1, label=f"{column} of A", **_BELOW)
    levels(above, b, 1, label=f"{column} of B", **_OVER)
    levels(below, a - b, 1, linewidth=1.0)
