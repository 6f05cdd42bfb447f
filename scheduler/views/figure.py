"""A matplotlib figure that a notebook shows."""

from __future__ import annotations

from io import StringIO

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure that a notebook shows at the end of a cell. It needs neither pyplot nor `%matplotlib inline`."""

    def _repr_svg_(self) -> str:
        text = StringIO()
        self.savefig(text, format="svg", metadata={"Date": None})
        return text.getvalue()
