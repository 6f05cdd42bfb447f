"""The saved state of a TableLR: plain numbers and text, checked as a whole before any of it is used.

A pickled list of floats takes 9 bytes a number, so that values of many groups would be most of a state. A value that is
the same in every group is saved as that one number. Where every group's value is its own (`initial`) times the same
factor, that factor is saved. Where many groups share few values, as layers of a model do, each value is saved once, and
a text has a character for each group that says which is its own. Other values are a list, one for each group: what no
two groups share takes its 9 bytes.
"""

from __future__ import annotations

import dataclasses
import math
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from client.errors import DigestMismatchError
from client.optimizer.groups import check_product
from client.optimizer.updates import Noted
from client.pinned_table import PinnedTable, check_pin
from scheduler import Table
from scheduler.numerics.progress import MAX_PROGRESS, progress_index
from scheduler.numerics.rates import first_bad_rate
from scheduler.table_format import Axis
from scheduler.texts import abbreviate, is_digest

Lists = dict[str, list[float]]
"""Hyperparameter to its value in each parameter group."""

_NEEDED = ("last_epoch", "_step_count", "values", "groups", "in_force", "digest", "axis", "stride")
_PACKED = ("values", "groups")
_LISTED = ("_last_lr", "others")  # in their place in states of older versions: lists, one value for each group
_RELATIVE = ("relative", "initial")  # a state without both is of a version that knew absolute values alone
_UPDATES = ("update_made", "updates_seen", "ahead")  # without them, of one that did not watch the optimizer
_DEFAULTS: dict[str, Any] = {  # of states that older versions saved
    **{"relative": False, "initial": {}, "run": None, "version": None},
    **{"update_made": False, "updates_seen": False, "ahead": 0},
}
_PLACES = string.ascii_letters + string.digits + "+-"  # a group's character says which of the different values it has
_NUMBER, _FRAME = 9, 40  # pickled bytes of a float, and of what is around different values and places
_DEEPEST = 64  # each SequentialLR around a waiting scheduler takes one step back from it


@dataclass(frozen=True)
class SavedState:
    """The parsed state of a TableLR.

    Attributes:
        last_epoch: the progress; below 0 only for a scheduler whose turn in a `SequentialLR` is to come.
        step_count: torch's count of calls.
        values: what was in the optimizer, `lr` among them.
        in_force: whether those were this scheduler's own, the last that anybody wrote.
        digest: the table's, with its `axis` and `stride`.
        relative: whether the table was a factor of each group's own value, kept in `initial`.
        run: the name of the run that the table was resolved from, with its `version`; both None where it was not.
        updates: what the scheduler knew of its optimizer's updates.
    """

    last_epoch: int
    step_count: int
    values: Lists
    in_force: bool
    digest: str
    axis: str
    stride: int
    relative: bool
    initial: Lists
    run: str | None = None
    version: int | None = None
    updates: Noted = dataclasses.field(default_factory=Noted)

    def to_dict(self) -> dict[str, Any]:
        """The state as `state_dict` gives it."""
        return {
            "last_epoch": self.last_epoch,
            "_step_count": self.step_count,
            "values": {name: _packed(column, self.initial.get(name)) for name, column in self.values.items()},
            "groups": len(self.values["lr"]),
            "in_force": self.in_force,
            "digest": self.digest,
            "axis": self.axis,
            "stride": self.stride,
            "relative": self.relative,
            "initial": {name: _packed(column) for name, column in self.initial.items()},
            "update_made": self.updates.made,
            "updates_seen": self.updates.seen,
            "ahead": self.updates.ahead,
            **({} if self.run is None else {"run": self.run, "version": self.version}),
        }

    @classmethod
    def parse(cls, state: object, groups: int) -> SavedState:
        """Read what `state_dict` gave. Raises `ValueError` naming the field and the value that cannot be.

        Args:
            state: of any type.
            groups: the number of the optimizer's parameter groups, of which each list has a value.
        """
        if not isinstance(state, Mapping):
            message = f"this is not the state of a TableLR, but {abbreviate(state)}"
            raise ValueError(message)  # noqa: TRY004  # whatever is wrong with a state is a ValueError
        if missing := [*_missing(state)]:
            position = None if "digest" in state or "axis" in state else state.get("last_epoch")  # of another scheduler
            advice = f". To go on from there with this table: set_progress({position})" if type(position) is int else ""
            raise ValueError(f"this is not the state of a TableLR: it has no {', '.join(sorted(missing))}{advice}")
        state = {**_DEFAULTS, **state}
        in_force = _checked(state, "in_force", "True or False", _is_bool)
        relative = _checked(state, "relative", "True or False", _is_bool)
        lowest = 0 if in_force else -_DEEPEST
        columns = _columns(state["initial"], "initial")
        initial = {name: _spread(name, column, field, groups) for name, field, column in columns}
        if relative != ("lr" in initial) or (initial and not relative):
            raise _damaged("initial", "the groups' own values" if relative else "nothing", state["initial"])
        if relative:
            _check_rates(initial["lr"], "initial['lr']")
        values = _values(state, groups, initial)
        _check_pin(state)
        return cls(
            last_epoch=_integer(state, "last_epoch", lowest),
            step_count=_integer(state, "_step_count", 1),
            values=values,
            in_force=in_force,
            digest=_checked(state, "digest", "64 hexadecimal digits", is_digest),
            axis=_checked(state, "axis", f"one of {', '.join(get_args(Axis))}", _is_axis),
            stride=_integer(state, "stride", 1),
            relative=relative,
            initial=initial,
            run=state["run"],
            version=state["version"],
            updates=Noted(
                made=_checked(state, "update_made", "True or False", _is_bool),
                seen=_checked(state, "updates_seen", "True or False", _is_bool),
                ahead=_integer(state, "ahead", 0),
            ),
        )

    def check_table(self, table: Table, *, relative: bool, allowed: bool | Table) -> None:
        """Raise where the state belongs to another table, unless that is allowed.

        Raises `DigestMismatchError` for another table, `ValueError` for another axis, stride or meaning of the values.
        """
        if not isinstance(allowed, bool | Table):
            raise TypeError(f"allow_other_table must be True, False or the old Table, got {allowed!r}")
        if self.digest != table.digest:
            self._check_other_table(table, allowed)
        if (self.axis, self.stride) != (table.axis, table.stride):
            raise ValueError(
                f"the state counts {self.axis}s by {self.stride}, the table {table.axis}s by "
                f"{table.stride}: a position in one means nothing in the other"
            )
        if self.relative != relative:
            raise ValueError(
                f"the state was saved with relative={self.relative}, and this scheduler has relative={relative}: "
                "a factor is no rate"
            )

    def _check_other_table(self, table: Table, allowed: bool | Table) -> None:
        if isinstance(table, PinnedTable) and table.replaces == self.digest:
            return  # proven to repeat the rows that this state has applied
        if allowed is False:
            raise DigestMismatchError(
                f"the state was saved with table {self.digest}, and this scheduler has table {table.digest}: get the "
                "old one by its digest, or say allow_other_table=True to go on with the new one"
            )
        if isinstance(allowed, Table) and allowed.digest != self.digest:
            raise DigestMismatchError(
                f"the state was saved with table {self.digest}, and the old table given is {allowed.digest}"
            )

    def check_columns(self, names: tuple[str, ...], *, same_table: bool) -> None:
        """Raise `ValueError` where the state has values of other hyperparameters than the table drives.

        Another table may have had other columns; a group's own value is needed for each of the new one's.
        """
        if same_table and (names_saved := sorted(self.values)) != [*names]:
            raise _damaged("values (others in older states)", f"those of {', '.join(names)}", ", ".join(names_saved))
        if self.relative and (lacking := sorted({*names} - self.initial.keys())):
            raise _damaged("initial", f"values of {', '.join(names)}", f"none of {', '.join(lacking)}")

    def check_released(self, table: Table) -> None:
        """Raise `ValueError` where the state claims values in force at a position where its table releases them."""
        if self.in_force and self.digest == table.digest:
            raise _damaged("in_force", f"False past the end of a table with after={table.after!r}", self.in_force)


def _missing(state: Mapping[Any, Any]) -> list[str]:
    later = (names for names in (_RELATIVE, _UPDATES) if any(name in state for name in names))
    needed = [*_NEEDED, *(name for names in later for name in names)]
    if any(name in state for name in _LISTED) and "values" not in state:
        needed = [*_LISTED, *(name for name in needed if name not in _PACKED)]
    return [name for name in needed if name not in state]


def _checked(state: Mapping[Any, Any], field: str, rule: str, good: Callable[[Any], bool]) -> Any:
    if not good(state[field]):
        raise _damaged(field, rule, state[field])
    return state[field]


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _is_axis(value: Any) -> bool:
    return type(value) is str and value in get_args(Axis)


def _integer(state: Mapping[Any, Any], field: str, lowest: int) -> int:
    def good(value: Any) -> bool:
        return type(value) is int and lowest <= value <= MAX_PROGRESS

    return int(_checked(state, field, f"a whole number from {lowest} to {MAX_PROGRESS}", good))


def _packed(column: list[float], own: list[float] | None = None) -> Any:
    """The shortest form of one value for each group; `own` are the groups' own values, where these count."""
    if own is None:
        return column[0] if column and all(_same(value, column[0]) for value in column) else _shared(column)
    guess = next((value / one for value, one in zip(column, own, strict=True) if one), 0.0)
    factors = (guess, math.nextafter(guess, math.inf), math.nextafter(guess, -math.inf))
    packed = next((factor for factor in factors if _are_products(column, own, factor)), None)
    return _shared(column) if packed is None else packed


def _shared(column: list[float]) -> Any:
    """Each different value once and a character for each group, or the list where that is shorter."""
    keys = [(value, math.copysign(1.0, value)) for value in column]  # 0.0 and -0.0 are two
    places = dict(zip(dict.fromkeys(keys), _PLACES, strict=False))
    if len(places) < len({*keys}) or _NUMBER * len(places) + len(column) + _FRAME > _NUMBER * len(column):
        return column
    return {"different": [value for value, _ in places], "places": "".join(places[key] for key in keys)}


def _are_products(column: list[float], own: list[float], factor: float) -> bool:
    return all(_same(value, one * factor) for value, one in zip(column, own, strict=True))


def _same(left: float, right: float) -> bool:
    return left == right and math.copysign(1.0, left) == math.copysign(1.0, right)


def _values(state: Mapping[Any, Any], groups: int, initial: Lists) -> Lists:
    """What was in the optimizer, in the form of this version or of older ones."""
    if "values" not in state:
        others = {name: _list(column, field, groups) for name, field, column in _columns(state["others"], "others")}
        if "lr" in others:
            raise _damaged("others", "hyperparameters beside lr", state["others"])
        values = {**others, "lr": _list(state["_last_lr"], "_last_lr", groups)}
        _check_rates(values["lr"], "_last_lr")
        return values
    if (count := _integer(state, "groups", 1)) != groups:
        raise _other_groups(count, groups, "groups")
    columns = _columns(state["values"], "values")
    values = {name: _spread(name, column, field, groups, initial.get(name)) for name, field, column in columns}
    if "lr" not in values:
        raise _damaged("values", "lr and its values", state["values"])
    _check_rates(values["lr"], "values['lr']")
    return values


def _columns(value: Any, field: str) -> Iterator[tuple[str, str, Any]]:
    """Each hyperparameter, its place in the state, and what is there."""
    if type(value) is not dict or not all(type(name) is str for name in value):
        raise _damaged(field, "a dict of lists by hyperparameter", value)
    for name, column in value.items():
        yield name, f"{field}[{name!r}]", column


def _spread(name: str, value: Any, field: str, groups: int, own: list[float] | None = None) -> list[float]:
    """What was packed: one value for each group. Raises `ValueError` naming the field."""
    if type(value) is dict:
        return _unshared(value, field, groups)
    if not _is_finite(value):
        return _list(value, field, groups, "a finite float, or ")
    if own is None:
        return [value] * groups
    for index, one in enumerate(own):
        check_product(f"{name} of group {index}", name, one, value)
    return [one * value for one in own]


def _unshared(value: dict[Any, Any], field: str, groups: int) -> list[float]:
    different, places = value.get("different"), value.get("places")
    if len(value) != 2 or type(places) is not str or type(different) is not list or not all(map(_is_finite, different)):
        raise _damaged(field, "a finite float, a list of them, or different ones and their places", value)
    found = dict(zip(_PLACES, different, strict=False))
    if not {*places} <= found.keys():
        raise _damaged(field, f"places of {len(different)} different values", places)
    if len(places) != groups:
        raise _other_groups(len(places), groups, field)
    return [found[place] for place in places]


def _is_finite(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _list(value: Any, field: str, groups: int, before: str = "") -> list[float]:
    if type(value) is not list or not all(map(_is_finite, value)):
        raise _damaged(field, f"{before}a list of finite floats", value)
    if len(value) != groups:
        raise _other_groups(len(value), groups, field)
    return [*value]


def _other_groups(count: int, groups: int, field: str) -> ValueError:
    return ValueError(f"the state is of {count} parameter groups, the optimizer has {groups} ({field})")


def _check_rates(values: list[float], field: str) -> None:
    if (bad := first_bad_rate(np.array(values))) is not None:
        raise _damaged(field, "learning rates", values[bad])


def _check_pin(state: Mapping[Any, Any]) -> None:
    try:
        check_pin(state["run"], state["version"])
    except ValueError:
        pin = (state["run"], state["version"])
        raise _damaged("run and version", "a run's name and one of its versions, or neither,", pin) from None


def _damaged(field: str, rule: str, value: object) -> ValueError:
    return ValueError(f"the state of a TableLR must have {rule} as {field}, got {abbreviate(value)}")


def checked_progress(value: object, name: str = "progress") -> int:
    """A position as an int. Raises `ValueError` for all else, because trainers misread a `TypeError` of `step()`.

    `name` is what the user calls it.
    """
    try:
        return progress_index(value)
    except (TypeError, ValueError):
        message = f"{name} must be a whole number >= 0 and at most {MAX_PROGRESS}, got {value!r}"
        raise ValueError(message) from None
