"""Everything that a change of a torch scheduler could show in."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LRScheduler

from scheduler import Table
from tests.support.schedules.torch_setups import Protocol


def frozen(value: Any) -> Any:
    """A value as plain data that cannot change later: numbers by their bits, unknown objects by their attributes."""
    match value:
        case torch.Tensor():
            return id(value), str(value.dtype), value.tolist()
        case float():
            return value.hex()
        case dict():
            return [(frozen(key), frozen(item)) for key, item in value.items()]
        case list() | tuple():
            return [frozen(item) for item in value]
        case None | bool() | int() | str():
            return value
        case Table():
            return value.digest
        case LRScheduler() | Protocol():
            return id(value), frozen({name: item for name, item in vars(value).items() if name != "optimizer"})
    return id(value), repr(getattr(value, "__dict__", None))


def state(scheduler: Any) -> Any:
    """All that can be seen of a scheduler and of what lies around it."""
    optimizer = scheduler.optimizer
    return [
        frozen(scheduler),
        frozen(scheduler.state_dict() if hasattr(scheduler, "state_dict") else None),
        frozen(optimizer.state_dict()),
        [id(group) for group in optimizer.param_groups],
        frozen([group["params"] for group in optimizer.param_groups]),
        frozen(vars(optimizer)),
        random.getstate(),
        frozen([item.tolist() if isinstance(item, np.ndarray) else item for item in np.random.get_state()]),
        torch.get_rng_state().tolist(),
        list(warnings.filters),
    ]
