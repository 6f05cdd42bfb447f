"""Two sides' columns and their difference as a picture, through matplotlib (extra `plot`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from scheduler.fields import Values
from scheduler.views.plot import empty_figure, levels

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
    panels = _panels(pairs)
    figure = empty_figure(1.5 + 4.4 * len(panels))
    axes = figure.subplots(2 * len(panels), sharex=True, squeeze=False)[:, 0]
    for (name, columns), above, below in zip(panels.items(), axes[::2], axes[1::2], strict=True):
        above.set_ylabel(name.replace("_", " "))
        below.set_ylabel("A - B")
        for column in columns:
            _draw(above, below, column, *pairs[column])
        above.legend(fontsize=8, framealpha=0.9)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.set_major_formatter("{x:,.0f}")
    figure.suptitle(
        "\n".join(f"{side}  {shorten(name, 120)}" for side, name in zip("AB", names, strict=True)), fontsize=9
    )
    figure.savefig(path, dpi=150)
    return figure


def _panels(pairs: Pairs) -> dict[str, list[str]]:
    """Name without group to its columns."""
    panels: dict[str, list[str]] = {}
    for column in pairs:
        panels.setdefault(column.partition(".")[0], []).append(column)
    return panels


def _draw(above: Axes, below: Axes, column: str, a: Values, b: Values) -> None:
    levels(above, a, 1, label=f"{column} of A", **_BELOW)
    levels(above, b, 1, label=f"{column} of B", **_OVER)
    levels(below, a - b, 1, linewidth=1.0)
    for panel in (above, below):
        panel.grid(visible=True, alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
