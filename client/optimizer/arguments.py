"""What a TableLR can be made of."""

from __future__ import annotations

from torch.optim import Optimizer

from scheduler import Table


def check_types(optimizer: object, table: object, relative: object) -> None:
    """Raise `TypeError` for what no TableLR can be made of."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch optimizer, got {optimizer!r}")
    if not isinstance(table, Table):
        raise TypeError(f"table must be a Table, got {table!r}")
    if relative not in (None, True, False):
        raise TypeError(f"relative must be True or False, got {relative!r}")
