"""Which of a table's columns each parameter group gets: by its place, or by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scheduler import Table
from scheduler.interop.group_fields import Group
from scheduler.texts import abbreviate

ADOPT, ERROR = "adopt", "error"
NewGroup = str | int | None
"""What becomes of a group that the table has no columns for, or that is added later: see `Binding`."""


class Binding:
    """Gives each group the number of its columns: 0 for all where a table has no columns per group.

    Args:
        table: with columns for all groups, or `lr.0`, `lr.1` for each.
        names: of the groups that the columns 0, 1 and so on belong to, by the group's `name`; without it, by place.
        on_new_group: what a group gets that was not there at first, or has no columns of its own. None: the columns
            for all, and an error where there are none. "error": an error in any case. "adopt": the columns for all, or
            else those of the last group. The number of a group's columns, or its name among `names`: these.

    Raises `TypeError` and `ValueError` for names or a policy that the table cannot meet.
    """

    def __init__(self, table: Table, names: Sequence[str] | None, on_new_group: NewGroup) -> None:
        self._table = table
        self._names = None if names is None else checked_names(names, table)
        self._on_new_group = on_new_group
        self._place_of_new = self._checked_place(on_new_group)
        self._first: int | None = None  # groups at first

    def with_table(self, table: Table) -> Binding:
        """The same for another table."""
        other = Binding(table, self._names, self._on_new_group)
        other._first = self._first
        return other

    def keep(self, groups: Sequence[Group]) -> None:
        """Remember how many groups there were at first."""
        self._first = len(groups) if self._first is None else self._first

    def columns_of(self, groups: Sequence[Group]) -> list[int]:
        """The number of each group's columns. Raises `ValueError` for groups that there are none for."""
        if self._names is not None:
            return self._by_name(groups, self._names)
        known = self._first if self._table.groups is None else self._table.groups
        new = 0 if known is None else len(groups) - known
        if new > 0 and self._place_of_new is None:
            raise ValueError(self._too_many(groups, known))
        if new < 0 and self._table.groups is not None:
            raise ValueError(self._not_as_many(groups))
        own = range(len(groups) - max(new, 0))
        of_new = [self._place_of_new or 0] * max(new, 0)
        return [*(own if self._table.groups is not None else [0] * len(own)), *of_new]

    def _by_name(self, groups: Sequence[Group], names: Sequence[str]) -> list[int]:
        found = [group.get("name") for group in groups]
        missing, extra = [name for name in names if name not in found], [name for name in found if name not in names]
        doubled = sorted({name for name in names if found.count(name) > 1})
        if missing or doubled or (extra and self._place_of_new is None):
            wrong = [f"missing: {', '.join(missing)}"] if missing else []
            wrong += [f"not among them: {', '.join(map(repr, extra))}"] if extra else []
            wrong += [f"more than once: {', '.join(doubled)}"] if doubled else []
            raise ValueError(
                f"groups names {', '.join(names)}, and the optimizer's groups are named "
                f"{', '.join(map(repr, found))} ({'; '.join(wrong)})"
            )
        return [names.index(name) if name in names else self._place_of_new or 0 for name in found]

    def _checked_place(self, policy: NewGroup) -> int | None:
        """The columns of a new group; None where there is to be none."""
        several = self._table.groups
        if policy is None:
            return 0 if several is None else None
        if policy == ERROR:
            return None
        if policy == ADOPT:
            return 0 if several is None else several - 1
        if type(policy) is int and several is not None and 0 <= policy < several:
            return policy
        if type(policy) is str and self._names is not None and policy in self._names:
            return self._names.index(policy)
        columns = "none, because all groups share them" if several is None else f"0 to {several - 1}"
        named = "" if self._names is None else f" or a name, {', '.join(self._names)}"
        raise ValueError(
            f"on_new_group must be 'error', 'adopt' or the number of a group's columns ({columns}){named}, "
            f"got {abbreviate(policy)}"
        )

    def _too_many(self, groups: Sequence[Group], known: int | None) -> str:
        if self._table.groups is not None:
            return self._not_as_many(groups)
        return (
            f"the optimizer has {len(groups)} parameter groups ({_listed(groups)}), it had {known}, and "
            "on_new_group='error' allows no other"
        )

    def _not_as_many(self, groups: Sequence[Group]) -> str:
        return (
            f"the table has values for {self._table.groups} parameter groups ({', '.join(self._table.columns)}), "
            f"the optimizer has {len(groups)} ({_listed(groups)})"
        )


def checked_names(names: Any, table: Table) -> tuple[str, ...]:
    """Names of groups, one for each of the table's. Raises `TypeError` and `ValueError` for what is none of these."""
    if isinstance(names, str) or not all(type(name) is str for name in names):
        raise TypeError(f"groups must be the names of parameter groups, got {abbreviate(names)}")
    if len(set(names)) != len(names):
        raise ValueError(f"groups must be different names, got {', '.join(names)}")
    if table.groups is None:
        raise ValueError("groups names the groups of columns such as lr.0, and this table's columns are for all groups")
    if len(names) != table.groups:
        raise ValueError(f"groups has {len(names)} names ({', '.join(names)}), the table values for {table.groups}")
    return tuple(names)


def _listed(groups: Sequence[Group]) -> str:
    return ", ".join(f"{group.get('name', i)}: {len(group['params'])} parameters" for i, group in enumerate(groups))
