"""Torch schedulers as trainings set them up: what `capture` and `describe` are tried on."""

from __future__ import annotations

import functools
import os
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim import SGD, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)
from torch.optim.swa_utils import SWALR

from client.lr_scheduler import TableLR
from scheduler import Table

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

Make = Callable[[], Any]
"""Makes a scheduler on an optimizer of its own."""


def parameters(count: int = 1) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(2)) for _ in range(count)]


def sgd(lr: Any = 0.1, **others: Any) -> SGD:
    return SGD(parameters(), lr=lr, momentum=0.9, **others)


def grouped(*rates: float, kind: Any = SGD, **others: Any) -> Any:
    """An optimizer with a group for each rate."""
    groups = [{"params": parameters(), "lr": rate} for rate in rates]
    return kind(groups, lr=1.0, **others)


def advanced(scheduler: Any, steps: int) -> Any:
    """The scheduler in the middle of a training."""
    for _ in range(steps):
        for group in scheduler.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        scheduler.optimizer.step()
        scheduler.step()
    return scheduler


class Decoupled(LRScheduler):
    """A user's own: drives the weight decay with the rate, and warns and draws random numbers at every step."""

    def get_lr(self) -> list[float | torch.Tensor]:
        """A noisy decay."""
        noise = random.random() + float(np.random.rand()) + float(torch.rand(()))
        if self.last_epoch > 0:
            warnings.warn("a step", stacklevel=2)
        for group in self.optimizer.param_groups:
            group["weight_decay"] = 0.1 / (1 + self.last_epoch)
        return [rate * 0.9**self.last_epoch * (1 + noise) for rate in self.base_lrs]


class Protocol:
    """Another library's: follows torch's protocol, and inherits nothing of it."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.count = 0

    def step(self) -> None:
        """Halve the rate of the last group, every other step."""
        self.count += 1
        self.optimizer.param_groups[-1]["lr"] *= 0.5 if self.count % 2 else 1.0


class Counting:
    """A callable with a state."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, step: int) -> float:
        self.calls += 1
        return 1.0 / (step + self.calls)


class Owner(torch.nn.Module):
    """A module with a schedule of its own, as LightningModules have."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.frozen = torch.nn.Parameter(torch.zeros(2), requires_grad=False)

    def rate(self, step: int) -> float:
        """A decay."""
        return 0.99**step


def nested() -> Any:
    """Composites in a composite."""
    optimizer = sgd()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # it steps while it is built
        warmup = SequentialLR(
            optimizer, [LinearLR(optimizer, 0.1, total_iters=3), ConstantLR(optimizer, 0.5, 4)], milestones=[4]
        )
        chained = ChainedScheduler([warmup, ExponentialLR(optimizer, 0.95)])
        return SequentialLR(optimizer, [chained, CosineAnnealingLR(optimizer, 20)], milestones=[9])


def sequential(optimizer: Any, milestone: int = 5) -> Any:
    """The usual warmup and cosine."""
    schedulers: Sequence[LRScheduler] = [LinearLR(optimizer, 0.1, total_iters=5), CosineAnnealingLR(optimizer, 30)]
    return SequentialLR(optimizer, [*schedulers], milestones=[milestone])


def chained() -> Any:
    """Two products at once."""
    optimizer = sgd()
    return ChainedScheduler([ConstantLR(optimizer, 0.1, 7), ExponentialLR(optimizer, 0.9)])


def huggingface(name: str, **specific: Any) -> Any:
    """One of transformers' `get_scheduler`."""
    from transformers.optimization import get_scheduler  # noqa: PLC0415  # slow, and once per process

    counts = {"num_warmup_steps": 5, "num_training_steps": 40}
    return get_scheduler(name, AdamW(parameters(), lr=5e-5), **counts, scheduler_specific_kwargs=specific)


def table_lr() -> Any:
    """A table, applied by our own client."""
    columns = {"lr.0": [0.1, 0.2, 0.3], "lr.1": [1.0, 2.0, 3.0], "momentum": [0.9, 0.8, 0.7]}
    return TableLR(grouped(0.5, 0.6, momentum=0.5), Table(columns))


def owned() -> Any:
    """A rate by a method of the trained module."""
    owner = Owner()
    return LambdaLR(SGD(owner.layer.parameters(), lr=0.1), owner.rate)


def closed_over() -> Any:
    """Functions that have closed over the optimizer and the scheduler itself."""
    optimizer = grouped(0.1, 0.2)

    def follow(step: int) -> float:
        return float(optimizer.param_groups[1]["lr"])

    def wrapped(step: int) -> float:
        return 2 * follow(step)

    scheduler = LambdaLR(optimizer, [wrapped, lambda step: 0.9**step])
    get_lr = scheduler.get_lr
    scheduler.get_lr = lambda: [rate / (1 + scheduler.last_epoch) for rate in get_lr()]  # type: ignore[method-assign]  # a user's patch
    return scheduler


SETUPS: dict[str, Make] = {
    "nested": nested,
    "sequential": lambda: sequential(sgd()),
    "chained": chained,
    "groups": lambda: CosineAnnealingLR(grouped(0.1, 0.01, 0.1), 15, eta_min=1e-3),
    "equal-groups": lambda: PolynomialLR(grouped(0.1, 0.1), 12, power=0.9),
    "one-cycle-momentum": lambda: OneCycleLR(sgd(), 0.1, total_steps=50),
    "one-cycle-betas": lambda: OneCycleLR(grouped(0.1, 0.2, kind=AdamW), [0.1, 0.3], total_steps=50, three_phase=True),
    "one-cycle-rate-alone": lambda: OneCycleLR(sgd(), 0.1, total_steps=50, cycle_momentum=False),
    "cyclic": lambda: CyclicLR(sgd(), 0.01, 0.1, step_size_up=4, step_size_down=7, mode="triangular2"),
    "cyclic-function": lambda: CyclicLR(
        RMSprop(parameters(), momentum=0.9), 0.01, 0.1, step_size_up=4, scale_fn=lambda x: 0.5 ** (x / 10)
    ),
    "lambda-per-group": lambda: LambdaLR(grouped(0.1, 0.2), [lambda step: 0.9**step, lambda step: 1 / (1 + step)]),
    "lambda-with-state": lambda: LambdaLR(sgd(), functools.partial(Counting())),
    "lambda-of-the-module": owned,
    "lambdas-of-the-optimizer": closed_over,
    "multiplicative": lambda: MultiplicativeLR(sgd(), lambda step: 1 - 1 / (1 + step)),
    "multi-step": lambda: MultiStepLR(grouped(0.1, 0.3), [3, 3, 8, 20], gamma=0.3),
    "warm-restarts": lambda: CosineAnnealingWarmRestarts(sgd(), 5, 2, eta_min=1e-4),
    "swa": lambda: SWALR(grouped(0.1, 0.2), swa_lr=0.05, anneal_epochs=9),
    "home-made": lambda: Decoupled(grouped(0.1, 0.2, weight_decay=0.5)),
    "other-protocol": lambda: Protocol(grouped(0.1, 0.2)),
    "tensor-rate": lambda: sequential(AdamW(parameters(), lr=torch.tensor(0.1))),
    "tensor-rates-of-groups": lambda: ExponentialLR(
        AdamW([{"params": parameters(), "lr": torch.tensor(0.1 * i, dtype=torch.float64)} for i in (1, 2)]), 0.9
    ),
    "mid-run": lambda: advanced(sequential(AdamW(parameters(), lr=1e-3)), 11),
    "mid-run-at-the-milestone": lambda: advanced(sequential(sgd()), 4),
    "mid-run-step": lambda: advanced(StepLR(grouped(0.1, 0.2), 6), 13),
    "table": table_lr,
    "transformers-linear": lambda: huggingface("linear"),
    "transformers-restarts": lambda: huggingface("cosine_with_restarts", num_cycles=3),
    "transformers-stable": lambda: huggingface("warmup_stable_decay", num_decay_steps=10),
    "transformers-inverse-sqrt": lambda: huggingface("inverse_sqrt"),
    "transformers-floor": lambda: huggingface("cosine_with_min_lr", min_lr=1e-6),
}
"""Name to what makes a fresh scheduler."""
