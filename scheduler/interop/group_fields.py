"""Which number of an optimizer's parameter group a column drives: the one place that knows.

A column drives the entry of its own name: `lr`, `momentum`, `weight_decay`, `eps`, `alpha`, `lambd`, whatever number a
group holds. Where a group holds several numbers under one name, a column is one of them, counted from 1: `beta1` and
`beta2` are those of `betas`, `eta1` and `eta2` those of Rprop's `etas`, `eps1` and `eps2` those of an `eps` that is a
pair, as Adafactor's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from numbers import Real
from operator import itemgetter
from typing import Any, SupportsFloat

Group = dict[str, Any]
"""One entry of `optimizer.param_groups`."""
Read = Callable[[Group], Any]
"""Reads a hyperparameter from a parameter group."""
Write = Callable[[Group, float, set[int] | None], None]
"""Writes one: into this group, this value, but not into tensors with these ids."""

_NUMBERED = re.compile(r"(.+?)([1-9][0-9]?)")
_SEVERAL = (tuple, list)


def read(group: Group, column: str) -> Any:
    """The group's current value of a column: a number or a tensor. Raises `KeyError` where there is none."""
    if column in group:
        return group[column]
    key, index = _entry(group, column)
    return group[key][index]


def write(group: Group, column: str, value: float, filled: set[int] | None = None) -> None:
    """Write a column's value into the group: a number is replaced, a tensor filled in place.

    `filled`: ids of the tensors that have this value already, because groups may share one; they are left alone.
    Raises `ValueError` for a tensor of integers, which would take 0 for 0.5; `KeyError` as `read` does.
    """
    writer_of(group, column)(group, value, filled)


def writer_of(group: Group, column: str) -> Write:
    """A function that writes one column into this group, for many values. Raises `KeyError` as `read` does."""
    if column in group:
        return partial(_write_number, column)
    return partial(_write_entry, column, *_entry(group, column))


def check_place(group: Group, index: int, column: str) -> None:
    """Raise `ValueError` where a group has no entry for a column, or one that cannot hold a number.

    Args:
        group: the group.
        index: its number, for the message.
        column: the column's name, without a group's number.
    """
    try:
        current = read(group, column)
    except KeyError:
        has = ", ".join(key for key in group if key != "params")
        message = f"the table has the column {column!r}, which group {index} does not have; it has {has}"
        if column == "momentum" and "betas" in group:
            message += ". Adam's momentum is beta1: give the schedule momentum_column='beta1'"
        raise ValueError(message) from None
    if problem := _why_not_written(current):
        raise ValueError(f"the {column} of group {index} {problem}")


def number_readers(group: Group) -> dict[str, Read]:
    """Column name to reader, for every number in a group, and for the rate even where it is none."""
    plain: dict[str, Read] = {key: itemgetter(key) for key, value in group.items() if key == "lr" or _is_number(value)}
    numbered = {column: partial(_read_entry, key, index) for column, key, index in _entries(group)}
    return numbered | plain


def momentum_column(scheduler: Any) -> str:
    """The column that torch's CyclicLR and OneCycleLR drive beside the rate: `beta1` where the optimizer has betas."""
    return "beta1" if scheduler.use_beta1 else "momentum"


def _entries(group: Group) -> Iterator[tuple[str, str, int]]:
    """Each number of the several under one name: its column, its name in the group, and its place there."""
    for key, value in group.items():
        stem = key if key == "eps" else key.removesuffix("s")
        if key != "params" and isinstance(value, _SEVERAL):
            yield from ((f"{stem}{index + 1}", key, index) for index, one in enumerate(value) if _is_number(one))


def _write_number(key: str, group: Group, value: float, filled: set[int] | None) -> None:
    current = group[key]
    if isinstance(current, (float, int)) or not hasattr(current, "fill_"):
        group[key] = value
    else:
        _fill(current, key, value, filled)


def _write_entry(column: str, key: str, index: int, group: Group, value: float, filled: set[int] | None) -> None:
    several = group[key]
    current = several[index]
    if isinstance(current, (float, int)) or not hasattr(current, "fill_"):
        group[key] = (*several[:index], value, *several[index + 1 :])
    else:
        _fill(current, column, value, filled)


def _entry(group: Group, column: str) -> tuple[str, int]:
    """Key and index of a numbered column's value in the group. Raises `KeyError` where there is none."""
    for key, index in _places(column):
        if isinstance(several := group.get(key), _SEVERAL) and index < len(several):
            return key, index
    raise KeyError(column)


@lru_cache
def _places(column: str) -> tuple[tuple[str, int], ...]:
    """Keys and indices at which a numbered column may be: `beta2` is at index 1 of `betas` or `beta`."""
    found = _NUMBERED.fullmatch(column)
    names = (f"{found[1]}s", found[1]) if found else ()
    return tuple((name, int(found[2]) - 1) for name in names if name != "params") if found else ()


def _read_entry(key: str, index: int, group: Group) -> Any:
    return group[key][index]


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or a tensor of a single one."""
    if hasattr(value, "fill_"):
        return bool(value.numel() == 1)
    return isinstance(value, Real) and not isinstance(value, bool)


def _fill(tensor: Any, column: str, value: float, filled: set[int] | None) -> None:
    if filled is None or id(tensor) not in filled:
        if not tensor.is_floating_point():
            raise ValueError(f"the {column} of a group {_why_not_written(tensor)}")
        tensor.fill_(value)
    if filled is not None:
        filled.add(id(tensor))


def _why_not_written(current: Any) -> str:
    """Why a schedule cannot write what is there; empty where it can."""
    rule = "must be a number or a tensor of one float, such as torch.tensor(1.0), got"
    if not hasattr(current, "fill_"):
        is_number = isinstance(current, SupportsFloat) and not isinstance(current, bool)
        return "" if is_number else f"{rule} {current!r}"
    if current.is_floating_point() and current.numel() == 1:
        is_trained = current.requires_grad and current.is_leaf
        return "must not require a gradient, because it is filled in place" if is_trained else ""
    return f"{rule} {current!r} ({current.dtype})"
