"""Real loops of torch with a planted disease: the rates that they log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, LRScheduler, PolynomialLR, SequentialLR

from scheduler import Schedule, Table
from scheduler.fields import Values
from scheduler.interop.recognise import describe
from scheduler.libraries import transformers

UPDATES = 400
WARMUP = 40
PEAK = 3e-4

Make = Callable[[torch.optim.Optimizer, int], LRScheduler]
"""The scheduler of an optimizer for a number of updates."""


def _cosine(optimizer: torch.optim.Optimizer, updates: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=updates, eta_min=1e-6)


def _warm_cosine(optimizer: torch.optim.Optimizer, updates: int) -> LRScheduler:
    warm = LinearLR(optimizer, start_factor=0.01, total_iters=WARMUP)
    return SequentialLR(optimizer, [warm, CosineAnnealingLR(optimizer, T_max=updates - WARMUP)], milestones=[WARMUP])


def _polynomial(optimizer: torch.optim.Optimizer, updates: int) -> LRScheduler:
    return PolynomialLR(optimizer, total_iters=updates, power=2.0)


def _of_transformers(name: str, optimizer: torch.optim.Optimizer, updates: int) -> LRScheduler:
    from transformers import get_scheduler  # noqa: PLC0415  # it takes seconds

    made: LambdaLR = get_scheduler(name, optimizer, num_warmup_steps=WARMUP, num_training_steps=updates)
    return made


SCHEDULES: dict[str, Make] = {
    "cosine": _cosine,
    "warm cosine": _warm_cosine,
    "polynomial": _polynomial,
    "transformers cosine": partial(_of_transformers, "cosine"),
    "transformers linear": partial(_of_transformers, "linear"),
}


def table_of(name: str) -> Table:
    """The table that a run with this schedule should have followed."""
    if name.startswith("transformers"):
        kind: Any = {"cosine": transformers.Cosine, "linear": transformers.Linear}[name.split()[1]]
        planned: Schedule | list[Schedule] = kind(PEAK, WARMUP, UPDATES)
    else:
        planned = describe(SCHEDULES[name](_optimizer(), UPDATES))
    assert isinstance(planned, Schedule)
    return planned.table(UPDATES)


@dataclass(frozen=True)
class Plant:
    """What is wrong with a loop.

    Args:
        times: how often the scheduler is stepped after each update.
        resumed: updates at which the job begins again with a fresh scheduler, while the counter goes on.
        length: the number of updates that the scheduler is made for.
        changed: the update at which it is made anew for `length`, and brought to where the run is; 0 from the start.
        late: whether the first step of the scheduler is missing.
        applied: whether the scheduler drives the optimizer that trains.
        logged_after: whether the rate is logged after the scheduler's step.
    """

    times: int = 1
    resumed: Sequence[int] = ()
    length: int = UPDATES
    changed: int = 0
    late: bool = False
    applied: bool = True
    logged_after: bool = False


PLANTS: dict[str, Plant] = {
    "stepped once per process": Plant(times=2),
    "warmup repeated after a resume": Plant(resumed=[157]),
    "denominator changed": Plant(length=520, changed=200),
    "one step late": Plant(late=True),
    "T_max too short": Plant(length=250),
    "constant because never applied": Plant(applied=False),
    "next step's rate logged": Plant(logged_after=True),
}


def logged_rates(name: str, plant: Plant = Plant()) -> Values:  # it is frozen
    """Train with real updates and return the rate that the loop logs at each, shape [UPDATES]."""
    optimizer = _optimizer()
    driven = optimizer if plant.applied else _optimizer()
    make = SCHEDULES[name]
    scheduler = make(driven, UPDATES if plant.changed else plant.length)
    logged = np.empty(UPDATES)
    for update in range(UPDATES):
        if update in plant.resumed:
            optimizer = driven = _optimizer()
            scheduler = make(driven, plant.length)
        if plant.changed and update == plant.changed:
            driven.param_groups[0]["lr"] = PEAK
            scheduler = _brought_to(make(driven, plant.length), update)
        logged[update] = optimizer.param_groups[0]["lr"]
        _update(driven)
        if driven is not optimizer:
            _update(optimizer)
        if not (plant.late and update == 0):
            for _ in range(plant.times):
                scheduler.step()
        if plant.logged_after:
            logged[update] = optimizer.param_groups[0]["lr"]
    return logged


def _brought_to(scheduler: LRScheduler, update: int) -> LRScheduler:
    _update(scheduler.optimizer)
    for _ in range(update):
        scheduler.step()
    return scheduler


def _optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)


def _update(optimizer: torch.optim.Optimizer) -> None:
    parameter = optimizer.param_groups[0]["params"][0]
    parameter.grad = torch.ones(1)
    optimizer.step()


def rounded(values: Values, precision: str) -> Values:
    """The values as a log has them: `float64`, `float32` or `4 digits`."""
    if precision == "float32":
        return values.astype(np.float32).astype(np.float64)
    if precision == "4 digits":
        return np.array([float(f"{value:.4g}") for value in values])
    return values
