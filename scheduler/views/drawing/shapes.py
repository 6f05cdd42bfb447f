"""The shapes of a drawing, and the colors of its themes. A shape names a role; a theme gives each role its color."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Line:
    """A straight line."""

    start: Point
    stop: Point
    role: str
    width: float = 1
    is_dashed: bool = False


@dataclass(frozen=True)
class Path:
    """A curve: straight lines from point to point, each at or to the right of the one before."""

    points: Sequence[Point]
    role: str
    width: float


@dataclass(frozen=True)
class Text:
    """A line of text. `at` is on its base line; a turned one is read upwards, and one with a halo over other shapes."""

    at: Point
    text: str
    role: str = "text"
    anchor: Anchor = "start"
    size: int = 11
    is_turned: bool = False
    has_halo: bool = False


Shape = Line | Path | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes on paper of a width and height in pixels, in the order in which they are drawn."""

    width: int
    height: int
    title: str
    shapes: Sequence[Shape]


Theme = Mapping[str, str]
"""Role to color, `#rrggbb`. `paper` is the background; `line0` to `line7` are the curves."""

LINES = 8
"""Roles for curves: `line0` and so on."""


def _theme(lines: str, **others: str) -> Theme:
    return MappingProxyType({**others, **{f"line{place}": color for place, color in enumerate(lines.split())}})


LIGHT = _theme(
    "#0072b2 #d55e00 #009e73 #cc79a7 #56b4e9 #e69f00 #5f5f5f #000000",
    paper="#ffffff",
    text="#222222",
    grid="#e4e4e4",
    faint="#f0f0f0",
    axis="#555555",
    mark="#b00020",
    behind="#a8a8a8",
)
DARK = _theme(
    "#6cb6ff #ff9b6b #5fd498 #f0a3d4 #9cdcfe #e5bd57 #b9c1cd #ffffff",
    paper="#0d1117",
    text="#dfe4ea",
    grid="#272e38",
    faint="#1b2129",
    axis="#8b949e",
    mark="#ff8a80",
    behind="#6b7380",
)
"""Its paper is that of GitHub's dark pages, which most pictures in a README are seen on."""
