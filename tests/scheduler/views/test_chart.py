"""A chart shows every spike, fits its width and labels what it draws; the lines below it are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import Spec, Table
from scheduler.compose import Ramp
from scheduler.custom import CyclicLR, LinearWarmup, WarmupWithDecay
from scheduler.views.chart import BEHIND, boundary_lines, chart, number, value_lines
from scheduler.views.summary import progress


def _drawing(text: str) -> list[str]:
    """The lines above the axis, without their labels."""
    return [line[max(line.find("┤"), line.find("│")) + 1 :] for line in text.splitlines()[:-2]]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=500), st.integers(24, 120), st.integers(2, 30))
def test_a_chart_keeps_its_size(values: list[float], width: int, height: int) -> None:
    """A chart has height + 2 lines, none longer than its width, and something in each column."""
    lines = chart(values, width, height).splitlines()
    assert len(lines) == height + 2
    assert max(map(len, lines)) <= width
    drawing = _drawing("\n".join(lines))
    columns = len(lines[-2].lstrip(" └"))
    assert all(any(line[column : column + 1].strip() for line in drawing) for column in range(columns))


def test_a_spike_of_one_row_is_drawn() -> None:
    """One row in ten million that differs reaches the top of the chart."""
    values = np.zeros(10**7)
    values[1_234_567] = 1.0
    top = _drawing(chart(values))[0]
    assert len(top.split()) == 1


def test_few_values_are_levels() -> None:
    """With more columns than values, a value is drawn as a level as long as the others."""
    top, bottom = _drawing(chart([1.0, 0.0], 24, 2))
    assert len(top.strip()) == pytest.approx(len(bottom) / 2, abs=1)


def test_the_labels_are_the_limits() -> None:
    """The highest value stands at the top, the lowest at the bottom, the last step below."""
    lines = chart(np.linspace(5e-4, 1e-6, 100_000)).splitlines()
    assert lines[0].split()[0] == "0.0005"
    assert lines[-3].split()[0] == "1e-6"
    assert lines[-1].split() == ["0", "step", "99,999"]


def test_labels_of_nearly_equal_values_can_be_told_apart() -> None:
    """Labels take as many digits as they need to differ."""
    labels = [line.split()[0] for line in chart([1.0, 1.0000001]).splitlines()[:-2] if "┤" in line]
    assert len(set(labels)) == len(labels)


def test_a_constant_is_drawn_against_zero() -> None:
    """A constant rate is a straight line at the top, over 0 at the bottom."""
    text = chart([0.1] * 50)
    drawing = _drawing(text)
    assert set(drawing[0]) == {drawing[0][0]}
    assert not "".join(drawing[1:]).strip()
    assert text.splitlines()[-3].split()[0] == "0"


def test_the_axis_counts_its_own_units() -> None:
    """Below the chart stand the axis's name and the first unit of its last row."""
    assert chart([1.0, 2.0, 3.0], axis="sample", stride=512).splitlines()[-1].split() == ["0", "sample", "1,024"]


def test_tokens_are_counted_in_trillions_billions_and_millions() -> None:
    """The end of the axis is short; the steps of exact values are exact, and may be typed again."""
    table = Spec(schedule=Ramp(0.1, 0.0, 1500), total_steps=1500, axis="token", stride=10**9).table()
    assert chart(table.lr, axis="token", stride=10**9).splitlines()[-1].split() == ["0", "token", "1.499T"]
    assert [line.split()[0] for line in value_lines(table, [0, 1, 999, 1499])] == ["0", "1B", "999B", "1.499T"]
    assert progress(1_234_567, "token") == "1,234,567"
    assert progress(1_234_000, "token") == "1.234M"
    assert progress(5_000_000, "step") == "5,000,000"


def test_several_curves_stand_behind_the_first() -> None:
    """Each has a character of its own and its own stride; the axis is as long as the longest."""
    text = chart([1.0, 1.0], stride=10, behind=[([0.0, 0.0, 0.0], 10), ([0.5] * 40, 1)], height=9)
    assert text.splitlines()[-1].split() == ["0", "step", "39"]
    lines = _drawing(text)
    assert (lines[4].count("+"), lines[8].count("·")) == (67, round(3 / 4 * 67))
    with pytest.raises(ValueError, match="behind must have at most 6 curves, got 7"):
        chart([1.0], behind=[([1.0], 1)] * 7)


def test_a_log_scale_draws_powers_of_ten_evenly() -> None:
    """Values a factor apart are a distance apart; what is not above 0 lies at the bottom."""
    lines = _drawing(chart([1e-1, 1e-2, 1e-3, 0.0], height=9, log=True))
    assert [line.find("⠉") >= 0 or bool(line.strip()) for line in (lines[0], lines[4], lines[8])] == [True] * 3
    assert "0.01" in chart([1e-1, 1e-2, 1e-3], height=9, log=True)
    with pytest.raises(ValueError, match="a log scale needs values above 0, and there is none"):
        chart([0.0, 0.0], log=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param([], r"got shape \[0\]", id="empty"),
        pytest.param([[1.0]], r"got shape \[1, 1\]", id="matrix"),
        pytest.param([1.0, float("nan")], "got nan at step 1", id="nan"),
        pytest.param([float("inf"), 1.0], "got inf at step 0", id="infinity"),
    ],
)
def test_what_cannot_be_drawn_is_refused(values: list[float], message: str) -> None:
    """A chart needs finite values, one per step."""
    with pytest.raises(ValueError, match=message):
        chart(values)


def test_too_small_a_chart_is_refused() -> None:
    """A chart smaller than its labels is no chart."""
    with pytest.raises(ValueError, match="got 10 and 12"):
        chart([1.0], width=10)


def test_boundary_lines_name_the_steps_of_the_guide() -> None:
    """Each line holds a step, its name and the exact value."""
    schedule = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)
    lines = [line.split() for line in boundary_lines(Table.compute(Spec(schedule=schedule, total_steps=1000)))]
    assert ["0", "initial", repr(schedule.get_lr(0))] in lines
    assert ["100", "after", "warmup", repr(schedule.get_lr(100))] in lines
    assert ["500", "mid-training", repr(schedule.get_lr(500))] in lines
    assert ["999", "final", repr(schedule.get_lr(999))] in lines


def test_of_many_boundaries_the_first_are_shown() -> None:
    """Hundreds of cycles fill no screen: the rest is left out, and the named steps stay."""
    table = Table.compute(Spec(schedule=CyclicLR(1e-4, 0.1, 10), total_steps=10_001))
    lines = boundary_lines(table)
    assert len(lines) < 15
    assert lines[-1] == "and more boundaries"
    assert any("mid-training" in line for line in lines)
    assert any("final" in line for line in lines)


def test_value_lines_round_trip() -> None:
    """Every printed value reads back as the very same double."""
    table = Table.compute(Spec(schedule=LinearWarmup(1e-3, 7), total_steps=7))
    assert [float(line.split()[1]) for line in value_lines(table, range(7))] == table.lr.tolist()


def test_value_lines_name_several_columns() -> None:
    """With more than one column the first line says which is which."""
    table = Table({"lr": [1.0, 0.5], "momentum": [0.9, 0.95]})
    lines = [line.split() for line in value_lines(table, [1])]
    assert lines == [["step", "lr", "momentum"], ["1", "0.5", "0.95"]]


@pytest.mark.parametrize(("value", "text"), [(5e-4, "0.0005"), (1e-6, "1e-6"), (2.5e10, "2.5e10"), (0.0, "0")])
def test_number_is_short(value: float, text: str) -> None:
    """An exponent has no sign or zero that says nothing."""
    assert number(value) == text


def test_two_curves_share_one_chart() -> None:
    """Earlier values are dots behind the others, on the same scale, each as long as its rows; equal ones are hidden."""
    new, old = np.linspace(1.0, 0.0, 100), np.ones(50)
    lines = _drawing(chart(new, 60, 8, before=old))
    assert lines[0].count(BEHIND) == pytest.approx(len(lines[0]) / 2, abs=6)
    assert set("".join(lines[1:])) & {BEHIND} == set()
    assert chart(new, 60, 8, before=new) == chart(new, 60, 8)
    longer = chart(new, 60, 8, before=np.full(200, 2.0)).splitlines()
    assert (longer[0].split()[0], longer[-1].split()[-1]) == ("2", "199")
    with pytest.raises(ValueError, match=r"values must have one value per step, got shape \[0\]"):
        chart(new, before=[])
