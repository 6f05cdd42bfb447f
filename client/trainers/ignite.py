"""A table in PyTorch Ignite's Engine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from client.lr_scheduler import TableLR
from client.optimizer.hooks import with_hooks


def attach_table(engine: Any, scheduler: TableLR, *, count: Callable[[Any], int] | None = None) -> Any:
    """Let an engine move a scheduler on: `attach_table(trainer, TableLR(optimizer, table))`.

    After each iteration, or after each epoch for a table of epochs. Iterations that only accumulate gradients do not
    count. It takes the place of Ignite's own handler `LRScheduler`, which would count iterations, and write the rate
    and no other column. Attach it before a `Checkpoint` handler, so that what is saved is up to date, and give
    `Checkpoint` the scheduler itself: `Checkpoint({..., "scheduler": scheduler}, ...)`.

    Args:
        engine: the trainer, an `ignite.engine.Engine`.
        scheduler: the table on the optimizer that the engine steps.
        count: the samples or tokens in a batch of one process, for example `lambda batch: len(batch[0])`, for a table
            of samples or tokens whose scheduler was made without `per_step`. Those of all processes are counted.

    Returns Ignite's handle, whose `remove()` detaches the scheduler. Raises `ValueError` for `count` with a table of
    steps or epochs.
    """
    axis = scheduler.table.axis
    if count is not None and axis not in ("sample", "token"):
        raise ValueError(f"count is for tables of samples and tokens, and this one has the axis {axis!r}")
    events = import_module("ignite.engine").Events
    if axis == "epoch":
        return engine.add_event_handler(events.EPOCH_COMPLETED, lambda: scheduler.step())  # which takes no engine
    return engine.add_event_handler(events.ITERATION_COMPLETED, _AfterUpdates(scheduler, count))


class _AfterUpdates:
    """A handler that moves a scheduler after the iterations in which the optimizer was stepped.

    With `count` it sets the progress to the samples of all processes. Where the optimizer has no hooks, each iteration
    is taken for an update.
    """

    def __init__(self, scheduler: TableLR, count: Callable[[Any], int] | None) -> None:
        self._scheduler = scheduler
        self._count = count
        self._waiting = 0  # samples of this process since the last update
        self._updated = False
        self._watched = with_hooks(scheduler.optimizer)
        for optimizer in self._watched:
            optimizer.register_step_post_hook(self._note)

    def _note(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        self._updated = True

    def __call__(self, engine: Any) -> None:
        if self._count is not None:
            self._waiting += self._count(engine.state.batch)
        if self._watched and not self._updated:
            return
        self._updated = False
        if self._count is None:
            self._scheduler.step()
        else:
            seen = int(import_module("ignite.distributed").all_reduce(self._waiting))
            self._scheduler.set_progress(self._scheduler.last_epoch + seen)
            self._waiting = 0
