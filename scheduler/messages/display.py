"""What a notebook shows of an object at the end of a cell, and which of its names are offered for completion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from typing_extensions import override

from scheduler.hooks import Hook

draw_html: Hook[[Any], str] = Hook("scheduler.views.notebook")
"""A schedule or table as HTML with a small picture."""


class Displayed:
    """An object with a picture in notebooks, of which `dir` lists what its users need and not what other modules do."""

    _offered: ClassVar[frozenset[str]]

    def _repr_html_(self) -> str:
        return draw_html(self)

    @override
    def __dir__(self) -> Iterable[str]:
        kept = {*self._offered, *getattr(self, "__pydantic_fields__", ()), *_names_of_users(type(self))}
        return [name for name in super().__dir__() if name.startswith("_") or name in kept]


class DisplayedSchedule(Displayed):
    """The display of a schedule: its parameters are offered, too."""

    _offered = frozenset(
        {
            *("get_lr", "values", "columns", "column_names", "table", "plot", "boundaries", "warnings"),
            *("end", "stated_steps", "revision", "replaced", "to_dict", "with_ratio"),
        }
    )


class DisplayedTable(Displayed):
    """The display of a table, and of one with the run that it is of."""

    _offered = frozenset(
        {
            *("get_lr", "row", "lr", "columns", "groups", "axis", "stride", "after", "total_steps", "plot"),
            *("digest", "spec", "provenance", "nbytes", "load", "save", "from_bytes", "to_bytes", "to_pandas"),
            *("run", "version", "replaces"),
        }
    )


def _names_of_users(cls: type) -> Iterator[str]:
    """The names that classes outside of this package define, such as a user's own kind."""
    for part in cls.__mro__:
        if part is not object and part.__module__.partition(".")[0] != "scheduler":
            yield from vars(part)
