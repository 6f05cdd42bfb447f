"""What a request for a picture may ask for."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scheduler.views.drawing.layout import WIDTH
from scheduler.views.summary import column_order, grouped_columns
from service.errors import InvalidRequestError, abbreviate
from service.tables.readable import ReadableTable

MOST_PANELS = 6
"""Hyperparameters that one picture shows: more would be a page, not a picture."""
_LEAST_PANEL = 90  # pixels of the height for each of them


class PlotQuery(BaseModel):
    """Which columns a picture shows, and how large."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: str | None = Field(
        None,
        max_length=1000,
        description="columns to draw, separated by commas: lr,momentum; lr stands for all parameter groups of lr, lr.1 "
        f"for one. Default: lr and what else changes, at most {MOST_PANELS} hyperparameters. Of one hyperparameter at "
        "most 8 groups are drawn",
    )
    width: int = Field(WIDTH, ge=240, le=2000, description="pixels across")
    height: int | None = Field(None, ge=120, le=2000, description="pixels down; default: by the number of panels")
    log: bool | None = Field(
        None, description="whether the values stand on a log scale; default: where they are above 0 and span decades"
    )
    title: str | None = Field(
        None, max_length=120, description="a line above the picture; default: the start of the digest; empty for none"
    )

    def columns_of(self, table: ReadableTable) -> list[str]:
        """Return the columns to draw. Raises `InvalidRequestError` for one that the table lacks, or for too many."""
        present = sorted(table.columns, key=column_order)
        groups = grouped_columns(present)
        if self.columns is None:
            changing = [names for group, names in groups.items() if group == "lr" or _changes(table, names)]
            chosen = [name for names in (changing or list(groups.values()))[:MOST_PANELS] for name in names]
        else:
            found = {name for word in self.columns.split(",") for name in self._named(word, groups)}
            chosen = [name for name in present if name in found]
        self._check_panels(len(grouped_columns(chosen)))
        return chosen

    def _named(self, word: str, groups: dict[str, list[str]]) -> list[str]:
        if word in groups:
            return groups[word]
        if word in groups.get(word.partition(".")[0], ()):
            return [word]
        known = ", ".join(list(groups)[:20])
        raise InvalidRequestError.of_parameter(
            "columns", f"columns must be of this table, which has {known}, got {abbreviate(word)!r}", self.columns
        )

    def _check_panels(self, panels: int) -> None:
        if panels > MOST_PANELS:
            detail = f"columns must be of at most {MOST_PANELS} hyperparameters, got {panels}"
            raise InvalidRequestError.of_parameter("columns", detail, self.columns)
        if self.height is not None and self.height < _LEAST_PANEL * panels:
            least = _LEAST_PANEL * panels
            detail = f"height must be at least {least} for {panels} panels, got {self.height}"
            raise InvalidRequestError.of_parameter("height", detail, self.height)


def _changes(table: ReadableTable, columns: list[str]) -> bool:
    return any(table.columns[name].min() != table.columns[name].max() for name in columns)


class SvgQuery(PlotQuery):
    """A picture as SVG."""

    theme: Literal["auto", "light", "dark"] = Field(
        "auto", description="auto follows the reader's pages (prefers-color-scheme)"
    )


class PngQuery(PlotQuery):
    """A picture as PNG."""

    theme: Literal["light", "dark"] = Field("light", description="an image has one background: it cannot follow pages")
    scale: int = Field(2, ge=1, le=3, description="pixels of the image for each of width and height")
