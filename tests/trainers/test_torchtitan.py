"""A table as the factor of torchtitan's container of schedulers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from client.trainers.torchtitan import RateFactor
from scheduler import PastEndError, Table
from tests.support.client.training import update
from tests.support.preloaded import Preloaded
from tests.trainers import torchtitan_runs
from tests.trainers.support import APART, on_processes, record_rates, rows_of

TABLE = torchtitan_runs.TABLE


@pytest.fixture(scope="module")
def runs(preloaded: Preloaded) -> Any:
    """What each training used, both made in one process: torchtitan takes long to import."""
    return on_processes(preloaded, Path(torchtitan_runs.__file__), size=1, path=APART)[0]


def test_each_update_has_its_row(runs: Any) -> None:
    """With optimizers made with a rate of 1.0, update k of each uses row k, bit for bit."""
    assert runs["fresh"] == [rows_of(TABLE)] * 2


def test_a_resumed_training_goes_on_with_its_row(runs: Any) -> None:
    """Resumed from the states of container and optimizers, the first update uses the row after the last."""
    assert runs["resumed"] == [rows_of(TABLE, 5)] * 2


def test_a_base_rate_is_divided_out() -> None:
    """With the optimizer's own rate given, the products are the table's rates but for a rounding."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.3)
    scheduler = LambdaLR(optimizer, RateFactor(TABLE, base_lr=0.3))
    rates = record_rates(optimizer)
    for _ in range(12):
        update(optimizer)
        scheduler.step()
    assert rates == pytest.approx(rows_of(TABLE), rel=4e-16)


def test_a_row_has_a_stride() -> None:
    """A row of a stride of two is that of two updates."""
    factor = RateFactor(Table({"lr": TABLE.lr}, stride=2))
    assert [factor(step) for step in range(24)] == [rate for rate in rows_of(TABLE) for _ in range(2)]


def test_past_the_end() -> None:
    """The last rate is held, or the end is an error, one step later: torch's loops step once more."""
    held, strict = (RateFactor(Table({"lr": [0.1, 0.2]}, after=after)) for after in ("hold", "error"))
    assert [held(step) for step in (1, 2, 99)] == [0.2, 0.2, 0.2]
    assert strict(2) == 0.2
    with pytest.raises(PastEndError, match="step 3 is past the table's end, 2"):
        strict(3)


@pytest.mark.parametrize(
    ("table", "base_lr", "message"),
    [
        (Table({"lr": [0.1]}, axis="epoch"), 1.0, "the table has the axis 'epoch'"),
        (Table({"lr": [0.1], "momentum": [0.9]}), 1.0, "drives the rate alone, and the table has lr, momentum"),
        (TABLE, 0.0, "base_lr must be > 0, got 0.0"),
    ],
)
def test_what_is_no_factor_is_refused(table: Table, base_lr: float, message: str) -> None:
    """Another axis, another column and a base of 0 are refused."""
    with pytest.raises(ValueError, match=message):
        RateFactor(table, base_lr)
