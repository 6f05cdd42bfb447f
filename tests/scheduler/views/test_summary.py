"""The rows that stand for a whole table: no spike is lost, and every landmark has its name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import KINDS, Spec, Table
from scheduler.custom import CyclicLR, LinearWarmup, WarmupWithDecay
from scheduler.table_format import Axis, TableLayout
from scheduler.views.summary import (
    boundaries,
    call,
    extremes,
    landmarks,
    length_in_words,
    progress_in_words,
    signature,
)


@pytest.mark.parametrize(
    ("rows", "axis", "stride", "length", "all_of_it"),
    [
        (1000, "step", 1, "1,000 steps", "1,000 steps"),
        (1, "epoch", 1, "1 epoch", "1 epoch"),
        (100, "token", 4096, "100 rows of 4,096 tokens", "409,600 tokens"),
        (1, "sample", 256, "1 row of 256 samples", "256 samples"),
        (93_750, "token", 4_000_000, "93,750 rows of 4M tokens", "375B tokens"),
    ],
)
def test_a_length_is_said_in_one_way(rows: int, axis: Axis, stride: int, length: str, all_of_it: str) -> None:
    """Rows and what they count, in the singular where there is one; tokens in millions and billions."""
    layout = TableLayout(("lr",), rows, axis=axis, stride=stride)
    assert (length_in_words(layout), progress_in_words(layout)) == (length, all_of_it)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(1, 40))
def test_extremes_keep_the_outline(values: list[float], buckets: int) -> None:
    """The kept rows ascend, are few, and hold the ends and the lowest and highest value of every run."""
    column = np.array(values)
    rows = extremes(column, buckets)
    assert len(rows) <= 2 * buckets + 2
    assert np.all(np.diff(rows) > 0)
    assert {0, len(values) - 1} <= set(rows.tolist())
    width = -(-len(values) // buckets)
    for first in range(0, len(values), width):
        run, kept = column[first : first + width], column[rows[(rows >= first) & (rows < first + width)]]
        assert (kept.min(), kept.max()) == (run.min(), run.max())


def test_a_single_spike_in_ten_million_rows_is_kept() -> None:
    """A spike of one row survives the reduction of a very long table."""
    values = np.zeros(10**7)
    values[7_654_321] = 1.0
    assert 7_654_321 in extremes(values, 2000)


def test_boundaries_belong_to_their_column() -> None:
    """With parameter groups, each column has the boundaries of its own schedule."""
    spec = Spec(schedule=(LinearWarmup(0.1, 10), LinearWarmup(0.1, 20)), total_steps=50)
    table = Table.compute(spec)
    assert 10 in boundaries(table, "lr.0")
    assert 10 not in boundaries(table, "lr.1")
    assert 20 in boundaries(table, "lr.1")


def test_a_table_without_a_spec_has_its_ends_as_boundaries() -> None:
    """A table without a spec has only its first and last row as boundaries."""
    assert boundaries(Table({"lr": [3.0, 2.0, 1.0]}), "lr") == [0, 2]


def test_landmarks_are_what_the_guide_checks() -> None:
    """The guide's four questions are answered: initial, after warmup, mid-training, final."""
    table = Table.compute(Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000))
    names = landmarks(table)
    assert list(names) == sorted(names)
    assert names.items() >= {0: "initial", 100: "after warmup", 500: "mid-training", 999: "final"}.items()


@pytest.mark.parametrize(("steps", "names"), [(1, ["initial"]), (2, ["initial", "final"])])
def test_landmarks_of_the_shortest_tables(steps: int, names: list[str]) -> None:
    """A row has one name, the ends' before all others."""
    table = Table({"lr": np.ones(steps)})
    assert list(landmarks(table).values()) == names


def test_call_shows_every_parameter() -> None:
    """A schedule in one line is the call that makes an equal one."""
    schedule = CyclicLR(1e-4, 0.1, 100, mode="triangular2")
    text = "custom.CyclicLR(base_lr=0.0001, max_lr=0.1, step_size=100, mode='triangular2', gamma=0.99994)"
    assert call(schedule) == text
    assert eval(text.removeprefix("custom."), {"CyclicLR": CyclicLR}) == schedule


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_signature(kind: str) -> None:
    """A signature starts with the kind's name, and names no parameter twice."""
    text = signature(KINDS[kind])
    assert text.startswith(f"{kind}(")
    assert "kind=" not in text


def test_a_signature_shows_defaults() -> None:
    """Parameters that must be given stand bare, the others with their default."""
    assert signature(WarmupWithDecay) == "custom.WarmupWithDecay(base_lr, warmup_steps, total_steps, min_lr=0.0)"
