"""Dry runs of torch schedulers: a copy is stepped instead of the original, and the training is not affected.

`copy.deepcopy` alone would copy the model with it, and leave a copied optimizer whose `step` is still the original's.
"""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol, cast

import numpy as np

from scheduler.table import Table

_ATOMIC = (type, ModuleType, str, bytes, int, float)  # nothing in them would be copied
_CONTAINERS = (dict, list, set)


class TorchScheduler(Protocol):
    """An object that follows torch's protocol: `step()` writes the next values into the groups of `optimizer`."""

    @property
    def optimizer(self) -> Any:
        """The optimizer, whose `param_groups` is a list of dicts."""

    def step(self) -> Any:
        """Write the values of the next update."""


class CaptureError(ValueError):
    """A scheduler whose values cannot be known beforehand, and why."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Silence warnings, and put the random generators of Python, NumPy and torch back as they were.

    Both belong to the whole process: another thread's warnings are silenced, and its random draws repeated.
    """
    import torch  # noqa: PLC0415  # an extra, and slow to import

    used = torch.cuda.is_initialized()
    devices = range(torch.cuda.device_count()) if used else ()
    python, legacy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[*devices]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)


def dry_run(scheduler: TorchScheduler | Any, *, own_step: bool = False) -> Any:
    """Return a copy of a scheduler on a stand-in for its optimizer. Stepping the copy does not change the original.

    Everything with state is copied, including parameter groups and callable objects. Parameters, modules, tables and
    the optimizer's tensors are not copied, because they are large and no scheduler changes them. Functions that closed
    over something copied see the copy. Their other state, such as a count in a closure or a global, is shared.
    With `own_step` the caller steps the copy in its own way, so an object without `step()` or an optimizer is enough.

    Raises `TypeError` for what is no torch scheduler, `CaptureError` for one that needs a metric or cannot be copied.
    """
    check(scheduler, own_step=own_step)
    memo: dict[int, Any] = {}
    try:
        _stand_in(scheduler if hasattr(scheduler, "param_groups") else scheduler.optimizer, memo)
        cells = _prepare(scheduler, memo)
        copied = copy.deepcopy(scheduler, memo)
    except Exception as error:
        raise CaptureError(f"this {_name(scheduler)} cannot be copied: {error}") from error
    for cell, content in cells:
        cell.cell_contents = _counterpart(content, memo)
    return copied


def check(scheduler: object, *, own_step: bool = False) -> None:
    """Raise `TypeError` for what is no torch scheduler, `CaptureError` for one that needs a metric."""
    from torch.optim.lr_scheduler import ReduceLROnPlateau  # noqa: PLC0415  # an extra, and slow to import

    if own_step and hasattr(scheduler, "param_groups"):
        return
    inside = getattr(scheduler, "scheduler", None)
    if isinstance(scheduler, type) or not (own_step or callable(getattr(scheduler, "step", None))):
        raise TypeError(f"this is no torch scheduler, it has no step(): {scheduler!r}")
    if not hasattr(getattr(scheduler, "optimizer", None), "param_groups"):
        advice = f"; give the {_name(inside)} inside it" if hasattr(inside, "optimizer") else ""
        raise TypeError(f"this {_name(scheduler)} is no torch scheduler, it has no optimizer{advice}")
    if isinstance(scheduler, ReduceLROnPlateau):
        raise CaptureError("ReduceLROnPlateau has no values beforehand: each step needs a metric of the training")


def _name(thing: object) -> str:
    return type(thing).__name__


def _prepare(scheduler: object, memo: dict[int, Any]) -> list[tuple[CellType, object]]:
    """Enter into a deep copy's memo the objects that it must not copy, and new versions of functions with closures.

    Returns the cells of those functions, still empty, each with what the original's holds.
    """
    from torch.nn import Module, Parameter  # noqa: PLC0415  # an extra, and slow to import
    from torch.optim import Optimizer  # noqa: PLC0415  # an extra, and slow to import

    waiting, seen = [scheduler], set[int]()
    cells: list[tuple[CellType, object]] = []
    while waiting:
        item = waiting.pop()
        if id(item) in memo or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Optimizer):
            _stand_in(item, memo)
        elif isinstance(item, Module | Parameter | Table):
            memo[id(item)] = item
        elif isinstance(item, FunctionType) and item.__closure__:
            contents = [cell.cell_contents for cell in item.__closure__]
            memo[id(item)] = made = _made_anew(item)
            cells += zip(made.__closure__ or (), contents, strict=True)
            waiting.extend(content for content in contents if isinstance(content, FunctionType))
        else:
            waiting.extend(_parts(item))
    return cells


def _counterpart(thing: object, memo: dict[int, Any]) -> object:
    """The copy of an object, or the method of the copy; the object itself where it was not copied."""
    if isinstance(thing, MethodType):
        return MethodType(thing.__func__, _counterpart(thing.__self__, memo))
    return memo.get(id(thing), thing)


def _made_anew(function: FunctionType) -> FunctionType:
    """The same function with empty cells."""
    cells = tuple(CellType() for _ in function.__closure__ or ())
    made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    return made


def _parts(item: object) -> Iterable[object]:
    """The objects inside an object that a deep copy would visit next."""
    match item:
        case dict():
            return item.values()
        case list() | tuple() | set() | frozenset():
            return item
        case MethodType():
            return (item.__self__,)
        case partial():
            return (item.func, *item.args, *item.keywords.values())
    return () if isinstance(item, _ATOMIC) else getattr(item, "__dict__", {}).values()


def _stand_in(optimizer: Any, memo: dict[int, Any]) -> None:
    """Enter a stand-in for an optimizer into the memo: same class and parameters, own groups, and no training."""
    stand_in = memo[id(optimizer)] = object.__new__(type(optimizer))
    for group in optimizer.param_groups:
        memo.update((id(parameter), parameter) for parameter in group["params"])
    for name, value in vars(optimizer).items():
        vars(stand_in)[name] = _attribute(name, value, memo)
    vars(stand_in)["step"] = _refuse_training


def _attribute(name: str, value: Any, memo: dict[int, Any]) -> Any:
    """One attribute of a stand-in: copied where schedulers write to it, else shared, such as hooks and tensors."""
    if name in ("param_groups", "defaults"):
        return copy.deepcopy(value, memo)
    if name == "state":
        return _per_parameter(value)
    if hasattr(value, "param_groups"):  # the optimizer within a wrapper
        if id(value) not in memo:
            _stand_in(value, memo)
        return memo[id(value)]
    return copy.copy(value) if isinstance(value, _CONTAINERS) else value


def _per_parameter(state: Any) -> Any:
    """An optimizer's state with the same tensors."""
    copied = copy.copy(state)
    for key, value in copied.items():
        copied[key] = copy.copy(value) if isinstance(value, _CONTAINERS) else value
    return copied


def _refuse_training(*arguments: object, **named: object) -> None:
    raise RuntimeError("this scheduler steps its optimizer, which would be training")


cast(Any, _refuse_training)._wrapped_by_lr_sched = True  # by this mark torch knows a step that it has prepared
