"""Check of what a subclass of a schedule may override: nothing that changes the values of its kind."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

_ADVICE = (
    "What works: a kind of your own, a class decorated with scheduler.schedule.schedule that has its own `kind` and "
    "`_fill`; CachedScheduler(any object with get_lr, total_steps); capture(a torch scheduler, total_steps)"
)
_ABSENT = object()


def check_overrides(cls: type, base: type) -> None:
    """Raise `TypeError` where a class overrides something that its values, spec or digest follow from.

    Tables, digests and pictures come from `_fill`, and the spec of a table from the kind and its fields. So nothing
    overrides what follows from `_fill` (marked `final` in `base`), and a class without a kind of its own changes
    nothing of the kind that it inherits. New methods, and a constructor or `__str__` of its own, are free.
    """
    for name in _final_names(base):
        if _found(cls, name) is not vars(base)[name]:
            raise TypeError(f"{cls.__name__} must not override {name}, which follows from _fill: {_ADVICE}")
    if (kind := _inherited_kind(cls)) is None:
        _check_columns(cls, base)
        return
    for name in sorted(_names(kind)):
        if _found(cls, name) is not _found(kind, name):
            raise TypeError(
                f"{cls.__name__} must not override {name} of {kind.__name__}: it has no kind of its own, so that its "
                f"tables would be those of {vars(kind)['kind']}. {_ADVICE}"
            )


def _check_columns(cls: type, base: type) -> None:
    """Raise `TypeError` where a class that may drive several columns has a `_fill` that cannot know which is meant."""
    fill: Any = _found(cls, "_fill")
    drives_one = _found(cls, "column_names") is vars(base)["column_names"]
    if not drives_one and fill is not vars(base)["_fill"] and "column" not in inspect.signature(fill).parameters:
        raise TypeError(
            f"{cls.__name__}._fill must take the column, because {cls.__name__} may drive several (its column_names): "
            'def _fill(self, out, start, column="lr")'
        )


def _final_names(base: type) -> Iterator[str]:
    return (name for name, value in vars(base).items() if getattr(value, "__final__", False))


def _inherited_kind(cls: type) -> type | None:
    """The nearest base that is a kind; None where the class is a kind itself, or there is none yet."""
    named = [part for part in cls.__mro__ if "kind" in vars(part)]
    taken = {vars(part)["kind"] for part in named[1:]}
    if named and named[0] is cls and vars(cls)["kind"] not in taken:
        return None
    return next((part for part in named if part is not cls), None)


def _names(kind: Any) -> set[str]:
    """The attributes of a kind, its fields included."""
    fields = getattr(kind, "__dataclass_fields__", {})
    return {name for name in {*dir(kind), *fields} if not (name.startswith("__") and name.endswith("__"))}


def _found(cls: type, name: str) -> object:
    """An attribute of a class as it is written there, nothing bound."""
    return next((vars(part)[name] for part in cls.__mro__ if name in vars(part)), _ABSENT)
