"""TableLR and `torch.compile`: how many graphs a compiled step has, and whether its updates are seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import AdamW, Optimizer

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.tables import make_sgd
from tests.support.client.training import make_groups, values_of

STEPS = 1000
TABLE = Table({"lr": [0.1 / (row + 1) for row in range(STEPS)]})
WAYS = ["compiled before", "compiled after", "a compiled function"]


def with_gradients(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)


def step_of(way: str, optimizer: Any) -> tuple[TableLR, Callable[[], Any]]:
    """A scheduler, and what makes an update, compiled before the scheduler is made or after."""
    optimizer.zero_grad()
    if way == "compiled before":
        optimizer.step = torch.compile(optimizer.step, backend="eager")
        return TableLR(optimizer, TABLE), optimizer.step
    scheduler = TableLR(optimizer, TABLE)
    if way == "compiled after":
        optimizer.step = torch.compile(optimizer.step, backend="eager")
        return scheduler, optimizer.step

    def train_step() -> None:
        optimizer.step()

    return scheduler, torch.compile(train_step, backend="eager")


@pytest.mark.slow
@pytest.mark.filterwarnings("default::DeprecationWarning:torch")  # torch's compiler uses what torch deprecates
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("tensor", "graphs"), [(True, 1), (False, 2)], ids=["tensor", "float"])
def test_a_compiled_step_has_as_many_graphs_as_without_us(way: str, tensor: bool, graphs: int) -> None:
    """1,000 steps are one graph where the rate is a tensor, two where it is a float: the second takes any number."""
    from torch._dynamo.utils import counters  # noqa: PLC0415  # the compiler is slow to import

    torch._dynamo.reset()
    counters.clear()
    rate = torch.tensor(1.0, dtype=torch.float64) if tensor else 1.0
    optimizer = AdamW(make_groups(2), lr=rate, capturable=tensor)  # which torch allows on a CPU in compiled code alone
    scheduler, step = step_of(way, optimizer)
    applied = []
    for _ in range(STEPS):
        with_gradients(optimizer)
        applied += values_of(optimizer)[:1]
        step()
        scheduler.step()
        scheduler.step()
    assert applied == TABLE.lr.tolist()
    assert counters["stats"]["unique_graphs"] == graphs


@pytest.mark.slow
@pytest.mark.filterwarnings("default::DeprecationWarning:torch")  # torch's compiler uses what torch deprecates
@pytest.mark.filterwarnings("ignore:an update followed another:scheduler.ScheduleWarning")
@pytest.mark.parametrize("way", WAYS)
def test_a_compiled_step_that_nobody_follows_has_the_right_rows(way: str) -> None:
    """Without any step() of the scheduler, each compiled update has its own row."""
    torch._dynamo.reset()
    optimizer = make_sgd()
    scheduler, step = step_of(way, optimizer)
    weight = optimizer.param_groups[0]["params"][0]
    applied = []
    for _ in range(6):
        with_gradients(optimizer)
        before = weight.detach().double().clone()
        step()
        applied.append(float((before - weight.detach().double())[0]))
    assert applied == pytest.approx(TABLE.lr.tolist()[:6], rel=1e-5)
    scheduler.step()


def test_watching_loads_no_compiler() -> None:
    """A training with a TableLR that compiles nothing does not load torch's compiler."""
    script = """
import sys, torch
from client.lr_scheduler import TableLR
from scheduler import Table
parameter = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([parameter], lr=0.1)
before = "torch._dynamo" in sys.modules
scheduler = TableLR(optimizer, Table({"lr": [0.1, 0.2, 0.3]}))
for _ in range(2):
    parameter.grad = torch.ones(1)
    optimizer.step()
    scheduler.step()
print(before, "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, after = done.stdout.split()
    assert before == after
