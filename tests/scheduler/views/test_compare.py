"""Two things compared are equal where every bit is, and else it is said where they are not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import Spec, Table, builtin
from scheduler.custom import CosineWarmup, LinearWarmup, WarmupWithDecay
from scheduler.schedule import Schedule
from scheduler.views.compare import compare
from tests.support.schedules.torch_setups import SETUPS, sgd
from tests.support.schedules.torch_state import state

LINEAR, COSINE = LinearWarmup(1e-3, 100), CosineWarmup(1e-3, 100)
RATES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(RATES, RATES)
def test_tables_are_equal_where_their_digests_are(left: list[float], right: list[float]) -> None:
    """Two tables compare equal exactly if they are the same table."""
    a, b = Table({"lr": left}), Table({"lr": right})
    assert compare(a, b).equal == (a == b)
    assert compare(a, a).equal


@given(RATES, st.data())
def test_the_equal_prefix_is_the_longest(rates: list[float], data: st.DataObject) -> None:
    """The prefix of two tables is equal, and one step longer is not."""
    step = data.draw(st.integers(0, len(rates) - 1))
    changed = [*rates[:step], math.nextafter(rates[step], 2), *rates[step + 1 :]]
    a, b = Table({"lr": rates}), Table({"lr": changed})
    found = compare(a, b)
    assert (found.first, found.prefix, found.equal) == (step, step, False)
    assert step == 0 or compare(a, b, step).equal


def test_a_comparison_says_where_and_by_how_much() -> None:
    """Number of differing steps, the first, and each largest difference with its step."""
    found = compare(Table({"lr": [1.0, 2.0, 4.0]}), Table({"lr": [1.0, 2.5, 4.75]}))
    column = found.columns["lr"]
    assert (found.steps, column.differing, column.first) == (3, 2, 1)
    assert (column.largest, column.largest_at, column.relative, column.relative_at) == (0.75, 2, 0.2, 1)
    assert str(found).splitlines()[2:] == [
        "lr: different in 2 of 3 steps, first in step 1",
        "    largest difference: 0.75 at step 2",
        "    largest relative difference: 20% at step 1",
        "    largest difference in ULP: 1.13e+15 at step 1",
        "verdict: B is a different curve from step 1 on; equal before that",
    ]


def test_schedules_are_compared_to_where_the_last_one_ends() -> None:
    """Without a number of steps, two schedules are compared to the later of their ends."""
    short, long = WarmupWithDecay(1e-3, 10, 50), WarmupWithDecay(1e-3, 10, 80)
    assert compare(short, long).steps == 80
    assert compare(short, short).equal


def test_a_table_decides_how_many_steps_are_compared() -> None:
    """A schedule is computed as far as the table goes it is compared with."""
    table = Table({"lr": LINEAR.values(30)})
    assert (compare(LINEAR, table).steps, compare(LINEAR, table).equal) == (30, True)
    assert compare(table, COSINE, 7).steps == 7


def test_the_length_must_be_known() -> None:
    """Nothing is guessed where neither side has an end, and a table is not made longer."""
    with pytest.raises(ValueError, match="total_steps must be given: neither side has an end"):
        compare(builtin.ExponentialLR(0.1, 0.9), SETUPS["lambda-per-group"]())
    with pytest.raises(ValueError, match="total_steps must be at most 3, the length of the table, got 4"):
        compare(Table({"lr": [1.0, 2.0, 3.0]}), LINEAR, 4)


def test_tables_of_different_lengths_are_not_equal() -> None:
    """An equal prefix is not an equal table, unless only that was asked for."""
    short, long = Table({"lr": [1.0, 2.0]}), Table({"lr": [1.0, 2.0, 3.0]})
    found = compare(short, long)
    assert (found.equal, found.first, found.others) == (False, None, ("total_steps: A has 2, B has 3",))
    assert compare(short, long, 2).equal


def test_what_the_rows_count_is_compared() -> None:
    """The same values on another axis are applied at other times."""
    left, right = Table({"lr": [1.0]}), Table({"lr": [1.0]}, axis="token", stride=512, after="error")
    assert compare(left, right).others == (
        "axis: A has step, B has token",
        "stride: A has 1, B has 512",
        "after: A has hold, B has error",
    )


def test_a_column_that_one_side_lacks_is_a_difference() -> None:
    """A momentum that only one of them drives makes them different, and is named."""
    with_momentum, without = builtin.OneCycleLR(0.1, 20), builtin.OneCycleLR(0.1, 20, cycle_momentum=False)
    found = compare(with_momentum, without)
    assert (found.equal, found.first, found.others) == (False, None, ("only A has the column momentum",))
    assert compare(without, with_momentum).others == ("only B has the column momentum",)
    assert list(compare(with_momentum, with_momentum).columns) == ["lr", "momentum"]


def test_one_column_for_all_groups_is_compared_with_each() -> None:
    """A rate for all groups equals rates for each group that are the same, and only those."""
    one, groups = Table({"lr": [1.0, 2.0]}), Table({"lr.0": [1.0, 2.0], "lr.1": [1.0, 3.0]})
    found = compare(one, groups)
    assert [(name, column.first) for name, column in found.columns.items()] == [("lr.0", None), ("lr.1", 1)]
    assert compare([LINEAR, LINEAR], LINEAR, 50).equal
    assert compare([LINEAR, COSINE], LINEAR, 50).first == 0
    assert compare(groups, Table({"lr.0": [1.0, 2.0]})).others == ("only A has the column lr.1",)


def test_groups_come_in_the_order_of_their_numbers() -> None:
    """Rates first, and group 10 after group 9."""
    table = Table({f"{name}.{group}": [1.0] for group in range(11) for name in ("beta1", "lr")})
    names = list(compare(table, table).columns)
    assert names == [*(f"lr.{group}" for group in range(11)), *(f"beta1.{group}" for group in range(11))]


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        pytest.param("groups", [builtin.CosineAnnealingLR(lr, 15, 1e-3) for lr in (0.1, 0.01, 0.1)], id="groups"),
        pytest.param("one-cycle-momentum", builtin.OneCycleLR(0.1, 50), id="momentum"),
        pytest.param("equal-groups", builtin.PolynomialLR(0.1, 12, 0.9), id="equal-groups"),
    ],
)
def test_a_scheduler_is_captured_and_not_touched(name: str, schedule: Schedule | list[Schedule]) -> None:
    """A real torch scheduler is compared by its values from where it stands, and is as it was."""
    scheduler = SETUPS[name]()
    before = state(scheduler)
    found = compare(scheduler, schedule, 45)
    assert (found.equal, found.steps) == (True, 45)
    assert compare(schedule, scheduler, 45).equal
    assert state(scheduler) == before


def test_what_is_compared_is_named() -> None:
    """The text begins with what A and B are: a schedule by its call, a table by digest, a scheduler by its class."""
    table = Table.compute(Spec(schedule=LINEAR, total_steps=20))
    plain = Table({"lr": [1.0]})
    assert compare(LINEAR, table).names == (
        "custom.LinearWarmup(base_lr=0.001, warmup_steps=100)",
        f"table {table.digest[:12]} of custom.LinearWarmup(base_lr=0.001, warmup_steps=100)",
    )
    assert compare(plain, SETUPS["swa"]()).names == (f"table {plain.digest[:12]}", "SWALR on SGD")
    assert str(compare(LINEAR, table)) == (
        "A  custom.LinearWarmup(base_lr=0.001, warmup_steps=100)\n"
        f"B  table {table.digest[:12]} of custom.LinearWarmup(base_lr=0.001, warmup_steps=100)\n"
        "lr: equal bit for bit in all 20 steps\n"
        "verdict: equal bit for bit"
    )


@pytest.mark.parametrize("thing", [None, "spec.json", [1, 2], sgd()], ids=["none", "text", "numbers", "optimizer"])
def test_other_things_are_refused(thing: Any) -> None:
    """An operand that is not a schedule, table or scheduler is refused."""
    with pytest.raises(TypeError, match="no torch scheduler"):
        compare(thing, LINEAR, 10)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_shows_both_and_their_difference(tmp_path: Path, suffix: str) -> None:
    """Above are both sides of each column, those of groups together; below is A - B, with every spike."""
    left = np.ones(1_000_000)
    right = left.copy()
    right[777_777] = 5.0
    columns = {"lr.0": left, "lr.1": left, "momentum": left}
    path = tmp_path / f"difference{suffix}"
    figure = compare(Table(columns), Table(columns | {"lr.1": right})).plot(path)
    assert path.stat().st_size > 0
    rates, difference, momentum, none = figure.axes
    assert [panel.get_ylabel() for panel in figure.axes] == ["learning rate", "A - B", "momentum", "A - B"]
    assert [line.get_label() for line in rates.lines] == ["lr.0 of A", "lr.0 of B", "lr.1 of A", "lr.1 of B"]
    assert [np.min(line.get_ydata()) for line in difference.lines] == [0.0, -4.0]
    assert len(momentum.lines) == 2
    assert not np.any(none.lines[0].get_ydata())
    assert all(len(line.get_xdata()) < 10_000 for line in rates.lines)  # type: ignore[arg-type]  # an array, for Line2D


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    """A suffix that no picture has, and sides without a common column, are errors."""
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg, got '.*difference\.txt'"):
        compare(LINEAR, COSINE, 10).plot(tmp_path / "difference.txt")
    with pytest.raises(ValueError, match="nothing to draw: A and B have no column in common"):
        compare(Table({"lr": [1.0]}), Table({"momentum": [1.0]})).plot(tmp_path / "difference.png")


def test_groups_of_a_scheduler_meet_those_of_a_table() -> None:
    """A table captured elsewhere is compared with a scheduler, group by group."""
    table = Table({"lr.0": [0.1, 0.1, 0.1], "lr.1": [0.2, 0.2, 0.2 * 0.1]})
    found = compare(SETUPS["other-protocol"](), table)
    assert (found.steps, found.columns["lr.0"].equal, found.columns["lr.1"].first) == (3, True, 1)
