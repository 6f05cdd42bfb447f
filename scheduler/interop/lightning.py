"""Specs of what a Lightning module's `configure_optimizers` returns, or of the schedulers that its trainer holds.

Nothing of Lightning is imported: its forms are told by their keys and attributes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.compose import Constant
from scheduler.interop.recognise import describe
from scheduler.schedule import Schedule
from scheduler.spec import Spec
from scheduler.texts import abbreviate

_FORMS = (
    "configure_optimizers must return an optimizer, a list of them, ([optimizers], [schedulers]), or dictionaries with "
    "'optimizer' and 'lr_scheduler'"
)
_KEYS = ("scheduler", "interval", "frequency", "reduce_on_plateau", "monitor", "strict", "name")


class LightningError(ValueError):
    """A configuration that no spec can be made of, and why."""


@dataclass(frozen=True)
class _Configuration:
    """A scheduler, or an optimizer alone, and when Lightning steps it."""

    scheduler: Any
    interval: str = "epoch"
    frequency: int = 1
    on_plateau: bool = False


def from_lightning(
    configured: Any,
    *,
    max_steps: int | None = None,
    max_epochs: int | None = None,
    batches_per_epoch: int | None = None,
    accumulate_grad_batches: int = 1,
) -> list[Spec]:
    """The specs of the schedulers that a Lightning module configures, in its order, one for each.

    With `interval` "epoch", Lightning's default, rows count epochs; with "step" they count optimizer steps. With a
    `frequency` above 1 a row lasts that many of them (`stride`). An optimizer without a scheduler keeps its rate.

    Args:
        configured: what `configure_optimizers()` returned in any of its forms, or `trainer.lr_scheduler_configs`.
        max_steps: all optimizer steps, needed for "step": `int(trainer.estimated_stepping_batches)`.
        max_epochs: all epochs, needed for "epoch": `trainer.max_epochs`.
        batches_per_epoch: batches of an epoch, needed for "step" with a frequency, which counts batches of the epoch.
        accumulate_grad_batches: batches that each optimizer step is made of.

    Each schedule is proven by stepping a copy of the scheduler (see `scheduler.describe`, whose errors it raises: a
    `LambdaLR` has no spec, and `scheduler.capture` makes a table of it). Raises `LightningError`, a `ValueError`, for
    other forms, for schedulers that follow a metric, where a length is needed, and for a frequency that does not divide
    the epoch.
    """
    given = {"max_steps": max_steps, "max_epochs": max_epochs}
    return [
        _spec(configuration, given, batches_per_epoch, accumulate_grad_batches)
        for configuration in _configurations(configured)
    ]


def _spec(
    configuration: _Configuration, given: Mapping[str, int | None], batches: int | None, accumulated: int
) -> Spec:
    name = type(configuration.scheduler).__name__
    if configuration.on_plateau or name == "ReduceLROnPlateau":
        raise LightningError(
            f"a {name} has no spec: its rates follow a metric of the training. Train with a table, and scale or "
            "shorten it by an amendment of the run where the metric stalls"
        )
    if configuration.interval not in ("step", "epoch"):
        raise LightningError(f"interval must be 'step' or 'epoch', got {abbreviate(configuration.interval)}")
    if type(configuration.frequency) is not int or configuration.frequency < 1:
        raise LightningError(
            f"frequency must be a whole number of at least 1, got {abbreviate(configuration.frequency)}"
        )
    length = "max_steps" if configuration.interval == "step" else "max_epochs"
    if (total := given[length]) is None or total < 1:
        raise LightningError(
            f"{length} must be given, and at least 1, for interval {configuration.interval!r}, got {total}"
        )
    stride = configuration.frequency
    if configuration.interval == "step":
        stride = _steps_between(configuration.frequency, batches, accumulated)
    axis: Any = configuration.interval
    schedule = _schedule(configuration.scheduler)
    return Spec(schedule=schedule, total_steps=math.ceil(total / stride), axis=axis, stride=stride)


def _steps_between(frequency: int, batches: int | None, accumulated: int) -> int:
    """Optimizer steps from one step of the scheduler to the next: Lightning counts the batches of each epoch anew."""
    if frequency == 1:
        return 1
    between = math.lcm(frequency, accumulated)
    if batches is None:
        raise LightningError(f"batches_per_epoch must be given for interval 'step' with frequency {frequency}")
    if batches % between:
        raise LightningError(
            f"frequency {frequency} with accumulate_grad_batches {accumulated} must divide batches_per_epoch, got "
            f"{batches}: Lightning counts anew in each epoch, so that its last rates last longer. A frequency of 1, or "
            "scheduler.capture with the steps written out, has a table"
        )
    return between // accumulated


def _schedule(scheduler: Any) -> Any:
    if hasattr(scheduler, "param_groups"):  # an optimizer alone
        rates: list[Schedule] = [Constant(float(group["lr"])) for group in scheduler.param_groups]
        return rates[0] if all(rate == rates[0] for rate in rates) else rates
    return describe(scheduler)


def _configurations(configured: Any) -> Iterator[_Configuration]:
    if configured is None:
        raise LightningError(f"{_FORMS}, got None: without one nothing is trained")
    if _is_optimizer(configured):
        yield _Configuration(configured)
    elif isinstance(configured, Mapping):
        yield _of_dictionary(configured)
    elif not isinstance(configured, Sequence) or isinstance(configured, str):
        raise LightningError(f"{_FORMS}, got {abbreviate(configured)}")
    elif len(configured) == 2 and isinstance(configured[0], Sequence) and isinstance(configured[1], Sequence):
        yield from _of_lists(*configured)
    else:
        for each in configured:
            yield from [_of_trainer(each)] if hasattr(each, "interval") else _configurations(each)


def _of_lists(optimizers: Sequence[Any], schedulers: Sequence[Any]) -> Iterator[_Configuration]:
    """The schedulers, and the optimizers that none of them steps."""
    found = [_of_scheduler(scheduler) for scheduler in schedulers]
    yield from found
    stepped = {id(getattr(each.scheduler, "optimizer", None)) for each in found}
    yield from (_Configuration(optimizer) for optimizer in optimizers if id(optimizer) not in stepped)


def _of_dictionary(configured: Mapping[str, Any]) -> _Configuration:
    if "optimizer" not in configured:
        raise LightningError(f"{_FORMS}, got one with only {', '.join(map(str, configured))}")
    if configured.get("lr_scheduler") is None:
        return _Configuration(configured["optimizer"])
    return _of_scheduler(configured["lr_scheduler"])


def _of_scheduler(given: Any) -> _Configuration:
    if not isinstance(given, Mapping):
        return _Configuration(given)
    if "scheduler" not in given or (strange := sorted(given.keys() - set(_KEYS))):
        raise LightningError(
            f"a scheduler's dictionary must have 'scheduler', and besides only {', '.join(_KEYS[1:])}, got "
            f"{', '.join(map(str, given)) if 'scheduler' not in given else strange}"
        )
    plateau = bool(given.get("reduce_on_plateau", False))
    return _Configuration(given["scheduler"], given.get("interval", "epoch"), given.get("frequency", 1), plateau)


def _of_trainer(given: Any) -> _Configuration:
    """One of `trainer.lr_scheduler_configs`."""
    return _Configuration(given.scheduler, given.interval, given.frequency, bool(given.reduce_on_plateau))


def _is_optimizer(value: Any) -> bool:
    return hasattr(value, "param_groups") and hasattr(value, "step")
