"""The fields of torch schedulers' saved states, and their types: every key is read and checked here, by its name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from scheduler.fields import MAX_STEP
from scheduler.texts import abbreviate

State = Mapping[str, Any]
"""What a scheduler's `state_dict()` returned."""
Groups = Sequence[Mapping[str, Any]]
"""`param_groups` of an optimizer's state."""
Read = Callable[[Any], Any]
"""Reads a field's value. Raises `ValueError` with the rule that it breaks."""

MAX_POSITION = 10**8
"""The latest position whose rates are computed and compared: some classes take a step in Python for each."""
_TAKEN_BACK = -64  # each SequentialLR around a waiting scheduler takes one step back from it
_DEEPEST = 64  # levels of composites
_MOST = 10_000  # milestones, groups, members


class StateError(ValueError):
    """A state that no schedule was found for, and why."""


# -- types of values ---------------------------------------------------------------------------------------------------


def _number(value: Any) -> float | int:
    if hasattr(value, "numel") and hasattr(value, "is_floating_point") and value.numel() == 1:
        value = value.item()  # a rate that is a tensor
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300:
        return value
    raise ValueError("a finite number")


def _whole(value: Any, least: int = 0, most: int = MAX_STEP) -> int:
    try:
        number = _number(value)
    except ValueError:
        number = math.inf
    if least <= number <= most and number == int(number):
        return int(number)
    raise ValueError(f"a whole number from {least} to {most}")


def _share(value: Any) -> float:
    try:
        if 0 <= (number := _number(value)) <= 1:
            return number
    except ValueError:
        pass
    raise ValueError("a number from 0 to 1")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("a text")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("True or False")


def _list(value: Any, read: Read, what: str, least: int = 1) -> list[Any]:
    try:
        if isinstance(value, list | tuple) and least <= len(value) <= _MOST:
            return [read(each) for each in value]
    except ValueError:
        pass
    raise ValueError(what)


_numbers = partial(_list, read=_number, what="a list of finite numbers, one for each parameter group")


def _rates(value: Any) -> list[Any] | None:
    return None if value is None else _numbers(value)


def _milestones(value: Any) -> Counter[int]:
    try:
        counts = {_whole(step): _whole(count, 1, _MOST) for step, count in value.items()}
        if sum(counts.values()) <= _MOST:
            return Counter(counts)
    except (AttributeError, ValueError):
        pass
    raise ValueError(f"a dict of at most {_MOST} steps, each with how often it is one")


def _phases(value: Any) -> list[dict[str, Any]]:
    rule = "a list of 2 or 3 phases, each a dict with its end_step"
    phases = _list(value, lambda phase: {"end_step": _number(_mapping(phase).get("end_step"))}, rule, least=2)
    if len(phases) > 3:
        raise ValueError(rule)
    return phases


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ValueError("a dict")


_members = partial(_list, read=_mapping, what="a list of the members' states")


# -- fields ------------------------------------------------------------------------------------------------------------

_OF_ALL: Mapping[str, Read] = MappingProxyType(
    {"last_epoch": partial(_whole, least=_TAKEN_BACK, most=MAX_POSITION), "base_lrs": _numbers, "_last_lr": _rates}
)
_FIELDS: Mapping[str, Read] = MappingProxyType(
    {
        **{"step_size": _whole, "total_iters": _whole, "total_steps": partial(_whole, least=1), "total_size": _number},
        **{"T_0": _whole, "T_i": _whole, "T_mult": _whole, "T_cur": _number, "T_max": _whole, "anneal_epochs": _whole},
        **{"gamma": _number, "factor": _number, "start_factor": _number, "end_factor": _number, "power": _number},
        **{"eta_min": _number, "step_ratio": _share, "milestones": _milestones},
        **{"max_lrs": _numbers, "base_momentums": _numbers, "max_momentums": _numbers},
        **{"mode": _text, "scale_mode": _text, "_anneal_func_type": _text, "_anneal_strategy": _text},
        **{"cycle_momentum": _flag, "use_beta1": _flag, "_schedule_phases": _phases},
        **{"_schedulers": _members, "_milestones": partial(_list, read=_whole, what="a list of steps", least=0)},
        **_OF_ALL,
    }
)
"""Every field that a schedule is read from, by its name, which means the same in every class."""
_PER_GROUP = ("base_lrs", "_last_lr", "max_lrs", "base_momentums", "max_momentums")
_COMPOSITES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"SequentialLR": ("last_epoch",), "ChainedScheduler": ()}  # of the fields of all, those that they have
)
_GROUP_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"OneCycleLR": ("max_lr", "initial_lr", "min_lr"), "SWALR": ("swa_lr",)}
)
"""What torch keeps in the optimizer's groups."""


def checked(state: State, name: str, needed: set[str], place: str = "") -> dict[str, Any]:
    """The fields of a state that a schedule is read from, each of its type.

    Args:
        state: as it was saved.
        name: the class of its scheduler.
        needed: the fields that are its own.
        place: where the state is in the file's, such as "_schedulers[1].", for the messages.

    Raises `StateError` naming the field and its value.
    """
    needed = needed | set(_COMPOSITES.get(name, ("last_epoch", "base_lrs")))
    if name == "CyclicLR" and state.get("cycle_momentum") is True:
        needed |= {"base_momentums", "max_momentums"}
    if missing := sorted(needed - state.keys()):
        own = abbreviate(", ".join(sorted(map(str, state))))
        raise StateError(f"the state of a {name} has {', '.join(place + key for key in missing)}; this one has {own}")
    return {key: _read(read, state[key], place + key) for key, read in _FIELDS.items() if key in state}


def check_position(place: str, position: int) -> None:
    """Raise `StateError` where a scheduler that nothing takes back has a position before its start."""
    if position < 0:
        raise StateError(
            f"the state's {place}last_epoch must be a whole number from 0 to {MAX_POSITION}, got {position}"
        )


def check_depth(place: str) -> None:
    """Raise `StateError` for members of members beyond all reason."""
    if place.count(".") > _DEEPEST:
        raise StateError(f"the state's {place[:80]}... must be at most {_DEEPEST} levels deep, got more")


def check_group_counts(fields: Mapping[str, Any], count: int, place: str) -> None:
    """Raise `StateError` for a list that has not one value for each parameter group."""
    for key in _PER_GROUP:
        if fields.get(key) is not None and len(fields[key]) != count:
            raise StateError(
                f"the state's {place}{key} must have one number for each of {count} parameter groups, "
                f"got {abbreviate(fields[key])}"
            )


def checked_groups(groups: object, names: set[str], *, momentum: bool) -> list[dict[str, Any]]:
    """The fields of an optimizer's groups that schedulers of these classes read, each a number.

    Args:
        groups: `param_groups` of an optimizer's state.
        names: the classes.
        momentum: whether a OneCycleLR drives the momentum, whose bounds are then there, too.

    Raises `StateError` naming the group, the field and its value.
    """
    if not isinstance(groups, Sequence) or not 1 <= len(groups) <= _MOST or isinstance(groups, str | bytes):
        raise StateError(f"param_groups must be the list of an optimizer's groups, got {abbreviate(groups)}")
    keys = [key for name, own in _GROUP_FIELDS.items() if name in names for key in own]
    if "OneCycleLR" in names and momentum:
        keys += ["base_momentum", "max_momentum"]
    return [_group(group, keys, f"param_groups[{number}]") for number, group in enumerate(groups)]


def _group(group: object, keys: Sequence[str], place: str) -> dict[str, Any]:
    if not isinstance(group, Mapping):
        raise StateError(f"the optimizer's {place} must be a dict, got {abbreviate(group)}")
    if missing := [key for key in keys if key not in group]:
        has = abbreviate(", ".join(sorted(str(key) for key in group if key != "params")))
        raise StateError(
            f"the optimizer's {place} has no {', '.join(missing)}, which its scheduler reads; it has {has}"
        )
    return {key: _read(_number, group[key], f"{place}.{key}", whose="optimizer") for key in keys}


def _read(read: Read, value: Any, place: str, whose: str = "state") -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise StateError(f"the {whose}'s {place} must be {error}, got {abbreviate(value)}") from None
