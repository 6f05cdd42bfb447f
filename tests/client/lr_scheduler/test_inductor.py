"""TableLR and `torch.compile` with the backend inductor: generated code, which needs a C++ compiler."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import AdamW

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.training import values_of

STEPS = 12
TABLE = Table({"lr": [0.01 / (row + 1) for row in range(STEPS)]})
INPUTS = torch.linspace(-1.0, 1.0, 12).reshape(4, 3)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="inductor needs a C++ compiler"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # torch's compiler uses what torch and others deprecate
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


def model_and_optimizer() -> tuple[torch.nn.Linear, Any]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    return model, AdamW(model.parameters(), lr=torch.tensor(1.0, dtype=torch.float64))


def trained(make_step: Callable[[torch.nn.Linear, Any], Callable[[], Any]]) -> tuple[list[float], torch.Tensor]:
    """The rates that updates had, and the weights after all of them."""
    model, optimizer = model_and_optimizer()
    scheduler = TableLR(optimizer, TABLE)
    step, applied = make_step(model, optimizer), []
    for _ in range(STEPS):
        applied += values_of(optimizer)
        step()
        scheduler.step()
    return applied, model.weight.detach().clone()


def of_the_step(model: torch.nn.Linear, optimizer: Any) -> Callable[[], Any]:
    """Compile the optimizer's step alone."""
    step = torch.compile(lambda: optimizer.step(), backend="inductor")

    def update() -> None:
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        step()

    return update


def of_the_whole(model: torch.nn.Linear, optimizer: Any) -> Callable[[], Any]:
    """Compile forward, backward and the update as one function."""

    def update() -> None:
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        optimizer.step()

    return torch.compile(update, backend="inductor")


def eagerly(model: torch.nn.Linear, optimizer: Any) -> Callable[[], Any]:
    def update() -> None:
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        optimizer.step()

    return update


@pytest.mark.parametrize(("compiled", "graphs"), [(of_the_step, 1), (of_the_whole, 2)])
def test_generated_code_has_the_rates_of_the_table(
    compiled: Callable[[torch.nn.Linear, Any], Callable[[], Any]], graphs: int
) -> None:
    """A tensor rate: each update has its row, the weights are those without a compiler, and no rate compiles anew."""
    from torch._dynamo.utils import counters  # noqa: PLC0415  # the compiler is slow to import

    torch._dynamo.reset()
    counters.clear()
    applied, weights = trained(compiled)
    assert applied == TABLE.lr.tolist()
    torch.testing.assert_close(weights, trained(eagerly)[1], rtol=1e-5, atol=1e-7)
    assert counters["stats"]["unique_graphs"] == graphs
