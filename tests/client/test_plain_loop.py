"""set_lr, for loops without a scheduler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import AdamW

from client.lr_scheduler import TableLR
from client.plain_loop import set_lr
from tests.support.client.tables import make_sgd, make_table
from tests.support.client.training import make_groups, values_of


@pytest.mark.parametrize("lr", [0.25, 1, np.float64(0.5), np.float32(0.5), 0])
def test_set_lr_writes_python_floats(lr: Any) -> None:
    """`set_lr` writes a Python float into every group, whatever number it is given."""
    optimizer = make_sgd(3)
    set_lr(optimizer, lr)
    assert values_of(optimizer) == [float(lr)] * 3
    assert all(type(group["lr"]) is float for group in optimizer.param_groups)


def test_set_lr_fills_tensors_in_place() -> None:
    """`set_lr` keeps a tensor and fills it."""
    rate = torch.tensor(1.0)
    optimizer = AdamW(make_groups(2), lr=rate)
    set_lr(optimizer, 0.25)
    assert optimizer.param_groups[1]["lr"] is rate
    assert rate.item() == 0.25


NO_RATES = [math.nan, math.inf, -0.1, -1e-8, -math.inf, np.nextafter(1e12, 2e12), np.float64("nan"), 10**400]


@pytest.mark.parametrize("lr", NO_RATES, ids=[f"{rate!r:.20}" for rate in NO_RATES])
def test_set_lr_refuses_what_is_no_rate(lr: Any) -> None:
    """NaN, infinity, negative and absurd numbers are refused with the value, and nothing is written."""
    optimizer = make_sgd()
    with pytest.raises(ValueError, match=r"lr must be finite, >= 0 and <= 1e\+12, got .*(nan|inf|-0.1|-1e-08|10000)"):
        set_lr(optimizer, lr)
    assert values_of(optimizer) == [1.0]


@pytest.mark.parametrize("lr", [0.0, -5.55e-19, 1e12])
def test_set_lr_and_table_agree_on_what_a_rate_is(lr: float) -> None:
    """set_lr and TableLR write every value that a table may hold, a rounding below 0 included, bit for bit."""
    optimizer = make_sgd()
    set_lr(optimizer, lr)
    assert values_of(optimizer) == [lr]
    set_lr(optimizer, 1.0)
    scheduler = TableLR(optimizer, make_table([lr]))
    assert values_of(optimizer) == [lr]
    scheduler.load_state_dict(scheduler.state_dict())
    assert values_of(optimizer) == [lr]


@pytest.mark.parametrize("lr", ["0.1", None, True, [0.1], 1j])
def test_set_lr_refuses_what_is_no_number(lr: Any) -> None:
    """A value that is not a number is refused, and the error has the value."""
    with pytest.raises(TypeError, match="lr must be a number, got"):
        set_lr(make_sgd(), lr)
