"""bind_table: a table's rows in a plain loop, one call a step."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import SGD, AdamW

from client import plain_loop
from client.plain_loop import bind_table
from scheduler import PastEndError, Table
from scheduler.table_format import After
from tests.support.client.tables import RATES, make_sgd, make_table, per_group_table
from tests.support.client.training import make_groups, update, values_of


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("most", [0, 2**17])
def test_each_step_has_its_row(groups: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row k is in every group as a Python float after `apply_row(k)`, in any order, from a list and from the array."""
    monkeypatch.setattr(plain_loop, "_MOST_FLOATS", most)
    optimizer = make_sgd(groups)
    apply_row = bind_table(optimizer, make_table())
    assert values_of(optimizer) == [1.0] * groups
    for step in (0, 1, 2, 7, 3, np.int64(4), np.uint8(5), 9):
        apply_row(step)
        assert values_of(optimizer) == [RATES[int(step)]] * groups
        assert all(type(group["lr"]) is float for group in optimizer.param_groups)
        update(optimizer)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (-1, ValueError, "step must be from 0 to 9223372036854775807, got -1"),
        (2**63, ValueError, "step must be from 0 to 9223372036854775807, got 9223372036854775808"),
        (True, TypeError, "step must be an integer, got True"),
        (1.0, TypeError, r"step must be an integer, got 1\.0"),
        ("1", TypeError, "step must be an integer, got '1'"),
        (None, TypeError, "step must be an integer, got None"),
    ],
)
def test_a_step_that_is_none_is_refused(groups: int, step: Any, error: type[Exception], message: str) -> None:
    """What is no step raises what `table.get_lr` raises, and nothing is written."""
    optimizer, table = make_sgd(groups), make_table()
    apply_row = bind_table(optimizer, table)
    apply_row(3)
    for call in (apply_row, table.get_lr):
        with pytest.raises(error, match=message):
            call(step)
    assert values_of(optimizer) == [RATES[3]] * groups


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("after", ["hold", "error", "release"])
def test_past_the_end(groups: int, after: After) -> None:
    """`hold` keeps the last row, `error` raises past the step after the last, and `release` writes nothing."""
    optimizer = make_sgd(groups)
    apply_row = bind_table(optimizer, make_table(after=after))
    for group in optimizer.param_groups:
        group["lr"] = 0.7
    apply_row(10)
    assert values_of(optimizer) == [0.7 if after == "release" else RATES[-1]] * groups
    if after == "error":
        with pytest.raises(PastEndError, match="step 11 is past the table's end, 10"):
            apply_row(11)
    else:
        apply_row(10**12)
        assert values_of(optimizer) == [0.7 if after == "release" else RATES[-1]] * groups


@pytest.mark.parametrize("groups", [1, 2])
def test_other_writers_and_loaded_states_are_overwritten(groups: int) -> None:
    """Nothing is kept between calls: each writes its row, whatever is in the optimizer and whoever wrote it."""
    optimizer = make_sgd(groups, momentum=0.9)
    apply_row = bind_table(optimizer, make_table())
    apply_row(1)
    saved = copy.deepcopy(optimizer.state_dict())
    apply_row(2)
    optimizer.load_state_dict(saved)
    apply_row(3)
    assert values_of(optimizer) == [RATES[3]] * groups
    optimizer.param_groups[-1]["lr"] = 5
    apply_row(4)
    assert values_of(optimizer) == [RATES[4]] * groups
    optimizer.add_param_group(make_groups(1, lr=0.9)[0])
    for step in (5, 6):
        apply_row(step)
        assert values_of(optimizer) == [RATES[step]] * (groups + 1)


@pytest.mark.parametrize("groups", [1, 2])
def test_tensors_are_filled_in_place(groups: int) -> None:
    """A rate that is a tensor stays the same object, whether it was there from the beginning or came later."""
    optimizer = AdamW(make_groups(groups), lr=0.5)
    apply_row = bind_table(optimizer, make_table())
    apply_row(0)
    apply_row(1)
    rate = torch.tensor(1.0, dtype=torch.float64)
    optimizer.param_groups[-1]["lr"] = rate
    for step in (2, 3):
        apply_row(step)
        assert optimizer.param_groups[-1]["lr"] is rate
        assert values_of(optimizer) == [RATES[step]] * groups
    optimizer.param_groups[-1]["lr"] = torch.tensor(1)
    with pytest.raises(ValueError, match=r"the lr of a group must be a number or a tensor of one float"):
        apply_row(4)


def test_every_column_is_written() -> None:
    """Columns beside the rate, those of single groups, and rows longer than a step are written as TableLR does."""
    table = Table({"lr": RATES, "beta1": [0.9 - rate for rate in RATES]}, axis="token", stride=100)
    optimizer = AdamW(make_groups(2))
    apply_row = bind_table(optimizer, table)
    apply_row(399)
    assert values_of(optimizer) == [RATES[3]] * 2
    assert [group["betas"] for group in optimizer.param_groups] == [(0.9 - RATES[3], 0.999)] * 2
    with pytest.raises(ValueError, match="token must be from 0"):
        apply_row(-1)
    one_each = make_sgd(2)
    bind_table(one_each, per_group_table(2))(4)
    assert values_of(one_each) == [RATES[4], RATES[4] / 2]


def test_what_does_not_fit_is_refused() -> None:
    """A table's columns are compared with the groups at once, and with those that are added before they are written."""
    with pytest.raises(TypeError, match=r"table must be a Table, got \[0\.1\]"):
        bind_table(make_sgd(), [0.1])  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ValueError, match="the table has the column 'beta1', which group 0 does not have"):
        bind_table(make_sgd(), Table({"lr": RATES, "beta1": RATES}))
    with pytest.raises(ValueError, match="the table has values for 3 parameter groups"):
        bind_table(make_sgd(2), per_group_table(3))
    optimizer = SGD(make_groups(2), lr=1.0)
    apply_row = bind_table(optimizer, per_group_table(2))
    optimizer.add_param_group(make_groups(1)[0])
    with pytest.raises(ValueError, match=r"the optimizer has 3 \("):
        apply_row(1)
    assert values_of(optimizer) == [1.0] * 3
