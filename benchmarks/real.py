"""The real scheduler that a twin is a twin of, on a real optimizer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from transformers.optimization import get_scheduler

from scheduler import Schedule
from scheduler.builtin.twin import Twin
from tests.support.schedules.stepping import optimizer_of, real_scheduler

Real = tuple[torch.optim.Optimizer, Any]
"""An optimizer that has stepped once, as torch asks for, and the scheduler on it."""


def real(twin: Schedule) -> Real:
    """A new scheduler with the twin's parameters."""
    if twin.kind.startswith("deepspeed."):
        optimizer, scheduler = _deepspeed(twin)
    else:
        optimizer, scheduler = _torch(twin) if isinstance(twin, Twin) else _transformers(twin)
    optimizer.step()
    return optimizer, scheduler


def over(function: Callable[[int], float]) -> Real:
    """A new LambdaLR of torch, over this function from step to rate."""
    optimizer = _optimizer(1.0, 1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, function)
    optimizer.step()
    return optimizer, scheduler


def _torch(twin: Twin) -> Real:
    optimizer = optimizer_of(twin)
    return optimizer, real_scheduler(twin, optimizer)


def _transformers(twin: Schedule) -> Real:
    given = twin.to_dict()
    name, base_lr = given.pop("kind").removeprefix("transformers."), given.pop("base_lr")
    optimizer = _optimizer(base_lr, given.pop("lr_init", None) or base_lr)
    counts = {count: given.pop(count, None) for count in ("num_warmup_steps", "num_training_steps")}
    return optimizer, get_scheduler(name, optimizer, **counts, scheduler_specific_kwargs=given)


def _deepspeed(twin: Schedule) -> Real:
    logging.disable(logging.WARNING)  # it warns of a machine without an accelerator, and of each scheduler
    schedules = import_module("deepspeed.runtime.lr_schedules")  # of the extra for trainers
    given = twin.to_dict()
    name = given.pop("kind").removeprefix("deepspeed.")
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=given.pop("base_lr", 1.0))
    return optimizer, getattr(schedules, name)(optimizer, **given)


def _optimizer(lr: float, default: float) -> torch.optim.Optimizer:
    """An optimizer whose one group has the rate `lr`, and which has another by default."""
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr}], lr=default)
