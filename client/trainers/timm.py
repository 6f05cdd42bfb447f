"""A table with the protocol of timm's schedulers: `step_update(num_updates)` and `step(epoch)`."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from client.lr_scheduler import TableLR
from scheduler import Table


class TimmScheduler:
    """Takes the place of a scheduler of timm in its training loops, which give it absolute counts.

    A table of epochs follows `step(epoch)`, called after an epoch with the number of the next. All others follow
    `step_update(num_updates)`, called after an update with the number of updates made. The call that does not fit the
    table's axis does nothing, as in timm.

    A group's `lr_scale`, which timm's layer-wise decay sets, multiplies the table's rate, as timm multiplies its own.

    Args:
        optimizer: any optimizer of timm or torch, `Lookahead` included.
        table: the values.
        per_step: the samples or tokens of one update of all processes together, for a table that counts those.
        options: keyword arguments of `TableLR`.

    Raises `ValueError` for a table of samples or tokens without `per_step`, and for `relative` where groups have an
    `lr_scale`.
    """

    def __init__(self, optimizer: Optimizer, table: Table, *, per_step: int | None = None, **options: Any) -> None:
        if (per_step is None) == (table.axis in ("sample", "token")):
            raise ValueError(
                f"per_step is the samples or tokens of an update, and the table counts {table.axis}s; got {per_step!r}"
            )
        if any("lr_scale" in group for group in optimizer.param_groups):
            _scale_groups(optimizer, table, options)
        self.scheduler = TableLR(optimizer, table, **options)
        self._per_step = per_step or 1

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer that is driven."""
        return self.scheduler.optimizer

    def step(self, epoch: int, metric: float | None = None) -> None:
        """After an epoch: `epoch` is the number of the next, from 0. The metric is not used."""
        if self.scheduler.table.axis == "epoch":
            self.scheduler.set_progress(epoch)

    def step_update(self, num_updates: int, metric: float | None = None) -> None:
        """After an update: `num_updates` have been made in all. The metric is not used."""
        if self.scheduler.table.axis != "epoch":
            self.scheduler.set_progress(num_updates * self._per_step)

    def state_dict(self) -> dict[str, Any]:
        """The state of the `TableLR`: plain numbers and text."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a saved position; raises as `TableLR.load_state_dict` does."""
        self.scheduler.load_state_dict(state_dict)


def _scale_groups(optimizer: Optimizer, table: Table, options: dict[str, Any]) -> None:
    """Let a TableLR multiply each group's rate by its `lr_scale`, and leave the other columns as they are."""
    if options.get("relative"):
        raise ValueError("relative=True and a group's lr_scale would both multiply the rate: leave relative out")
    options["relative"] = True
    for group in optimizer.param_groups:
        for name in {name.partition(".")[0] for name in table.columns}:
            group[f"initial_{name}"] = group.get("lr_scale", 1.0) if name == "lr" else 1.0
