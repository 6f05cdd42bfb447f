"""A table in Lightning's Trainer, of `lightning` or of `pytorch_lightning`."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch.optim import Optimizer

from client.lr_scheduler import TableLR
from client.trainers.length import warn_of_length
from scheduler import ScheduleWarning, Table

_PACKAGES = (
    "lightning.pytorch",
    "pytorch_lightning",
)  # the same classes twice: those of one are not those of the other
_NEVER = sys.maxsize  # a frequency that no training reaches


def lightning_config(
    optimizer: Optimizer,
    table: Table,
    trainer: Any = None,
    *,
    count: Callable[[Any], int] | None = None,
    name: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """What `configure_optimizers` returns: `return lightning_config(optimizer, table, self.trainer)`.

    The interval is that of the table's axis: `epoch` for a table of epochs, and `step` for all others. On the axes
    `sample` and `token`, `per_step` says how many there are in one update of all processes together. Or `count` says
    how many there are in a batch of one process, and they are counted as they come: then each batch may have its own
    size.

    Args:
        optimizer: the optimizer to drive.
        table: the values.
        trainer: the module's trainer. With it a table that is shorter or longer than the training is warned of, with
            `ScheduleWarning`, where Lightning can say how long that is.
        count: the samples or tokens in a batch, for example `lambda batch: len(batch[0])`. Takes `trainer`.
        name: what `LearningRateMonitor` shall call the rate.
        options: keyword arguments of `TableLR`, such as `per_step` and `relative`.

    Raises `ValueError` for a table of samples or tokens with neither `per_step` nor `count` or with both, and for
    `count` with another table or without a trainer.
    """
    _check_arguments(table, trainer, count, options.get("per_step"))
    scheduler = TableLR(optimizer, table, **options)
    if trainer is not None:
        _check_length(scheduler, trainer, options.get("per_step", 1 if count is None else None), stacklevel=2)
    if count is not None:  # before the callbacks that save
        trainer.callbacks.insert(0, _callback(_package_of(trainer), _SampleCount, scheduler, count))
    interval, frequency = _interval(table), 1 if count is None else _NEVER
    config = {"scheduler": scheduler, "interval": interval, "frequency": frequency, "name": name}
    return {"optimizer": optimizer, "lr_scheduler": config}


def table_check() -> Any:
    """A Lightning callback that checks configurations written by hand: `Trainer(callbacks=[table_check()])`.

    When the training starts it looks at each `TableLR`. It raises `ValueError` where `interval` or `frequency` let a
    table of epochs move otherwise than once after each epoch. It warns with `ScheduleWarning` where another table has
    `interval="epoch"`, Lightning's default, or a `frequency`: each update has its row all the same, but what is logged
    between updates is one update late. It warns of a table that is shorter or longer than the training, too.
    """
    loaded = [name for name in _PACKAGES if name in sys.modules]
    return _callback(loaded[0] if loaded else _PACKAGES[-1], _TableCheck)


def _check_arguments(table: Table, trainer: Any, count: Any, per_step: int | None) -> None:
    counts = table.axis in ("sample", "token")
    if counts and (count is None) == (per_step is None):
        raise ValueError(
            f"the table counts {table.axis}s, so that one of these is needed: per_step, those of one update of all "
            f"processes together, or count, a function of a batch; got per_step={per_step!r}, count={count!r}"
        )
    if count is not None and not counts:
        raise ValueError(f"count is for tables of samples and tokens, and this one has the axis {table.axis!r}")
    if count is not None and trainer is None:
        raise ValueError("count takes the trainer too: lightning_config(optimizer, table, self.trainer, count=...)")


def _interval(table: Table) -> str:
    return "epoch" if table.axis == "epoch" else "step"


def _check_length(scheduler: TableLR, trainer: Any, per_step: int | None, stacklevel: int) -> None:
    """Warn of a table that is not as long as the training, where both are known in the same units."""
    table = scheduler.table
    if table.axis == "epoch":
        length = trainer.max_epochs if trainer.max_steps == -1 else None
    elif per_step is None or not trainer.lightning_module.automatic_optimization:
        length = None  # batches differ, or do not all update each optimizer
    else:
        length = trainer.estimated_stepping_batches
    if length is not None and math.isfinite(length) and length > 0:
        warn_of_length(table, int(length), per_step=per_step or 1, stacklevel=stacklevel + 1)


def _check_config(config: Any) -> None:
    """Check an `LRSchedulerConfig` of Lightning against its table's axis."""
    table = config.scheduler.table
    found = f'"interval": {config.interval!r}, "frequency": {config.frequency}'
    if (config.interval, config.frequency) in ((_interval(table), 1), ("step", _NEVER)):
        return
    advice = f'Write "interval": "{_interval(table)}", or return lightning_config(optimizer, table, self.trainer)'
    if table.axis == "epoch":
        raise ValueError(f"the table has a row per epoch, and Lightning would move on otherwise: {found}. {advice}")
    message = f"the table's rows follow the updates, but what Lightning logs comes late, because of {found}. {advice}"
    warnings.warn(message, ScheduleWarning, stacklevel=2)


class _TableCheck:
    """The hooks of `table_check`."""

    def on_train_start(self, trainer: Any, module: Any) -> None:
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, TableLR):
                per_step = 1 if config.scheduler.table.axis == "step" else config.scheduler.per_step
                _check_length(config.scheduler, trainer, per_step, stacklevel=1)
                if module.automatic_optimization:
                    _check_config(config)

    def __reduce__(self) -> Any:
        return table_check, ()


class _SampleCount:
    """The hooks that count the samples of all processes, and set the scheduler's progress after each update."""

    def __init__(self, scheduler: TableLR, count: Callable[[Any], int]) -> None:
        self._scheduler = scheduler
        self._count = count
        self._waiting = 0  # of this process, since the last update
        self._updates = 0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self._updates = trainer.global_step

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._waiting += self._count(batch)
        if trainer.global_step == self._updates:
            return  # gradients are accumulated
        waiting = torch.tensor(self._waiting, dtype=torch.int64, device=trainer.strategy.root_device)
        seen = int(trainer.strategy.reduce(waiting, reduce_op="sum"))
        self._scheduler.set_progress(self._scheduler.last_epoch + seen)
        self._waiting, self._updates = 0, trainer.global_step


def _callback(package: str, hooks: type, *arguments: Any) -> Any:
    """A callback of the user's Lightning, with these hooks."""
    base = import_module(package).Callback
    return type(hooks.__name__.lstrip("_"), (hooks, base), {"__module__": __name__})(*arguments)


def _package_of(trainer: Any) -> str:
    names = {cls.__module__ for cls in type(trainer).__mro__}
    return next(package for package in _PACKAGES if any(f"{name}.".startswith(f"{package}.") for name in names))
