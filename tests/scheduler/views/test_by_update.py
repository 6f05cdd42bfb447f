"""A table's column by the number of the update, compared with `Table.get_lr` at the progress of that update."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import PastEndError, Table
from scheduler.table_format import After
from scheduler.views.by_update import by_update


def make_table(rows: int, *, axis: str = "step", stride: int = 1, after: After = "hold") -> Table:
    return Table({"lr": np.arange(1, rows + 1) / 8}, axis=axis, stride=stride, after=after)  # type: ignore[arg-type]  # a name of one


@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 50))
def test_an_update_has_the_row_of_its_progress(rows: int, stride: int, per_step: int) -> None:
    """Update k of n samples each has the rate that the table has at sample k times n, whatever the stride."""
    table = make_table(rows, axis="sample", stride=stride)
    rates = by_update(table, "lr", per_step=per_step)
    for count in range(rates.end + 3):
        assert rates.values[rates.index(count)] == table.get_lr(count * per_step)
    assert (rates.end - 1) * per_step < rows * stride <= rates.end * per_step


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 30))
def test_an_epoch_has_its_number_of_updates(rows: int, stride: int, per_epoch: int) -> None:
    """On the axis of epochs, update k has the rate of epoch k over their number."""
    table = make_table(rows, axis="epoch", stride=stride)
    rates = by_update(table, "lr", per_epoch=per_epoch)
    for count in range(rates.end + 3):
        assert rates.values[rates.index(count)] == table.get_lr(count // per_epoch)
    assert rates.end == rows * stride * per_epoch


def test_rows_beyond_every_count_are_left_out() -> None:
    """A table whose rows last for millions of updates is cut where no int32 can count any further."""
    rates = by_update(make_table(1000, axis="epoch", stride=1000), "lr", per_epoch=50_000)
    assert rates.firsts is not None
    assert len(rates.values) == len(rates.firsts) == 2**31 // 50_000_000 + 1
    assert rates.values[rates.index(2**31 - 1)] == rates.values[rates.index(2**40)] == rates.values[-1]


def test_the_end_is_looked_at_once_more() -> None:
    """With `after` error a count right at the end has the last value, and one beyond raises; negative ones never do."""
    rates = by_update(make_table(3, after="error"), "lr")
    assert [rates.index(count) for count in (-5, 0, 2, 3)] == [0, 0, 2, 2]
    with pytest.raises(PastEndError, match="update 4 is past the end of this table, which ends at 3"):
        rates.index(4)


@pytest.mark.parametrize(
    ("axis", "arguments", "message"),
    [
        ("sample", {}, "this table counts samples: per_step= is needed, the number of samples that one update takes"),
        ("epoch", {}, "this table counts epochs: per_epoch= is needed, the number of updates in an epoch"),
        ("step", {"per_step": 4}, "per_step is of no use for a table that counts steps, got 4"),
        ("token", {"per_step": 4, "per_epoch": 2}, "per_epoch is of no use for a table that counts tokens, got 2"),
        ("token", {"per_step": 0}, "per_step must be a whole number from 1, got 0"),
        ("token", {"per_step": 2.0}, "per_step must be a whole number from 1, got 2.0"),
        ("epoch", {"per_epoch": True}, "per_epoch must be a whole number from 1, got True"),
    ],
)
def test_the_pace_fits_the_axis(axis: str, arguments: dict[str, int], message: str) -> None:
    """An axis that updates do not count needs their pace, and no other axis takes it."""
    with pytest.raises(ValueError, match=message):
        by_update(make_table(3, axis=axis), "lr", **arguments)


def test_a_column_is_named_by_its_group() -> None:
    """A column of all groups is everyone's; one per group needs the group's number; the table's columns are listed."""
    table = Table({"lr.0": [0.1], "lr.1": [0.2], "weight_decay": [0.3]})
    assert [by_update(table, "lr", group=group).values[0] for group in (0, 1)] == [0.1, 0.2]
    assert by_update(table, "weight_decay", group=1).values[0] == 0.3
    with pytest.raises(ValueError, match=r"values per parameter group: say group=0; the table has lr\.0, lr\.1"):
        by_update(table, "lr")
    with pytest.raises(ValueError, match="column 'lr' of group 2 is not in the table"):
        by_update(table, "lr", group=2)
    with pytest.raises(ValueError, match=r"one that the table has, lr\.0, lr\.1, weight_decay; got 'momentum'"):
        by_update(table, "momentum")
