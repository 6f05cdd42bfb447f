"""A table as a factor: for torchtitan's LRSchedulersContainer, and wherever torch's LambdaLR is wanted."""

from __future__ import annotations

from scheduler import PastEndError, Table


class RateFactor:
    """Row k of a table as a function of k, for `LambdaLR`: `LRSchedulersContainer(optimizers, RateFactor(table))`.

    `LambdaLR` multiplies it by the rate that the optimizer was made with. Where that is 1.0, each update has exactly
    the table's rate. With `base_lr`, the optimizer's own rate, the products are the table's rates up to rounding.

    Args:
        table: the values, on the axis `step`; only its column `lr` is used.
        base_lr: what the factor is to be multiplied by.

    Raises `ValueError` for another axis, a table with further columns, and a `base_lr` that is not above 0. Past the
    table's end the last rate is held, or `PastEndError` raised where the table's `after` is `error`.
    """

    def __init__(self, table: Table, base_lr: float = 1.0) -> None:
        if table.axis != "step":
            raise ValueError(f"LambdaLR counts updates, and the table has the axis {table.axis!r}")
        if [*table.columns] != ["lr"]:
            raise ValueError(f"LambdaLR drives the rate alone, and the table has {', '.join(table.columns)}")
        if not base_lr > 0:
            raise ValueError(f"base_lr must be > 0, got {base_lr!r}")
        self._table = table
        self._base_lr = base_lr

    def __call__(self, step: int) -> float:
        """The factor of an update, counted from 0."""
        rows, row = self._table.total_steps, step // self._table.stride
        if row > rows and self._table.after == "error":
            raise PastEndError(f"step {step} is past the table's end, {rows * self._table.stride}")
        return float(self._table.lr[min(row, rows - 1)]) / self._base_lr
