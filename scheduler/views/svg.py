"""Tables as a plain SVG picture, written here: it needs no drawing library, in a server or on a worker."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scheduler.table import Table
from scheduler.views.drawing.curves import curves_of
from scheduler.views.drawing.layout import drawing_of
from scheduler.views.drawing.svg_text import svg_text

_RUNS = 600  # of rows, each drawn by its extremes: more than can be told apart at this width
_NOTHING: Mapping[int, str] = MappingProxyType({})


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
    curves = {name: curves_of(table, _RUNS) for name, table in tables.items()}
    return svg_text(drawing_of(curves, title=title, marks=marks))
