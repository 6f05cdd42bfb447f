"""Helpers for tests of schedulers on real optimizers: groups, an update, the rates, a checkpoint's file."""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch
from torch.optim import Optimizer


def make_groups(count: int, **options: Any) -> list[dict[str, Any]]:
    """Parameter groups of two numbers each."""
    return [{"params": [torch.nn.Parameter(torch.ones(2))], **options} for _ in range(count)]


def update(optimizer: Optimizer) -> None:
    """One step of the optimizer, with gradients."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = parameter.detach() * 0.5
    optimizer.step()


def record_rates(optimizer: Optimizer, group: int = 0) -> list[float]:
    """The rate of a parameter group at the beginning of each update from now on."""
    seen: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(float(optimizer.param_groups[group]["lr"])))
    return seen


def by_hand(optimizer: Optimizer) -> None:
    """An update that no hook sees."""
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
                parameter.sub_(parameter.grad, alpha=float(group["lr"]))


def skip(optimizer: Optimizer) -> None:
    """What an update leaves that a GradScaler skips, or a batch whose gradients are only accumulated."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.full_like(parameter, torch.inf)


def values_of(optimizer: Optimizer, name: str = "lr") -> list[float]:
    """A hyperparameter of each group."""
    return [float(group[name]) for group in optimizer.param_groups]


def train(optimizer: Optimizer, scheduler: Any, steps: int, name: str = "lr") -> list[list[float]]:
    """A hyperparameter of each group, in force during each of `steps` updates."""
    applied = []
    for _ in range(steps):
        applied.append(values_of(optimizer, name))
        update(optimizer)
        scheduler.step()
    return applied


def through_file(state: Any) -> Any:
    """The state as torch.load gives it back, with its safe default."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def pickled(value: Any) -> Any:
    """A copy, by way of pickle."""
    return pickle.loads(pickle.dumps(value))
