"""The schedule of transformers' Trainer, from its arguments.

Values mean here what they mean to `TrainingArguments`: True is 1, the text of `lr_scheduler_kwargs` is JSON whose
numbers may themselves be texts, and `num_cycles` is whatever `float()` takes.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from scheduler.fields import coerce_float, coerce_int, share_of
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
from scheduler.libraries.transformers.names import check_names
from scheduler.schedule import Schedule
from scheduler.texts import abbreviate

ADAPTIVE: Mapping[str, str] = MappingProxyType(
    {
        "reduce_lr_on_plateau": "its rates follow the metrics of the training and are not known before it",
        "greedy": "its rates follow the metrics of the training and are not known before it",
    }
)
"""The names of transformers' `SchedulerType` that have no twin, and why."""
TWINS: Mapping[str, type[Any]] = MappingProxyType(
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

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "learning_rate": 5e-5,
        "lr_scheduler_type": "linear",
        "lr_scheduler_kwargs": None,
        "warmup_steps": 0,
        "warmup_ratio": None,
        "max_steps": -1,
        "num_train_epochs": 3.0,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "dataloader_drop_last": False,
        "deepspeed": None,
    }
)
"""The arguments that decide the rates, with the defaults of `TrainingArguments`."""
OF_EPOCHS = (
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "dataloader_drop_last",
)
"""The arguments that decide the steps where epochs count."""
FREE = ("constant", "constant_with_warmup")  # the library passes them no further parameters
OF_ANY_TEXT = "num_cycles"  # the library calls float() on it, except in one schedule
NOT_CONVERTED = "cosine_warmup_with_min_lr"


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


Arguments = TrainingArgumentsLike | Mapping[str, Any]
"""Training arguments: the object, or the data of its JSON, in which a missing argument has its default."""


def from_training_arguments(
    arguments: Arguments,
    num_training_steps: int | None = None,
    *,
    dataset_length: int | None = None,
    world_size: int = 1,
) -> Schedule:
    """The schedule that transformers' Trainer (5.23.0) makes of its arguments.

    Args:
        arguments: `TrainingArguments`, an object with these attributes, or the data of `to_json_string()`.
        num_training_steps: all optimizer steps, needed where `max_steps` is negative and no `dataset_length` is given.
        dataset_length: examples of the training set; see `training_steps`.
        world_size: processes that share the examples.

    As in Trainer, "constant" takes no notice of `warmup_steps`, and neither "constant" nor "constant_with_warmup" of
    `lr_scheduler_kwargs`. Trainer gives every parameter group the same rate, so that one schedule serves them all.
    `warmup_ratio`, of transformers 4, is a share of all steps as there.

    Raises `ValueError` naming the argument and its value: for an unknown or adaptive `lr_scheduler_type`, a parameter
    that the schedule does not take, contradicting step counts, both of `warmup_steps` and `warmup_ratio`, an
    argument of another tool that changes the rates (`names.OTHER_RATES`), a misspelt name in data, and for a
    DeepSpeed configuration that brings a scheduler of its own.
    """
    check_names(arguments, DEFAULTS)
    _check_own_scheduler(arguments)
    name = scheduler_type(arguments)
    twin = TWINS[name]
    steps = _all_steps(arguments, num_training_steps, dataset_length, world_size)
    known = {field.name for field in dataclasses.fields(twin) if not field.kw_only}
    counts = {"num_warmup_steps": warmup_steps(arguments, steps), "num_training_steps": steps}
    given = {name: count for name, count in counts.items() if name in known}
    options = _options(arguments, name, known - {"base_lr", *counts})
    made: Schedule = twin(base_lr=learning_rate(arguments), **given, **options)
    return made


def scheduler_type(arguments: Arguments) -> str:
    """The name in `lr_scheduler_type`, which may be a member of `SchedulerType`. Raises `ValueError` without a twin."""
    given = _read(arguments, "lr_scheduler_type")
    name = getattr(given, "value", given)
    if not isinstance(name, str) or name not in {*TWINS, *ADAPTIVE}:
        raise ValueError(f"lr_scheduler_type must be one of {', '.join(TWINS)}, got {abbreviate(name)}")
    if name in ADAPTIVE:
        raise ValueError(f"lr_scheduler_type {name!r} has no table: {ADAPTIVE[name]}")
    return name


def learning_rate(arguments: Arguments) -> float:
    """`learning_rate`, the rate that the schedule scales."""
    return _number(arguments, "learning_rate")


def warmup_steps(arguments: Arguments, num_training_steps: int) -> int:
    """The steps of warmup among so many: `TrainingArguments.get_warmup_steps`, and `warmup_ratio` of transformers 4."""
    steps = _number(arguments, "warmup_steps")
    if _read(arguments, "warmup_ratio") and (ratio := _number(arguments, "warmup_ratio")):
        if steps:
            raise ValueError(f"warmup_steps and warmup_ratio must not both be given, got {steps} and {ratio}")
        return _share(num_training_steps, "warmup_ratio", ratio)
    return int(steps) if steps >= 1 else _share(num_training_steps, "warmup_steps", steps)


def defaults_taken(arguments: Mapping[str, Any], *, counts_epochs: bool = False) -> str:
    """The decisive arguments that are missing in data, with the defaults that hold in their place.

    Args:
        arguments: data of training arguments.
        counts_epochs: whether the steps were computed of epochs.
    """
    name = scheduler_type(arguments)
    warms = name != "constant" and not arguments.get("warmup_ratio")
    needed = ["learning_rate", "lr_scheduler_type", *(["warmup_steps"] if warms else [])]
    if counts_epochs and _whole(arguments, "max_steps") < 0:
        needed += OF_EPOCHS
    return ", ".join(f"{each} {DEFAULTS[each]}" for each in needed if each not in arguments)


def training_steps(arguments: Arguments, dataset_length: int, world_size: int = 1) -> int:
    """The optimizer steps that Trainer makes of its arguments: `max_steps`, or those of its epochs.

    Args:
        arguments: as in `from_training_arguments`.
        dataset_length: examples of the training set, at least 1.
        world_size: processes, at least 1. Each takes every `world_size`-th batch of `per_device_train_batch_size`.

    The batches of a process are rounded up (down with `dataloader_drop_last`), so are the steps of an epoch, of
    `gradient_accumulation_steps` batches each, and `num_train_epochs` times those. Not counted: several GPUs in one
    process, sequence parallelism, a dataset without a length, batches that a sampler of one's own makes.
    """
    max_steps = _whole(arguments, "max_steps")
    if max_steps >= 0:
        return max_steps
    for name, given in (("dataset_length", dataset_length), ("world_size", world_size)):
        _check_positive(name, given)
    batch, accumulated = (
        _positive(arguments, "per_device_train_batch_size"),
        _positive(arguments, "gradient_accumulation_steps"),
    )
    drops = bool(_read(arguments, "dataloader_drop_last"))
    batches = dataset_length // batch if drops else -(-dataset_length // batch)
    batches = batches // world_size if drops else -(-batches // world_size)
    if not batches:
        raise ValueError(f"dataset_length must leave a process a batch of {batch}, got {dataset_length}")
    return math.ceil(_number(arguments, "num_train_epochs") * -(-batches // accumulated))


def _all_steps(
    arguments: Arguments, num_training_steps: int | None, dataset_length: int | None, world_size: int
) -> int:
    max_steps = _whole(arguments, "max_steps")
    if num_training_steps is None and dataset_length is not None:
        return training_steps(arguments, dataset_length, world_size)
    if num_training_steps is None and max_steps < 0:
        raise ValueError(f"num_training_steps or dataset_length must be given where max_steps is {max_steps}")
    if num_training_steps is not None and max_steps > 0 and num_training_steps != max_steps:
        raise ValueError(f"num_training_steps must equal max_steps, got {num_training_steps} != {max_steps}")
    return max_steps if num_training_steps is None else num_training_steps


def _check_own_scheduler(arguments: Arguments) -> None:
    configuration = _read(arguments, "deepspeed")
    if not isinstance(configuration, Mapping):
        configuration = getattr(getattr(arguments, "hf_deepspeed_config", None), "config", None)
    if isinstance(configuration, Mapping) and "scheduler" in configuration:
        raise ValueError(
            "deepspeed has a scheduler block, which Trainer uses in place of lr_scheduler_type: import that block "
            f"(scheduler.libraries.deepspeed.from_deepspeed), got {abbreviate(configuration['scheduler'])}"
        )


# -- values as the library takes them ---------------------------------------------------------------------------------


def _read(arguments: Arguments, name: str) -> Any:
    if isinstance(arguments, Mapping):
        return arguments.get(name, DEFAULTS[name])
    return getattr(arguments, name, DEFAULTS[name])


def _number(arguments: Arguments, name: str) -> float:
    """An argument that is a number of at least 0."""
    given = _read(arguments, name)
    number = coerce_float(int(given) if isinstance(given, bool) else given)
    if not isinstance(number, float):
        raise ValueError(f"{name} must be a number, got {abbreviate(given)}")  # noqa: TRY004  # bad input, as the others
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be >= 0 and finite, got {given}")
    return number


def _whole(arguments: Arguments, name: str) -> int:
    given = _read(arguments, name)
    number = coerce_int(int(given) if isinstance(given, bool) else given)
    if not isinstance(number, int):
        raise ValueError(f"{name} must be a whole number, got {abbreviate(given)}")  # noqa: TRY004  # as above
    return number


def _positive(arguments: Arguments, name: str) -> int:
    number = _whole(arguments, name)
    _check_positive(name, number)
    return number


def _check_positive(name: str, given: int) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {abbreviate(given)}")


def _share(steps: int, name: str, ratio: float) -> int:
    if ratio > 1:
        raise ValueError(f"{name} must be from 0 to 1, got {ratio}")
    return share_of(steps, ratio)


def _options(arguments: Arguments, name: str, known: set[str]) -> dict[str, Any]:
    given = _read(arguments, "lr_scheduler_kwargs")
    if isinstance(given, str) and given.startswith("{"):
        given = _from_json(given)
    if name in FREE or given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(f"lr_scheduler_kwargs must be an object or its JSON text, got {abbreviate(given)}")  # noqa: TRY004  # as above
    options = {key: value for key, value in given.items() if (key, value) != ("last_epoch", -1)}  # its default
    if strange := sorted(map(str, options.keys() - known)):
        raise ValueError(f"lr_scheduler_kwargs must be among {sorted(known)} for {name!r}, got {strange}")
    return {key: _as_number(key, value, name) for key, value in options.items()}


def _from_json(text: str) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"lr_scheduler_kwargs must be JSON, got {abbreviate(text)}: {error}") from None
    return {name: _from_text(value) if isinstance(value, str) else value for name, value in loaded.items()}


def _from_text(text: str) -> Any:
    """What `TrainingArguments` reads in a text within its JSON: true, false, digits with a point at most."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.isdigit():
        return int(text)
    return float(text) if text.replace(".", "", 1).isdigit() else text


def _as_number(name: str, value: Any, scheduler_type: str) -> Any:
    """A parameter as the library's arithmetic takes it: True is 1, and `num_cycles` whatever `float()` takes."""
    if isinstance(value, bool) and not name.endswith("_type"):
        return int(value)
    if name == OF_ANY_TEXT and isinstance(value, str) and scheduler_type != NOT_CONVERTED:
        try:
            return float(value)
        except ValueError:
            return value  # to be refused by the kind
    return value
