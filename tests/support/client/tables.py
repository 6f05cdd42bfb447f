"""Tables, optimizers and the rates that a TableLR puts in force."""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, Optimizer

from scheduler import Table
from scheduler.table_format import After, Axis
from tests.support.client.training import make_groups, update

RATES = [0.1 / (k + 1) for k in range(10)]


def make_table(rates: list[float] = RATES, *, after: After = "hold", axis: Axis = "step", stride: int = 1) -> Table:
    return Table({"lr": rates}, after=after, axis=axis, stride=stride)


def make_sgd(groups: int = 1, **options: Any) -> SGD:
    return SGD(make_groups(groups), lr=1.0, **options)


def rates_in_force(optimizer: Optimizer, scheduler: Any, steps: int) -> list[float]:
    """The rates in force during `steps` updates."""
    applied = []
    for _ in range(steps):
        applied.append(float(optimizer.param_groups[0]["lr"]))
        update(optimizer)
        scheduler.step()
    return applied


def per_group_table(groups: int) -> Table:
    return Table({f"lr.{index}": [rate / (index + 1) for rate in RATES] for index in range(groups)})
