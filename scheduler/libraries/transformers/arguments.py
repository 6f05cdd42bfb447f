"""The schedule of transformers' Trainer, from its arguments."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from scheduler.fields import share_of
from scheduler.libraries.transformers.floors import CosineWarmupWithMinLR, CosineWithMinLR, WarmupStableDecay
from scheduler.libraries.transformers.kinds import (
    Constant,
    ConstantWithWarmup,
    Cosine,
    CosineWithRestarts,
    InverseSqrt,
    Linear,
    Polynomial,
)
from scheduler.schedule import Schedule

ADAPTIVE: Mapping[str, str] = MappingProxyType(
    {
        "reduce_lr_on_plateau": "its rates follow the metrics of the training and are not known before it",
        "greedy": "its rates follow the metrics of the training and are not known before it",
    }
)
"""The names of transformers' `SchedulerType` that have no twin, and why."""
_TWINS: Mapping[str, type[Any]] = MappingProxyType(
    {
        twin.kind.removeprefix("transformers."): twin
        for twin in (
            Constant,
            ConstantWithWarmup,
            Linear,
            Cosine,
            CosineWithRestarts,
            Polynomial,
            InverseSqrt,
            CosineWithMinLR,
            CosineWarmupWithMinLR,
            WarmupStableDecay,
        )
    }
)


class TrainingArgumentsLike(Protocol):
    """Inputs of Trainer's schedule: transformers' `TrainingArguments`, or any object with these attributes."""

    @property
    def learning_rate(self) -> float:
        """The rate of every parameter group before scheduling."""

    @property
    def lr_scheduler_type(self) -> str:
        """A name of `SchedulerType`, such as "cosine"."""

    @property
    def lr_scheduler_kwargs(self) -> Mapping[str, Any] | str | None:
        """Further parameters of the schedule, or their JSON text."""

    @property
    def warmup_steps(self) -> float:
        """1 or more: a number of steps, its fraction cut off. Below 1: a share of all steps, rounded up."""

    @property
    def max_steps(self) -> int:
        """All steps of the training; negative where epochs decide."""


def from_training_arguments(arguments: TrainingArgumentsLike, num_training_steps: int | None = None) -> Schedule:
    """The schedule that transformers' Trainer (5.23.0) makes of its arguments.

    `num_training_steps` is needed where `max_steps` is negative: Trainer then counts the batches of its epochs.
    As in Trainer, "constant" takes no notice of `warmup_steps`, and neither "constant" nor "constant_with_warmup" of
    `lr_scheduler_kwargs`. Trainer gives every parameter group the same rate, so that one schedule serves them all.

    Raises `ValueError` naming the argument and its value: for an unknown or adaptive `lr_scheduler_type`, a parameter
    that the schedule does not take, contradicting step counts, and for the `warmup_ratio` of transformers 4.
    """
    twin = _twin(arguments.lr_scheduler_type)
    steps = _training_steps(arguments.max_steps, num_training_steps)
    known = {field.name for field in dataclasses.fields(twin) if not field.kw_only}
    counts = {"num_warmup_steps": _warmup_steps(arguments, steps), "num_training_steps": steps}
    given = {name: count for name, count in counts.items() if name in known}
    made: Schedule = twin(base_lr=arguments.learning_rate, **given, **_options(arguments, known - counts.keys()))
    return made


def _twin(name: str) -> type[Any]:
    if name in ADAPTIVE:
        raise ValueError(f"lr_scheduler_type {name!r} has no table: {ADAPTIVE[name]}")
    if name not in _TWINS:
        raise ValueError(f"lr_scheduler_type must be one of {', '.join(_TWINS)}, got {name!r}")
    return _TWINS[name]


def _training_steps(max_steps: int, num_training_steps: int | None) -> int:
    if num_training_steps is None and max_steps < 0:
        raise ValueError(f"num_training_steps must be given where max_steps is {max_steps}")
    if num_training_steps is not None and max_steps > 0 and num_training_steps != max_steps:
        raise ValueError(f"num_training_steps must equal max_steps, got {num_training_steps} != {max_steps}")
    return max_steps if num_training_steps is None else num_training_steps


def _warmup_steps(arguments: TrainingArgumentsLike, num_training_steps: int) -> int:
    warmup_steps = arguments.warmup_steps
    if ratio := getattr(arguments, "warmup_ratio", None):
        raise ValueError(f"warmup_ratio is not known to transformers 5: give it as warmup_steps, got {ratio}")
    if not 0 <= warmup_steps < math.inf:
        raise ValueError(f"warmup_steps must be >= 0 and finite, got {warmup_steps}")
    return int(warmup_steps) if warmup_steps >= 1 else share_of(num_training_steps, warmup_steps)


def _options(arguments: TrainingArgumentsLike, known: set[str]) -> dict[str, Any]:
    if arguments.lr_scheduler_type in ("constant", "constant_with_warmup"):
        return {}
    given = arguments.lr_scheduler_kwargs or {}
    options: dict[str, Any] = json.loads(given) if isinstance(given, str) else dict(given)
    if strange := sorted(options.keys() - known):
        raise ValueError(f"lr_scheduler_kwargs must be among {sorted(known - {'base_lr'})}, got {strange}")
    return options
