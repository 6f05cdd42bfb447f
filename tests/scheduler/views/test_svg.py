"""A picture as SVG text: well-formed, complete, the same each time, with every spike and mark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np
import pytest

from scheduler import Spec, Table
from scheduler.compose import Ramp
from scheduler.custom import WarmupWithDecay
from scheduler.views.svg import picture

SVG = "{http://www.w3.org/2000/svg}"
WARMUP = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000).table()


def drawn(tables: Mapping[str, Table], **options: object) -> ElementTree.Element:
    return ElementTree.fromstring(picture(tables, **options))  # type: ignore[arg-type]  # options of the tests


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def heights(root: ElementTree.Element) -> list[float]:
    """The y of each point of the first path."""
    path = next(root.iter(f"{SVG}path")).attrib["d"]
    return [float(found) for found in re.findall(r"(?:[ML][\d.]+ |V)([\d.]+)", path)]


def test_one_table_is_one_line() -> None:
    """One path, the axis, the rate's name and the title; no legend, which would say nothing."""
    root = drawn({"plan": WARMUP}, title="team-a/bert")
    assert len(list(root.iter(f"{SVG}path"))) == 1
    assert {"team-a/bert", "step", "learning rate", "0"} <= set(texts(root))
    assert "plan" not in texts(root)


def test_two_tables_are_named() -> None:
    """The old table is grey and behind the new one; the legend names both."""
    longer = Spec(schedule=WarmupWithDecay(5e-4, 100, 1500), total_steps=1500).table()
    root = drawn({"version 1": WARMUP, "version 2": longer})
    old, new = root.iter(f"{SVG}path")
    assert old.attrib["stroke"] != new.attrib["stroke"]
    assert {"version 1", "version 2", "1,500"} <= set(texts(root))


def test_no_spike_is_lost() -> None:
    """One row of a million is drawn as high as it is."""
    values = np.full(1_000_000, 1e-3)
    values[777_777] = 2e-3
    root = drawn({"plan": Table({"lr": values})})
    found = heights(root)
    assert min(found) < found[0] == found[-1] == max(found)
    assert len(found) <= 5


def test_grey_tables_share_a_line_of_the_legend() -> None:
    """They all look alike: the legend names them together, and of many the first and the last."""
    few = texts(drawn({f"version {number}": WARMUP for number in range(1, 4)}))
    many = texts(drawn({f"version {number}": WARMUP for number in range(1, 7)}))
    assert {"version 1, version 2", "version 3"} <= set(few)
    assert {"version 1, ..., version 5", "version 6"} <= set(many)


def test_a_constant_and_zero_are_drawn() -> None:
    """A table without any difference has a level, and axes that can be read."""
    for rate in (0.0, 0.1):
        (level,) = heights(drawn({"plan": Table({"lr": [rate] * 5})}))
        assert 0 < level < 400


def test_every_hyperparameter_has_a_panel() -> None:
    """The rate comes first; groups share a panel, and of many only eight are drawn."""
    spec = Spec(schedule=[Ramp(0.1, 0.0, 50)] * 10, columns={"weight_decay": Ramp(0.04, 0.4, 50)}, total_steps=50)
    root = drawn({"plan": spec.table()})
    labels = texts(root)
    assert labels.index("learning rate (and 2 more groups)") < labels.index("weight decay")
    assert len(list(root.iter(f"{SVG}path"))) == 9
    assert {"lr.0", "lr.7"} <= set(labels)


def test_marks_are_lines_with_labels() -> None:
    """Each mark is a dashed line at its row times the stride; one past the picture is left out."""
    table = Table({"lr": np.linspace(0.1, 0.0, 100)}, axis="token", stride=1000)
    root = drawn({"plan": table}, marks={50: "v2", 99: "v3", 500: "v4"})
    lines = [line for line in root.iter(f"{SVG}line") if "stroke-dasharray" in line.attrib]
    middle = (78 + 860 - 18) / 2
    assert float(lines[0].attrib["x1"]) == pytest.approx(middle)
    assert len(lines) == 2
    assert {"v2", "v3"} <= set(texts(root))


def test_labels_of_near_marks_do_not_overlap() -> None:
    """Marks of neighbouring rows have their labels on different lines."""
    root = drawn({"plan": WARMUP}, marks={500: "v2", 501: "v3"})
    places = {text.text: text.attrib["y"] for text in root.iter(f"{SVG}text") if text.text in ("v2", "v3")}
    assert places["v2"] != places["v3"]


def test_texts_are_escaped() -> None:
    """A title of somebody else's is text in the picture, never markup, and no control character breaks it."""
    root = drawn({"plan": WARMUP}, title='<script>&"\x00\ud800')
    assert '<script>&"??' in texts(root)
    assert not list(root.iter(f"{SVG}script"))


def test_the_same_tables_give_the_same_text() -> None:
    """A picture can be compared and cached."""
    assert picture({"plan": WARMUP}) == picture({"plan": WARMUP})


def test_a_picture_of_nothing_is_refused() -> None:
    """No table is an error."""
    with pytest.raises(ValueError, match="tables must have at least one table, got none"):
        picture({})


def test_a_picture_follows_the_color_scheme_of_its_page() -> None:
    """On dark pages it is turned dark, by a rule that meets no other picture of the page."""
    root = drawn({"plan": WARMUP})
    style = next(root.iter(f"{SVG}style"))
    assert f".{root.attrib['class']} " in str(style.text)
    assert "prefers-color-scheme: dark" in str(style.text)


def test_a_legend_is_not_repeated_and_tokens_are_short() -> None:
    """Panels with the same lines share the legend of the first; the axis counts tokens in B."""
    columns = {"lr": np.linspace(0.1, 0.0, 500), "momentum": np.linspace(0.9, 0.8, 500)}
    table = Table(columns, axis="token", stride=10**9)
    labels = texts(drawn({"version 1": table, "version 2": table}))
    assert (labels.count("version 1"), labels.count("version 2"), labels.count("400B")) == (1, 1, 1)


def test_values_that_span_decades_stand_on_a_log_scale() -> None:
    """Drops by ten are of one height, and the labels are powers of ten."""
    root = drawn({"plan": Table({"lr": np.repeat([1e-1, 1e-2, 1e-3, 1e-4], 30)})})
    found = heights(root)
    drops = np.diff(sorted(set(found)))
    assert len(drops) == 3
    assert drops == pytest.approx(drops[0], abs=0.2)
    assert {"0.1", "0.01", "0.001", "0.0001"} <= set(texts(root))
