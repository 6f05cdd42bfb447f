"""What a notebook shows: a small picture that is readable in light and dark, and what it is of."""

from __future__ import annotations

import re
from typing import Literal as OneOf
from xml.etree import ElementTree

import numpy as np
import pytest

from scheduler import Schedule, Spec, Table, TableError
from scheduler.builtin import ExponentialLR
from scheduler.compose import Constant, Literal, Ramp
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.fields import Values
from scheduler.schedule import schedule
from scheduler.views.notebook import COLORS

SVG = "{http://www.w3.org/2000/svg}"
SCHEDULE = WarmupWithDecay(5e-4, 100, 1000)


def shown(value: Schedule | Table) -> ElementTree.Element:
    """What a notebook shows, which must be well-formed."""
    return ElementTree.fromstring(value._repr_html_())


def words(value: Schedule | Table) -> str:
    """The text beside the picture."""
    return "\n".join("".join(line.itertext()) for line in shown(value).iter("div"))


def labels(value: Schedule | Table) -> list[str]:
    return [text.text or "" for text in shown(value).iter(f"{SVG}text")]


def curves(value: Schedule | Table) -> list[str]:
    """The paths of the lines, those of the axes left out."""
    paths = [path.attrib for path in shown(value).iter(f"{SVG}path")]
    return [path["d"] for path in paths if path["stroke"] != "currentColor"]


def test_a_schedule_is_shown_over_its_own_length() -> None:
    """The picture, the call, the stated length, the range of rates, and the digest of the table it would have."""
    text = words(SCHEDULE)
    assert "custom.WarmupWithDecay(base_lr=0.0005, warmup_steps=100, total_steps=1000, min_lr=0.0)" in text
    assert "1,000 steps" in text
    assert "lr from 1.52309e-9 to 0.0005; first 5e-6, last 1.52309e-9" in text
    assert SCHEDULE.table(1000).digest in text
    assert labels(SCHEDULE) == ["0.0005", "1.523e-9", "lr", "0", "step", "1,000"]


def test_a_schedule_without_a_length_says_how_much_is_shown() -> None:
    """A warmup is shown with what follows it, and a constant over some steps."""
    assert "no stated length; the first 8,000 steps are shown" in words(LinearWarmup(1e-3, 2000))
    assert "no stated length; the first 1,000 steps are shown" in words(Constant(0.1))


def test_a_table_is_shown_with_its_layout() -> None:
    """Digest, length in the axis's unit, what follows the last row, the schedule, and each column's range."""
    spec = Spec(schedule=SCHEDULE, columns={"weight_decay": Ramp(0.1, 0.2, 100)}, total_steps=100, axis="token",
                stride=4096, after="error")  # fmt: skip
    table = spec.table()
    text = words(table)
    assert table.digest in text
    assert "100 rows of 4,096 tokens; past the last row: error" in text
    assert "weight_decay from 0.1 to 0.199; first 0.1, last 0.199" in text
    assert {"lr", "weight_decay", "token", "409,600"} <= set(labels(table))
    assert len(curves(table)) == 2


def test_rates_that_span_decades_are_drawn_on_a_log_scale() -> None:
    """As in a picture: growth by equal factors is a straight line, and the label says that the scale is another."""
    decay = ExponentialLR(0.1, 0.9).table(100)
    assert "lr (log)" in labels(decay)
    heights = [float(y) for y in re.findall(r"V([\d.]+)", curves(decay)[0])]
    assert np.ptp(np.diff(heights)) < 0.25  # of about 1 pixel each, written in tenths
    assert "lr (log)" not in labels(SCHEDULE)


def test_markup_in_a_name_stays_text() -> None:
    """What a kind of somebody's own is called, and what it is given, is text in the page."""
    hostile = "<img src=x onerror=alert(1)>"
    own = type("Own", (Constant,), {"kind": hostile, "__annotations__": {"kind": OneOf[hostile]}})
    text = schedule(own)(0.5)._repr_html_()
    assert "&lt;img src=x" in text
    assert "<img" not in text
    for name in (hostile, f"lr.{hostile}"):
        with pytest.raises(TableError, match=r"column names are like 'lr' or 'weight_decay\.1'"):
            Table({name: np.ones(3)})


def test_groups_share_a_panel_and_colors_tell_them_apart() -> None:
    """Of many groups some are drawn; each that is has a line of text with its colour, and the others are counted."""
    table = Spec(schedule=[Ramp(0.1, 0.0, 50)] * 12, total_steps=50).table()
    html = table._repr_html_()
    assert [html.count(color) for color in COLORS] == [2] * len(COLORS)
    assert "lr.5 from" in words(table)
    assert f"and {12 - len(COLORS)} more columns" in words(table)


def test_a_million_steps_are_a_small_picture_with_every_spike() -> None:
    """The picture stays below 20 kB, and one row of a million is drawn as high as it is."""
    values = np.sin(np.arange(1_000_000) * 1.7) ** 2 * 1e-3
    values[777_777] = 2e-3
    table = Table({"lr": values})
    assert len(table._repr_html_()) < 20_000
    heights = [float(text) for text in re.findall(r"[ML][\d.]+ ([\d.]+)", curves(table)[0])]
    assert sorted(heights)[0] == 10.0
    assert sorted(heights)[1] > 50.0


def test_few_rows_are_levels() -> None:
    """A row's value is in force until the next: two rows are two levels, the second as long as the first."""
    assert curves(Table({"lr": [0.1, 0.2]})) == ["M70.0 106.0H270.0V10.0H470"]


def test_a_constant_and_zero_are_drawn() -> None:
    """Without any difference there is one level, with its value."""
    for rate in (0.0, 0.1, 5e-324):
        table = Table({"lr": [rate] * 5})
        assert curves(table) == ["M70.0 58.0H390.0V58.0H470"]
    assert labels(Table({"lr": [0.1] * 5})) == ["lr 0.1", "0", "step", "5"]


def test_very_many_steps_are_drawn_from_some_of_them() -> None:
    """A schedule of 10^9 steps is shown at once, from its rates at a thousand steps; no digest is told."""
    text = words(WarmupWithDecay(1e-4, 10_000, 10**9))
    assert "1,000,000,000 steps; drawn from 1,000 of them" in text
    assert "digest" not in text


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (Ramp("previous", 0.0, 10), 'a schedule that starts from "previous" has no values of its own'),
        (Literal(digest="0" * 64), "of this Literal has not been looked up"),
        (ExponentialLR(10.0, 1e3), "rate"),
    ],
    ids=["a part", "an unknown table", "growth"],
)
def test_what_has_no_curve_says_why(schedule: Schedule, reason: str) -> None:
    """A schedule that cannot be computed is shown without a picture; nothing is raised into the notebook."""
    assert list(shown(schedule).iter(f"{SVG}svg")) == []
    assert "no picture: " in words(schedule)
    assert reason in words(schedule)


@schedule
class _Named(Schedule):
    """A kind with a name that is markup."""

    kind: OneOf["<script>&"] = "<script>&"

    def _fill(self, out: Values, start: int) -> None:
        out[:] = 0.1


def test_texts_are_escaped() -> None:
    """A name of somebody else's is text in what is shown, never markup."""
    assert "<script>&()" in words(_Named())
    assert "<script" not in _Named()._repr_html_()


def luminance(color: str) -> float:
    """The relative luminance of WCAG 2."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_every_line_stands_out_from_a_light_and_a_dark_page(page: str) -> None:
    """Each colour has a contrast of 3 at least to the page, as WCAG asks of graphics; all else has the page's own."""
    for color in COLORS:
        darker, lighter = sorted([luminance(page), luminance(color)])
        assert (lighter + 0.05) / (darker + 0.05) >= 3
    drawn = SCHEDULE._repr_html_()
    named = {match for match in re.findall(r'(?:fill|stroke)="([^"]+)"', drawn)}
    assert named - {"none", "currentColor", *COLORS} == set()


def test_a_figure_shows_itself() -> None:
    """What plot() returns is SVG in a notebook, without pyplot and without the date."""
    figure = SCHEDULE.plot(1000)
    text = figure._repr_svg_()  # type: ignore[attr-defined]  # of the figure's own class, not matplotlib's
    assert text.startswith("<?xml")
    assert "<svg" in text
    assert "<dc:date>" not in text
