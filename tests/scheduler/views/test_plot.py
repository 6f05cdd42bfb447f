"""A picture shows the whole table, says what was applied, and leaves matplotlib's global state alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest

from scheduler import Spec, Table
from scheduler.builtin import CosineAnnealingLR, OneCycleLR, StepLR
from scheduler.compose import Ramp
from scheduler.custom import CyclicLR, LinearWarmup, WarmupWithDecay
from scheduler.views.plot import plot, plot_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

imread = pytest.importorskip("matplotlib.image").imread

SCHEDULE = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)


@pytest.fixture
def table() -> Table:
    return Table.compute(Spec(schedule=SCHEDULE, total_steps=1000))


def _legend(table: Table, **options: object) -> list[str]:
    return _named(plot(table, **options))  # type: ignore[arg-type]  # each test gives what plot takes


def _named(figure: Figure, panel: int = 0) -> list[str]:
    """What the legend of a panel says."""
    legend = figure.axes[panel].get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


@pytest.mark.parametrize(("name", "start"), [("lr.png", b"\x89PNG\r\n"), ("lr.svg", b"<?xml"), ("LR.PNG", b"\x89PNG")])
def test_the_suffix_chooses_the_format(table: Table, tmp_path: Path, name: str, start: bytes) -> None:
    """A picture is saved as what its name says, whatever the case."""
    plot(table, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["lr.jpg", "lr", "png", ".png.txt"])
def test_other_suffixes_are_refused(table: Table, tmp_path: Path, name: str) -> None:
    """An unknown suffix is an error that names the path, before anything is written."""
    with pytest.raises(ValueError, match=re.escape(f"must end in .png or .svg, got '{tmp_path / name}'")):
        plot(table, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(table: Table, tmp_path: Path) -> None:
    """A picture that cannot be written says where."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        plot(table, tmp_path / "nowhere" / "lr.png")


def test_the_line_has_the_values(table: Table) -> None:
    """The drawn levels are the table's values, each from its own step to the next."""
    line = plot(table).axes[0].lines[0]
    assert line.get_drawstyle() == "steps-post"
    assert np.array_equal(line.get_xdata(), np.arange(1001))
    assert np.array_equal(np.asarray(line.get_ydata())[:-1], table.lr)


def test_a_long_table_is_drawn_from_its_extremes() -> None:
    """Ten million rows are few points, and the one spike is among them."""
    values = np.zeros(10**7)
    values[3_333_333] = 1.0
    line = plot(Table({"lr": values})).axes[0].lines[0]
    assert len(np.asarray(line.get_xdata())) < 5000
    assert np.asarray(line.get_ydata()).max() == 1.0


def test_the_axis_is_the_tables_own() -> None:
    """Rows are placed at their units of progress, and the axis has their name."""
    axes = plot(Table({"lr": [3.0, 2.0, 1.0]}, axis="epoch", stride=10)).axes[0]
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [0, 10, 20, 30]
    assert axes.get_xlabel() == "epoch"


def test_every_column_is_drawn() -> None:
    """Each column name has a panel, the rate first; the groups of one name share it."""
    table = Table({"lr.0": [1.0], "lr.1": [2.0], "momentum.0": [0.9], "beta1.1": [0.8]})
    figure = plot(table)
    assert [axes.get_ylabel() for axes in figure.axes] == ["learning rate", "beta1", "momentum"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["lr.0", "lr.1"]


def test_the_boundaries_are_marked(table: Table) -> None:
    """The steps at which the formula changes are marked and named."""
    assert any(re.fullmatch(r"boundaries: 0 · .*100 · 999", text) for text in _legend(table))


def test_the_legend_says_nothing_twice() -> None:
    """A column alone in its panel is named by the panel; boundaries that all columns share stand in one legend."""
    figure = plot(OneCycleLR(0.1, 100).table())
    assert (_named(figure, 0), _named(figure, 1)) == (["boundaries: 0 · 30 · 99"], [])
    lines = {"training": [3.0, 2.0], "test": [3.0, 2.5]}
    figure = plot_lines(None, "loss", lines, title="losses", over=lines, over_name="from the table")
    assert _named(figure) == ["training", "test", "from the table"]


def test_values_that_span_decades_stand_on_a_log_scale() -> None:
    """Drops by powers of ten are seen; a cosine keeps its shape; a choice is followed."""
    steps, cosine = StepLR(0.1, 30).table(120), CosineAnnealingLR(0.1, 100).table()
    assert [plot(table).axes[0].get_yscale() for table in (steps, cosine)] == ["log", "linear"]
    assert CosineAnnealingLR(0.1, 100).plot(log=True).axes[0].get_yscale() == "log"
    assert [plot(steps, log=False).axes[0].get_yscale(), plot(cosine, log=True).axes[0].get_yscale()] == [
        "linear",
        "log",
    ]


def test_tokens_are_counted_in_trillions_billions_and_millions() -> None:
    """The labels of the axis and of the boundaries are short."""
    figure = plot(Spec(schedule=Ramp(0.1, 0.0, 300), total_steps=300, axis="token", stride=10**9).table())
    figure.canvas.draw()
    assert "100B" in [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert _named(figure) == ["boundaries: 0 · 299B"]


def test_pictures_can_be_read_on_dark_pages(table: Table, tmp_path: Path) -> None:
    """An SVG follows the color scheme of its page; a PNG brings its background along."""
    plot(table, tmp_path / "lr.svg")
    root = ElementTree.parse(tmp_path / "lr.svg").getroot()
    style = next(root.iter("{http://www.w3.org/2000/svg}style"))
    assert f".{root.attrib['class']} " in str(style.text)
    assert "prefers-color-scheme: dark" in str(style.text)
    plot(table, tmp_path / "lr.png")
    corner = imread(tmp_path / "lr.png")[0, 0]
    assert corner.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_many_boundaries_are_not_marked() -> None:
    """Marks that would hide the line are left out."""
    table = Table.compute(Spec(schedule=CyclicLR(1e-4, 0.1, 10), total_steps=1000))
    assert _legend(table) == []


def test_the_title_says_which_table(table: Table) -> None:
    """Without a title of its own a picture names schedule and digest."""
    title = plot(table).get_suptitle()
    assert "custom.WarmupWithDecay(base_lr=0.0005, warmup_steps=100" in title
    assert table.digest[:12] in title
    assert plot(table, title="mine").get_suptitle() == "mine"


def test_many_groups_have_a_short_title() -> None:
    """The title of a table with many groups names three and counts the others."""
    spec = Spec(schedule=tuple(LinearWarmup(1e-3, step) for step in range(1, 6)), total_steps=10)
    assert "and 2 more parameter groups" in plot(Table.compute(spec)).get_suptitle()


def test_equal_applied_rates_are_called_equal(table: Table) -> None:
    """The legend says that the rates applied so far are the planned ones."""
    assert "lr applied: equal in all 400 rows" in _legend(table, applied=table.lr[:400])


def test_a_differing_applied_rate_is_named(table: Table) -> None:
    """The legend says how many applied rates differ, even by a last bit, and from which row on."""
    applied = table.lr.copy()
    applied[700] = np.nextafter(applied[700], 1)
    assert "lr applied: differs from the table in 1 of 1,000 rows, first in row 700" in _legend(table, applied=applied)


def test_applied_rates_may_run_past_the_end(table: Table) -> None:
    """A training longer than its table is drawn, and said to be longer."""
    applied = np.append(table.lr, table.lr[-1:])
    assert "lr applied: equal in all 1,000 rows, then 1 rows past the table's end" in _legend(table, applied=applied)


@pytest.mark.parametrize(
    ("applied", "message"),
    [
        pytest.param({"lr.3": [1.0]}, "applied has a column 'lr.3', the table only lr", id="unknown-column"),
        pytest.param([[1.0]], r"one value per row, got shape \[1, 1\]", id="matrix"),
        pytest.param([], r"one value per row, got shape \[0\]", id="empty"),
        pytest.param([1.0, float("nan")], "must be finite, got nan at row 1", id="nan"),
    ],
)
def test_bad_applied_rates_are_refused(table: Table, applied: object, message: str) -> None:
    """Applied rates that cannot be drawn name the column, the row and the value."""
    with pytest.raises(ValueError, match=message):
        plot(table, applied=applied)  # type: ignore[arg-type]  # wrong on purpose


def test_measured_values_are_drawn_per_epoch(tmp_path: Path) -> None:
    """Losses are drawn from epoch 1 on, those of a second run on top of the first."""
    figure = plot_lines(tmp_path / "loss.png", "loss", {"a": [3.0, 2.0]}, title="losses", over={"b": [3.0, 2.0]})
    lines = figure.axes[0].lines
    assert [np.asarray(line.get_xdata()).tolist() for line in lines] == [[1, 2], [1, 2]]
    assert [line.get_label() for line in lines] == ["a", "again"]
    assert (tmp_path / "loss.png").stat().st_size > 1000


def test_pyplot_is_not_touched() -> None:
    """Drawing imports no pyplot, so it keeps no figure alive and needs no display."""
    script = (
        "import sys; from scheduler import Table; from scheduler.views.plot import plot; plot(Table({'lr': [1.0]}))"
    )
    script += "; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_without_matplotlib_the_extra_is_named() -> None:
    """Where matplotlib is missing, the error says what to install."""
    script = "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.figure'] = None\n"
    script += "from scheduler import Table; from scheduler.views.plot import plot; plot(Table({'lr': [1.0]}))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert result.stderr.splitlines()[-1].endswith("drawing a picture needs matplotlib: pip install 'lrtables[plot]'")
