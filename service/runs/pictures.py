"""A picture of a change: the old curve, the new one over it, and the step at which they part."""

from __future__ import annotations

from scheduler.views.drawing.layout import drawing_of
from scheduler.views.drawing.svg_text import svg_text
from service.tables.readable import ReadableTable
from service.tables.thinning import thinned

_POINTS = 1200  # of a curve: more than can be told apart


def picture_of_change(old: ReadableTable, new: ReadableTable, from_step: int, *, title: str) -> str:
    """Return a change of a run as an SVG picture, whatever the length of the tables; blocks while it reads them."""
    tables = {name: thinned(table, _POINTS) for name, table in (("before", old), ("after", new))}
    return svg_text(drawing_of(tables, title=title, marks={from_step: f"from step {from_step:,}"}))
