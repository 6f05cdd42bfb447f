"""A drawing as SVG text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal
from xml.sax.saxutils import escape

from scheduler.views.drawing.shapes import DARK, LIGHT, Drawing, Line, Path, Point, Shape, Text, Theme

CLASS = "lrtables-picture"
"""The class of the SVG element: rules for its shapes meet no other picture of the same page."""

ThemeName = Literal["auto", "light", "dark"]
"""`auto` follows the reader's pages (`prefers-color-scheme`); where that is not known it is light."""


def svg_text(drawing: Drawing, theme: ThemeName = "auto") -> str:
    """Return a drawing as SVG. The same drawing gives the same text."""
    colors = DARK if theme == "dark" else LIGHT
    is_auto = theme == "auto"
    body = "\n".join(_element(shape, colors, is_auto=is_auto) for shape in drawing.shapes)
    size = f'viewBox="0 0 {drawing.width} {drawing.height}" width="{drawing.width}" height="{drawing.height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{CLASS}" {size} '
        f'font-family="sans-serif" font-size="11" role="img">\n'
        f"<title>{_escaped(drawing.title or 'schedule')}</title>\n{_style() if is_auto else ''}"
        f'<rect{_class("paper", "f", is_auto=is_auto)} width="{drawing.width}" height="{drawing.height}" '
        f'fill="{colors["paper"]}"/>\n{body}\n</svg>\n'
    )


def _style() -> str:
    """The colors of dark pages. Rules win over attributes, which are for what knows no rules."""
    rules = "".join(f".{CLASS} .{role}-{what}{{{name}:{DARK[role]}}}" for role in DARK for what, name in _USES[role])
    return f"<style>@media (prefers-color-scheme: dark) {{ {rules} }}</style>\n"


_FILL, _STROKE = ("f", "fill"), ("s", "stroke")
_USES = {role: (_STROKE,) for role in DARK} | {
    "paper": (_FILL, _STROKE),  # the halo of a text is a stroke
    "text": (_FILL,),
    "mark": (_FILL, _STROKE),
}


def _class(role: str, *whats: str, is_auto: bool) -> str:
    return f' class="{" ".join(f"{role}-{what}" for what in whats)}"' if is_auto else ""


def _element(shape: Shape, colors: Theme, *, is_auto: bool) -> str:
    if isinstance(shape, Line):
        return _line(shape, colors, is_auto=is_auto)
    if isinstance(shape, Path):
        style = f'fill="none" stroke="{colors[shape.role]}" stroke-width="{shape.width:g}" stroke-linejoin="round"'
        return f'<path{_class(shape.role, "s", is_auto=is_auto)} d="{_data(shape)}" {style}/>'
    return _text(shape, colors, is_auto=is_auto)


def _line(line: Line, colors: Theme, *, is_auto: bool) -> str:
    dash = ' stroke-dasharray="3 3"' if line.is_dashed else ""
    (x1, y1), (x2, y2) = line.start, line.stop
    ends = " ".join(f'{name}="{_short(at)}"' for name, at in (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)))
    color = f'stroke="{colors[line.role]}" stroke-width="{line.width:g}"'
    return f"<line{_class(line.role, 's', is_auto=is_auto)} {ends} {color}{dash}/>"


def _data(path: Path) -> str:
    """The path's data. A point that differs from the last one in one coordinate alone is written with that one."""
    return "".join(_steps(iter(path.points), _short))


def _steps(points: Iterator[Point], short: Callable[[float], str]) -> Iterator[str]:
    x, y = map(short, next(points))
    yield f"M{x} {y}"
    for point in points:
        to_x, to_y = map(short, point)
        if to_x != x and to_y != y:
            yield f"L{to_x} {to_y}"
        elif to_x != x:
            yield f"H{to_x}"
        elif to_y != y:
            yield f"V{to_y}"
        x, y = to_x, to_y


def _text(text: Text, colors: Theme, *, is_auto: bool) -> str:
    x, y = map(_short, text.at)
    turn = f' transform="rotate(-90 {x} {y})"' if text.is_turned else ""
    place = f'x="{x}" y="{y}" font-size="{text.size}" text-anchor="{text.anchor}" fill="{colors[text.role]}"'
    own = f"{text.role}-f" + (" paper-s" if text.has_halo else "")
    named = f' class="{own}"' if is_auto else ""
    halo = f' stroke="{colors["paper"]}" stroke-width="4" paint-order="stroke"' if text.has_halo else ""
    return f"<text{named} {place}{turn}{halo}>{_escaped(text.text)}</text>"


def _escaped(text: str) -> str:
    """The text as XML can hold it: without control characters, which no XML may have, and lone surrogates."""
    return escape("".join(character if character.isprintable() else "?" for character in text))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
