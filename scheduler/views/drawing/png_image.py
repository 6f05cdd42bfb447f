"""A drawing as a PNG image, through Pillow, which the extras `service` and `plot` bring."""

from __future__ import annotations

import io
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal

import PIL
from PIL import Image, ImageDraw, ImageFont

from scheduler.views.drawing.shapes import DARK, LIGHT, Drawing, Line, Path, Point, Text, Theme

_FINE = 3  # curves are drawn that many times as large, then made smaller: that smooths their edges
_STRIP = 200  # pixels of a drawing, across
_DASH = 3.0
_HALO = 2  # pixels of paper around a text

PILLOW = PIL.__version__
"""Pillow's version: another one may write other bytes."""


def png_image(drawing: Drawing, theme: Literal["light", "dark"] = "light", *, scale: int = 2) -> bytes:
    """Return a drawing as a PNG image with `scale` pixels for each of the drawing's, across and down.

    Characters that the font lacks, all but ASCII, become `?`.
    """
    canvas = _Canvas(drawing, DARK if theme == "dark" else LIGHT, scale)
    for shape in drawing.shapes:
        if isinstance(shape, Line):
            canvas.line(shape)
        elif isinstance(shape, Path):
            canvas.path(shape)
        else:
            canvas.text(shape)
    return canvas.png()


class _Canvas:
    """An image, and what draws on it."""

    def __init__(self, drawing: Drawing, colors: Theme, scale: int) -> None:
        self._colors = colors
        self._scale = scale
        self._image = Image.new("RGB", (drawing.width * scale, drawing.height * scale), colors["paper"])
        self._draw = ImageDraw.Draw(self._image)

    def png(self) -> bytes:
        file = io.BytesIO()
        self._image.save(file, "PNG", compress_level=9)
        return file.getvalue()

    def line(self, line: Line) -> None:
        """An upright or level line on whole pixels, so that it is sharp; another one as a path."""
        (x1, y1), (x2, y2) = line.start, line.stop
        if line.is_dashed:
            count = int(abs(y2 - y1) // (2 * _DASH)) + 1
            for place in range(count):
                start = min(y1, y2) + 2 * _DASH * place
                self._bar(x1, start, x2, min(start + _DASH, max(y1, y2)), line)
        elif x1 == x2 or y1 == y2:
            self._bar(x1, y1, x2, y2, line)
        else:
            self.path(Path(sorted((line.start, line.stop)), line.role, line.width))

    def _bar(self, x1: float, y1: float, x2: float, y2: float, line: Line) -> None:
        width = max(1, round(line.width * self._scale))
        left, right = (round(at * self._scale) for at in sorted((x1, x2)))
        top, bottom = (round(at * self._scale) for at in sorted((y1, y2)))
        if x1 == x2:
            left, right = left - width // 2, left - width // 2 + width
        else:
            top, bottom = top - width // 2, top - width // 2 + width
        self._draw.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), fill=self._colors[line.role])

    def path(self, path: Path) -> None:
        """Draw a curve that never turns back, strip by strip: the fine mask of a large one would take much memory."""
        across = [x for x, _ in path.points]
        room = math.ceil(path.width) + 1
        start, stop = math.floor(across[0]) - room, math.ceil(across[-1]) + room
        for left in range(start, stop, _STRIP):
            right = min(left + _STRIP, stop)
            first, last = bisect_left(across, left - room), bisect_right(across, right + room)
            self._strip(path.points[max(first - 1, 0) : last + 1], path, left, right)

    def _strip(self, points: Sequence[Point], path: Path, left: int, right: int) -> None:
        """Draw what a curve has in these columns, through a mask that is made smaller to smooth the edges."""
        room = math.ceil(path.width) + 1
        top = math.floor(min(y for _, y in points)) - room
        bottom = math.ceil(max(y for _, y in points)) + room
        fine = self._scale * _FINE
        mask = Image.new("L", ((right - left) * fine, (bottom - top) * fine))
        places = [((x - left) * fine, (y - top) * fine) for x, y in points]
        ImageDraw.Draw(mask).line(places, fill=255, width=round(path.width * fine), joint="curve")
        image = mask.reduce(_FINE)
        place = (left * self._scale, top * self._scale)
        self._image.paste(self._colors[path.role], (*place, place[0] + image.width, place[1] + image.height), image)

    def text(self, text: Text) -> None:
        written = "".join(character if " " <= character <= "~" else "?" for character in text.text)
        font = _font(text.size * self._scale)
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[text.anchor]
        x, y = (at * self._scale for at in text.at)
        if not text.is_turned:
            halo, paper = _HALO * self._scale * text.has_halo, self._colors["paper"]
            self._draw.text(
                (x, y), written, self._colors[text.role], font, anchor, stroke_width=halo, stroke_fill=paper
            )
            return
        wide, high = round(font.getlength(written)) + 2, 2 * text.size * self._scale
        mask = Image.new("L", (wide, high))
        ImageDraw.Draw(mask).text((wide / 2, high / 2), written, fill=255, font=font, anchor="ms")
        turned = mask.transpose(Image.Transpose.ROTATE_90)
        place = (round(x) - high // 2, round(y) - wide // 2)
        self._image.paste(self._colors[text.role], (*place, place[0] + high, place[1] + wide), turned)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font: a server may have none."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "this Pillow was built without FreeType"
    return font
