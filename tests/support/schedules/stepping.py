"""Stepping a real torch scheduler on a real optimizer, as a training does, and noting what is in force."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler, swa_utils

from scheduler.builtin.twin import Twin
from scheduler.fields import Values

Columns = dict[str, Values]


def real_class(twin: type[Twin] | Twin) -> Any:
    """The torch class that the kind is a twin of."""
    name = twin.kind.removeprefix("torch.")
    return getattr(swa_utils if name == "SWALR" else lr_scheduler, name)


def optimizer_of(twin: Twin) -> torch.optim.Optimizer:
    """An optimizer with one parameter group, at the rate that the twin's base_lr says, and with its momentum."""
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    lr = _base_lr(twin)
    if "beta1" in twin.column_names:
        return torch.optim.Adam(parameters, lr=lr)
    return torch.optim.SGD(parameters, lr=lr, momentum=0.5)


def real_scheduler(twin: Twin, optimizer: torch.optim.Optimizer) -> Any:
    """The real scheduler with the twin's parameters, its members built before it."""
    given = {field.name: getattr(twin, field.name) for field in dataclasses.fields(twin)}  # type: ignore[arg-type]  # a dataclass
    for name in ("kind", "momentum_column", *(["base_lr"] if twin.reads_rate else [])):
        given.pop(name, None)
    if "schedulers" in given:
        given["schedulers"] = [real_scheduler(member, optimizer) for member in given["schedulers"]]
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a nested composite steps while it is built
        return real_class(twin)(optimizer=optimizer, **given)


def step_real(twin: Twin, steps: int) -> Columns:
    """The values in force during updates 0..steps-1 when the real scheduler is stepped, by column."""
    optimizer = optimizer_of(twin)
    scheduler = real_scheduler(twin, optimizer)
    optimizer.step()  # the order that torch asks for
    columns = {name: np.empty(steps) for name in twin.column_names}
    group = optimizer.param_groups[0]
    for step in range(steps):
        for name, values in columns.items():
            values[step] = group["betas"][0] if name == "beta1" else group[name]
        if step + 1 < steps:
            scheduler.step()
    return columns


def _base_lr(twin: Twin) -> float:
    members: tuple[Twin, ...] = getattr(twin, "schedulers", ())
    if twin.reads_rate:
        return float(twin.base_lr)  # type: ignore[attr-defined]  # those have it
    return max((_base_lr(member) for member in members), default=0.0)
