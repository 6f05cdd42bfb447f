"""Parameter groups: writing a table's rows into an optimizer's `param_groups`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

from scheduler import Table

Group = dict[str, Any]
"""One entry of `optimizer.param_groups`."""

_Columns = dict[str, "memoryview[float]"]
"""One group's columns, by name without suffix."""


def put(group: Group, name: str, value: float, filled: set[int] | None = None) -> None:
    """Write one hyperparameter: a number is replaced, a tensor filled in place. `beta1` is the first of `betas`.

    `filled`: ids of the tensors that have this value already, because groups may share one; they are left alone.
    """
    current = read(group, name)
    if not isinstance(current, (float, int)):
        if filled is None or id(current) not in filled:
            current.fill_(value)
        if filled is not None:
            filled.add(id(current))
    elif name == "beta1":
        group["betas"] = (value, *group["betas"][1:])
    else:
        group[name] = value


def read(group: Group, name: str) -> Any:
    """One hyperparameter as it is in the group, a number or a tensor. Raises `KeyError` where there is none."""
    return group["betas"][0] if name == "beta1" else group[name]


class RowWriter:
    """Writes rows of a table into parameter groups.

    A column without a suffix goes to every group, those added later included; `lr.1` goes to group 1 alone, and a table
    that has such columns has them for every group of the optimizer.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = [self._columns_of(index) for index in range(table.groups or 1)]
        self.names = tuple(sorted({name.partition(".")[0] for name in table.columns}))

    def _columns_of(self, index: int) -> _Columns:
        own: dict[str, Any] = {  # memoryviews of format 'd': indexing them gives Python floats
            name.partition(".")[0]: values.data
            for name, values in self._table.columns.items()
            if name.partition(".")[2] in ("", str(index))
        }
        if "lr" not in own:
            raise ValueError(
                f"the table has no rate for group {index}, only the columns {', '.join(self._table.columns)}"
            )
        return own

    def check(self, groups: Sequence[Group]) -> None:
        """Raise `ValueError` where the table and the groups do not fit: their number, a hyperparameter, a tensor."""
        self._check_number(groups)
        for index, group in enumerate(groups):
            for name in self.names:
                if ("betas" if name == "beta1" else name) not in group:
                    has = ", ".join(key for key in group if key != "params")
                    raise ValueError(f"the table has the column {name!r}, which group {index} has not, only {has}")
        for name in {column.partition(".")[0] for column in self._table.columns if "." in column}:
            _check_tensors(groups, name)

    def write(self, groups: Sequence[Group], row: int) -> list[float]:
        """Write one row into every group; the rates written, one per group."""
        filled: dict[str, set[int]] = {name: set() for name in self.names}
        written = []
        for group, values in zip(groups, self._values(groups, row), strict=False):
            for name, value in values.items():
                put(group, name, value, filled[name])
            written.append(values["lr"])
        return written

    def rates(self, groups: Sequence[Group], row: int) -> list[float]:
        """The rates of one row, one per group."""
        return [values["lr"] for _, values in zip(groups, self._values(groups, row), strict=False)]

    def _values(self, groups: Sequence[Group], row: int) -> Iterable[dict[str, float]]:
        """One row's values for each group: the same objects for all where the table has no columns of their own."""
        self._check_number(groups)
        if self._table.groups is None:
            return repeat({name: column[row] for name, column in self._columns[0].items()})
        return ({name: column[row] for name, column in columns.items()} for columns in self._columns)

    def _check_number(self, groups: Sequence[Group]) -> None:
        if self._table.groups not in (None, len(groups)):
            raise ValueError(
                f"the table has values for {self._table.groups} parameter groups ({', '.join(self._table.columns)}), "
                f"the optimizer has {len(groups)} ({', '.join(_describe(*pair) for pair in enumerate(groups))})"
            )


def _check_tensors(groups: Sequence[Group], name: str) -> None:
    """Raise `ValueError` where one tensor would have to hold the values of several groups."""
    tensors = [id(value) for value in (read(group, name) for group in groups) if not isinstance(value, (float, int))]
    if len(set(tensors)) < len(tensors):
        raise ValueError(f"the table has a {name} per group, and groups share one {name} tensor: give each its own")


def _describe(index: int, group: Group) -> str:
    return f"{group.get('name', index)}: {len(group['params'])} parameters"
