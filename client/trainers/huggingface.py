"""A table in the Trainer of transformers, which makes its own optimizer."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, cast

from torch.optim import Optimizer

from client.lr_scheduler import TableLR
from client.trainers.length import warn_of_length
from scheduler import Table
from scheduler.table import check_table

TrainerClass = TypeVar("TrainerClass", bound=type)


def with_table(trainer: TrainerClass, table: Table, **options: Any) -> TrainerClass:
    """A subclass of a Trainer class, whose instances train with the table: `with_table(Trainer, table)(model, args)`.

    The Trainer makes its optimizer as ever, with one group that has weight decay and one that has none, and
    `create_scheduler` gives it a `TableLR`. A table that is shorter or longer than the training is warned of, with
    `ScheduleWarning`, before the first update. On the axis `sample`, one update is `per_step` samples: those of all
    devices and accumulated batches together, unless `per_step` is given.

    An optimizer of your own needs none of this: `Trainer(..., optimizers=(optimizer, TableLR(optimizer, table)))`.

    Args:
        trainer: `transformers.Trainer`, or a subclass of it.
        table: the values. Its axis is `step`, `sample` or `token`.
        options: keyword arguments of `TableLR`, such as `relative`.

    Raises `TypeError` where `trainer` is no Trainer class and `table` no table, and `ValueError` for a table that
    counts epochs. `train()` raises `ValueError` where the Trainer was given another scheduler.
    """
    if not isinstance(trainer, type) or not hasattr(trainer, "create_scheduler"):
        raise TypeError(f"trainer must be transformers.Trainer or a subclass of it, got {trainer!r}")
    check_table(table)
    if table.axis == "epoch":
        raise ValueError(
            "Trainer steps its scheduler after every update, and the table counts epochs: fetch one of steps"
        )
    names = {"__module__": trainer.__module__, "__doc__": trainer.__doc__, "table": table, "table_options": options}
    return cast(TrainerClass, type(trainer.__name__, (_CreatesTableLR, trainer), names))


class _CreatesTableLR:
    """What comes before a Trainer class, so that its scheduler is a TableLR."""

    table: ClassVar[Table]
    table_options: ClassVar[dict[str, Any]]
    args: Any
    optimizer: Any
    lr_scheduler: Any

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> Any:
        """Give the Trainer a TableLR for its optimizer, where it has no scheduler; called by `train()`."""
        if self.lr_scheduler is None:
            options = dict(self.table_options)
            if self.table.axis == "sample":
                options.setdefault("per_step", self._samples_per_update())
            warn_of_length(self.table, num_training_steps, per_step=options.get("per_step", 1))
            self.lr_scheduler = TableLR(self.optimizer if optimizer is None else optimizer, self.table, **options)
            self._created_lr_scheduler = True  # Trainer's mark of a scheduler that the next train() makes anew
        made = getattr(self.lr_scheduler, "scheduler", self.lr_scheduler)  # DeepSpeed's wrapper has ours within
        if getattr(made, "table", None) is not self.table:
            raise ValueError(
                f"this Trainer was made with_table, and has another scheduler too, {type(made).__name__}: "
                "take it out of optimizers=, or out of the DeepSpeed configuration"
            )
        return self.lr_scheduler

    def _samples_per_update(self) -> int:
        batches = self.args.gradient_accumulation_steps * self.args.world_size
        return int(self.args.train_batch_size * batches)
