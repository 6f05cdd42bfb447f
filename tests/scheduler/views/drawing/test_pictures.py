"""The drawing of tables that SVG and PNG share: sizes, themes, log scales, and the image's pixels."""

from __future__ import annotations

import io
import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from scheduler import Spec, Table
from scheduler.compose import Ramp
from scheduler.views.drawing.curves import curves_of
from scheduler.views.drawing.layout import drawing_of
from scheduler.views.drawing.png_image import png_image
from scheduler.views.drawing.shapes import DARK, LIGHT, Drawing, Path, Text
from scheduler.views.drawing.svg_text import svg_text


def drawn(*columns: np.ndarray, **options: object) -> Drawing:
    """The drawing of a table with these columns."""
    table = Table({f"lr.{group}" if len(columns) > 1 else "lr": values for group, values in enumerate(columns)})
    return drawing_of({"plan": curves_of(table, 300)}, **options)  # type: ignore[arg-type]  # options of the tests


def texts(drawing: Drawing) -> list[Text]:
    return [shape for shape in drawing.shapes if isinstance(shape, Text)]


def paths(drawing: Drawing) -> list[Path]:
    return [shape for shape in drawing.shapes if isinstance(shape, Path)]


def pixels(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


ANY = st.floats(allow_nan=False, allow_infinity=False)
EXTREMES = st.sampled_from([0.0, 5e-324, -5e-324, 2.3e-308, 1e-300, 1.0, -1e300, 1.7e308, -1.7e308])


@given(st.lists(ANY | EXTREMES, min_size=1, max_size=5), st.sampled_from([None, False, True]))
@example([-1.7e308, 1.7e308, 0.0], None)
@example([5e-324, 0.0, 5e-324], True)
@example([0.1], False)
@example([-1e300], False)
def test_any_numbers_can_be_drawn(values: list[float], log: bool | None) -> None:
    """One row or five, the largest and the least that there are: each point is a number, and lies on the paper."""
    drawing = drawing_of({"plan": curves_of(Table({"lr": [0.1] * len(values), "momentum": values}), 300)}, log=log)
    points = [point for path in paths(drawing) for point in path.points]
    assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in points)
    assert not {text.text for text in texts(drawing)} & {"nan", "inf", "-inf"}


def test_a_picture_has_the_size_that_is_asked_for() -> None:
    """Panels share the height, all shapes lie within the paper, and a small picture has fewer labels."""
    spec = Spec(schedule=Ramp(0.1, 0.0, 500), columns={"weight_decay": Ramp(0.0, 1.0, 500)}, total_steps=500_000)
    curves = {"plan": curves_of(spec.table(), 300)}
    small, large = drawing_of(curves, width=240, height=180), drawing_of(curves, width=2000, height=900)
    assert (small.width, small.height, large.width, large.height) == (240, 180, 2000, 900)
    assert len(texts(small)) < len(texts(large))
    for drawing in (small, large):
        points = [point for path in paths(drawing) for point in path.points] + [text.at for text in texts(drawing)]
        assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in points)


def test_a_log_scale_can_be_asked_for_and_refused() -> None:
    """Zeros lie on the bottom line of a log scale; without a value above 0 there is none."""
    values = np.array([0.0, 1e-4, 1e-3, 1e-2])
    heights = sorted({y for _, y in paths(drawn(values, log=True))[0].points})
    steps = np.diff(heights[:3])
    assert math.isclose(*steps)
    assert len(heights) == 4
    decades = np.repeat([1e-4, 1e-2, 1.0], 50)
    assert paths(drawn(decades)) == paths(drawn(decades, log=True)) != paths(drawn(decades, log=False))
    assert paths(drawn(np.zeros(3), log=True)) == paths(drawn(np.zeros(3)))


def test_a_log_scale_has_labels_however_few_decades_it_has() -> None:
    """Part of a decade has round values; many decades have some of theirs, of which none is cut off."""
    for values, least in (([3e-4, 9e-4], 2), ([1e-4, 1e-3], 2), ([2e-11, 5e-4], 2), ([0.5, 0.5], 2)):
        for height in (160, 336):
            labels = [text for text in texts(drawn(np.array(values), log=True, height=height)) if text.anchor == "end"]
            assert least <= len(labels) <= 8


def test_themes_have_their_own_colors() -> None:
    """A theme names its colors; `auto` has both: one as attributes, the dark one as rules."""
    drawing = drawn(np.linspace(0.1, 0.0, 9), np.linspace(0.2, 0.0, 9), title="t", marks={3: "v2"})
    light, dark, auto = (svg_text(drawing, theme) for theme in ("light", "dark", "auto"))
    assert LIGHT["line1"] in light
    assert DARK["line1"] in dark
    assert not any(color in light for color in DARK.values() if color not in LIGHT.values())
    assert not any(color in dark for color in LIGHT.values() if color not in DARK.values())
    assert "<style" not in light + dark
    assert auto.count(LIGHT["line1"]) == light.count(LIGHT["line1"])
    assert f".line1-s{{stroke:{DARK['line1']}}}" in auto


def test_an_image_shows_what_the_text_says() -> None:
    """The image has the theme's paper, the curve in its color where it goes, and as many pixels as asked for."""
    drawing = drawn(np.full(50, 0.1), width=400, height=200)
    (x, y), *_ = paths(drawing)[0].points
    for theme, colors, scale in (("light", LIGHT, 1), ("dark", DARK, 3)):
        image = pixels(png_image(drawing, theme, scale=scale))  # type: ignore[arg-type]  # names of themes
        assert image.size == (400 * scale, 200 * scale)
        assert image.getpixel((0, 0)) == pixels_of(colors["paper"])
        found = {image.getpixel((round((x + 90) * scale), round(y * scale) + near)) for near in range(-2, 3)}
        assert pixels_of(colors["line0"]) in found


def pixels_of(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def test_an_image_is_the_same_each_time_and_takes_any_title() -> None:
    """Characters that the font lacks are question marks."""
    drawing = drawn(np.linspace(0.1, 0.0, 9), title="plan \u4e16\x00")
    asked = drawn(np.linspace(0.1, 0.0, 9), title="plan ??")
    assert png_image(drawing) == png_image(drawing) == png_image(asked)
