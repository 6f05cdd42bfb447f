"""A table is read by progress, by row, by column, as an array and as a tensor; what is ambiguous says what to write."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch.utils.dlpack
from hypothesis import given
from hypothesis import strategies as st

from scheduler import PastEndError, Table, TableError
from scheduler.custom import WarmupWithDecay

RATES = [0.5, 0.25, 0.125]


@pytest.fixture
def table() -> Table:
    return Table({"lr": RATES})


@pytest.fixture
def several() -> Table:
    return Table({"lr": RATES, "momentum": [0.9, 0.8, 0.7]})


def test_a_row_is_a_python_float(table: Table) -> None:
    """table[k] is row k, counted from the end where k is negative, and never a NumPy number."""
    assert [table[0], table[2], table[-1], table[np.int64(1)]] == [0.5, 0.125, 0.125, 0.25]
    assert {type(table[k]) for k in range(3)} == {float}
    for row in (3, -4):
        with pytest.raises(IndexError, match=f"index {row} is out of bounds"):
            table[row]


def test_a_tensor_of_steps_is_an_array_of_them(table: Table) -> None:
    """Several steps in a tensor give as many rates, by progress and by row, of a table and of a schedule."""
    steps: Any = torch.tensor([[0, 2], [1, 0]])
    assert table.get_lr(steps).tolist() == table[steps].tolist() == [[0.5, 0.125], [0.25, 0.5]]
    assert table.get_lr(steps[0, 1]) == table[steps[0, 1]] == 0.125
    schedule = WarmupWithDecay(5e-4, 10, 100)
    assert schedule.get_lr(steps).tolist() == schedule.get_lr(steps.numpy()).tolist()
    with pytest.raises(TypeError, match=r"step must be integers, got tensor\(\[0\.5000\]\)"):
        table.get_lr(torch.tensor([0.5]))


@pytest.mark.parametrize("key", [True, np.True_])
def test_a_truth_value_is_no_row(key: Any, table: Table) -> None:
    """table[True] is refused, where Python would take row 1."""
    with pytest.raises(TypeError, match=r"a table is indexed by rows or the name of a column, got .*True"):
        table[key]


def test_rows_are_a_read_only_array(table: Table) -> None:
    """A slice, a list and an array of rows give the values as NumPy does."""
    assert table[1:].tolist() == [0.25, 0.125]
    assert table[::-1].tolist() == RATES[::-1]
    assert table[[0, 2]].tolist() == table[np.array([0, 2])].tolist() == [0.5, 0.125]
    with pytest.raises(ValueError, match="read-only"):
        table[1:][0] = 1.0


def test_a_column_has_its_name(several: Table) -> None:
    """table["momentum"] is that column; a name that is none of them is a KeyError that lists them."""
    assert several["momentum"] is several.columns["momentum"]
    with pytest.raises(KeyError, match="this table has no column 'beta1', only lr, momentum"):
        several["beta1"]


@pytest.mark.parametrize("key", [None, 1.0, b"lr", {"lr"}])
def test_nothing_else_is_an_index(table: Table, key: Any) -> None:
    """What is neither a row nor a column's name is a TypeError that names it."""
    with pytest.raises(TypeError, match="a table is indexed by rows or the name of a column, got"):
        table[key]


def test_it_is_a_sequence_of_its_values(table: Table) -> None:
    """len, iteration, `in` and truth are those of a sequence of Python floats; a table is always true."""
    assert len(table) == 3
    assert [*table] == RATES
    assert {type(rate) for rate in table} == {float}
    assert 0.25 in table
    assert 0.3 not in table
    assert table


def test_it_is_an_array(table: Table) -> None:
    """numpy.asarray shares the memory, read-only; a dtype or a copy is as asked for."""
    assert np.shares_memory(np.asarray(table), table.lr)
    assert not np.asarray(table).flags.writeable
    assert np.array(table).flags.writeable
    assert np.asarray(table, dtype=np.float32).dtype == np.float32
    assert np.sum(table) == sum(RATES)
    assert Table({"lr": table}) == table


@pytest.mark.parametrize("make", [torch.as_tensor, torch.tensor, torch.utils.dlpack.from_dlpack, torch.asarray])
def test_it_is_a_tensor_of_its_own(table: Table, make: Any) -> None:
    """PyTorch takes it as float64, in memory of its own, which may be written to."""
    tensor = make(table)
    assert tensor.dtype == torch.float64
    assert tensor.tolist() == RATES
    tensor.zero_()
    assert table.lr.tolist() == RATES


@pytest.mark.parametrize(
    "use",
    [lambda table: table[0], lambda table: table[:2], list, np.asarray, torch.as_tensor],
    ids=["a row", "a slice", "list", "asarray", "as_tensor"],
)
def test_several_columns_are_ambiguous(several: Table, use: Any) -> None:
    """Without a name it is not clear which column is meant: the error says how to write it."""
    with pytest.raises(
        TableError, match=r"this table has several columns, lr, momentum: name one, as in table\['lr'\]"
    ):
        use(several)
    assert len(several) == 3


@given(
    progress=st.lists(st.integers(0, 40) | st.integers(2**62, 2**63 - 1), max_size=20),
    after=st.sampled_from(["hold", "release", "error"]),
    stride=st.integers(1, 5),
    columns=st.sampled_from([{"lr": RATES}, {"lr.0": RATES, "lr.1": [1.0, 2.0, 3.0]}, {"lr": RATES, "eps": [0.0] * 3}]),
)
def test_many_rates_are_those_of_each(progress: list[int], after: Any, stride: int, columns: Any) -> None:
    """get_lr of an array is get_lr of each progress in it, or raises what the largest one raises."""
    table = Table(columns, axis="sample", stride=stride, after=after)
    for group in range(table.groups or 1):
        try:
            each = [table.get_lr(one, group=group) for one in progress]
        except PastEndError:
            with pytest.raises(PastEndError, match=f"sample {max(progress)} is past the end of this table"):
                table.get_lr(progress, group=group)
            continue
        rates = table.get_lr(np.array(progress, dtype=np.int64), group=group)
        assert rates.tolist() == each
        assert table.get_lr(progress, group=group).tolist() == each


@given(steps=st.lists(st.integers(0, 20_000), max_size=8))
def test_many_rates_of_a_schedule_are_those_of_each(steps: list[int]) -> None:
    """A schedule's get_lr of an array, a list or a range is get_lr of each step in it, in its shape."""
    schedule = WarmupWithDecay(5e-4, 100, 20_000, min_lr=1e-6)
    each = [schedule.get_lr(step) for step in steps]
    assert schedule.get_lr(steps).tolist() == each
    assert schedule.get_lr(np.array([steps])).tolist() == [each]


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        ("3", TypeError, "step must be an integer, got '3'"),
        ([0.5], TypeError, r"step must be integers, got \[0.5\]"),
        ([3, -1], ValueError, "step must be from 0 to .*, got -1"),
        (np.array([0.5, 1.5]), TypeError, "step must be integers, got"),
    ],
)
def test_what_is_no_step_of_a_schedule_is_refused(step: Any, error: type[Exception], message: str) -> None:
    """A schedule names what is no step, alone or among others."""
    with pytest.raises(error, match=message):
        WarmupWithDecay(5e-4, 10, 100).get_lr(step)


@pytest.mark.parametrize("n", ["3", 2.5, None, b"4"])
def test_what_is_no_number_of_steps_is_refused(n: Any) -> None:
    """Values of that many steps, and rates of such a group, are a TypeError with the name and the value."""
    with pytest.raises(TypeError, match=f"n must be an integer, got {n!r}"):
        WarmupWithDecay(5e-4, 10, 100).values(n)
    with pytest.raises(TypeError, match=f"group must be an integer, got {n!r}"):
        Table({"lr": RATES}).row(0, group=n)


def test_many_rates_have_the_shape_of_what_was_asked(table: Table) -> None:
    """An array of any shape gives rates in that shape, in memory of their own; a range is one, too."""
    rates = table.get_lr(np.array([[0, 1], [2, 9]]))
    assert rates.tolist() == [[0.5, 0.25], [0.125, 0.125]]
    rates[:] = 0.0
    assert table.get_lr(range(3)).tolist() == RATES
    assert table.get_lr(np.array(1)) == 0.25


@pytest.mark.parametrize(
    ("progress", "error", "message"),
    [
        ("3", TypeError, "step must be an integer, got '3'"),
        (["3"], TypeError, r"step must be integers, got \['3'\]"),
        ([0.5], TypeError, r"step must be integers, got \[0.5\]"),
        ([True], TypeError, r"step must be integers, got \[True\]"),
        ([[0, 1], [2]], ValueError, "inhomogeneous"),
        ([0, -1], ValueError, "step must be from 0 to 9223372036854775807, got -1"),
        (np.array([2**63], dtype=np.uint64), ValueError, "step must be from 0 to .*, got 9223372036854775808"),
    ],
)
def test_what_is_no_progress_is_refused(table: Table, progress: Any, error: type[Exception], message: str) -> None:
    """Texts, floats, truth values, negative and absurd numbers are named, alone or among others."""
    with pytest.raises(error, match=message):
        table.get_lr(progress)


def test_rates_of_a_group_without_one(table: Table) -> None:
    """Several rates of a group that has none are refused as a single one is."""
    with pytest.raises(TableError, match=r"this table has no rate for group 1, only lr\.0, lr\.2"):
        Table({"lr.0": [0.1], "lr.2": [0.3]}).get_lr([0], group=1)


def test_a_copy_is_read_alike(table: Table) -> None:
    """A copy, made as other processes make theirs, reads as the original does."""
    assert [*copy.copy(table)] == [*table]


def test_a_schedules_table_is_its_array() -> None:
    """Plotting libraries and others take a table as they take an array."""
    schedule = WarmupWithDecay(5e-4, 10, 100)
    assert np.asarray(schedule.table(100)).tobytes() == schedule.values(100).tobytes()
