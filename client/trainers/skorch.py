"""A table in skorch's NeuralNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from client.lr_scheduler import TableLR
from client.optimizer.hooks import with_hooks
from scheduler import Table

POSITION = "table_position"
"""What the net's history calls the position of the table: it is saved with it, and taken up from it."""


def table_callback(table: Table, *, count: Callable[[Any], int] | None = None, **options: Any) -> Any:
    """A skorch callback that trains with a table: `NeuralNet(..., callbacks=[table_callback(table)])`.

    A table of epochs moves on after each epoch, all others after each update. The position is written to the net's
    history, so that `partial_fit` and a net that was loaded from skorch's `Checkpoint` go on where they were. skorch's
    own `LRScheduler(policy=TableLR, table=table)` is right for tables of epochs alone: it begins again at the number
    of epochs.

    Args:
        table: the values.
        count: the samples or tokens in a batch, for example `lambda batch: len(batch[0])`, for tables of those.
        options: keyword arguments of `TableLR`, such as `per_step` and `relative`.

    Raises `ValueError` for a table of samples or tokens with neither `per_step` nor `count` or with both, and for
    `count` with another table.
    """
    if (table.axis in ("sample", "token")) != ((count is None) != (options.get("per_step") is None)):
        raise ValueError(
            f"the table counts {table.axis}s: one of per_step and count is for samples and tokens; "
            f"got per_step={options.get('per_step')!r}, count={count!r}"
        )
    return _make(table, count, options)


def _make(table: Table, count: Callable[[Any], int] | None, options: dict[str, Any]) -> Any:
    base = import_module("skorch.callbacks").Callback
    return type("TableCallback", (_TableCallback, base), {"__module__": __name__})(table, count, options)


class _TableCallback:
    """The hooks of `table_callback`. skorch copies a callback by the arguments of its constructor."""

    # sklearn takes what ends in an underscore for no argument
    scheduler_: TableLR | None = None  # made when the first epoch begins: then skorch has loaded what it loads
    watched_: Sequence[Any] = ()  # optimizers with hooks
    waiting_: int = 0  # samples since the last update
    updated_: bool = False

    def __init__(self, table: Table, count: Callable[[Any], int] | None, options: dict[str, Any]) -> None:
        self.table = table
        self.count = count
        self.options = options

    def on_train_begin(self, net: Any, **_: Any) -> None:
        self.scheduler_ = None

    def on_epoch_begin(self, net: Any, **_: Any) -> None:
        if self.scheduler_ is not None:
            return
        self.scheduler_ = TableLR(net.optimizer_, self.table, start=self._position(net), **self.options)
        self.waiting_ = 0
        self.watched_ = with_hooks(net.optimizer_)
        for optimizer in self.watched_:
            optimizer.register_step_post_hook(self._note)

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **_: Any) -> None:
        scheduler = self.scheduler_
        if not training or scheduler is None or self.table.axis == "epoch":
            return
        net.history.record_batch("lr", float(scheduler.get_last_lr()[0]))
        if self.count is not None:
            self.waiting_ += self.count(batch)
        if self.watched_ and not self.updated_:
            return  # gradients are accumulated
        if self.count is None:
            scheduler.step()
        else:
            scheduler.set_progress(scheduler.last_epoch + self.waiting_)
        self.waiting_, self.updated_ = 0, False
        net.history.record(POSITION, scheduler.last_epoch)

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        if self.table.axis == "epoch" and self.scheduler_ is not None:
            net.history.record("lr", float(self.scheduler_.get_last_lr()[0]))
            self.scheduler_.step()

    def _position(self, net: Any) -> int:
        """Where the history says that the training stands; its last entry is that of the epoch that has begun."""
        before = net.history[:-1]
        if self.table.axis == "epoch":
            return len(before)
        return int(before[-1].get(POSITION, 0)) if before else 0

    def _note(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        self.updated_ = True

    def __reduce__(self) -> Any:
        return _make, (self.table, self.count, self.options)
