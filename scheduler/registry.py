"""Every kind of schedule by name, and the union through which JSON becomes one of them."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, TypeAdapter

from scheduler.builtin import composite, cosine, decay, ramp, swa
from scheduler.builtin import cycle as torch_cycle
from scheduler.compose import combine, curves, cycle, literal, sequence, wrappers
from scheduler.custom import cyclical, warmup
from scheduler.libraries.transformers import floors, kinds
from scheduler.schedule import Schedule, complete

_MODULES = (
    *(warmup, cyclical),
    *(curves, sequence, combine, wrappers, cycle),
    literal,
    *(swa, composite, cosine, torch_cycle, decay, ramp),
    *(kinds, floors),
)


def _collect() -> dict[str, type[Schedule]]:
    """Each module's own kinds, in the order they are written, but for Splice, which is listed behind Cycle."""
    kinds = {
        value.kind: value
        for module in _MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Schedule) and value.__module__ == module.__name__
        if "kind" in vars(value)
    }
    names = [name for name in kinds if name != "Splice"]
    names.insert(names.index("Cycle") + 1, "Splice")
    return {name: kinds[name] for name in names}


KINDS = MappingProxyType(_collect())
"""Kind name to class: `KINDS["custom.WarmupWithDecay"]`."""

if TYPE_CHECKING:
    AnySchedule = Schedule
else:
    # A tuple of classes made at run time: only the subscript can take it.
    AnySchedule = Annotated[Union[tuple(KINDS.values())], Field(discriminator="kind")]  # noqa: UP007

for _kind in KINDS.values():
    complete(_kind, {"AnySchedule": AnySchedule})

_adapter: TypeAdapter[Schedule] = TypeAdapter(AnySchedule)


def parse(data: Any) -> Schedule:
    """A schedule from JSON text, or from JSON data. Raises `pydantic.ValidationError`, naming field and value."""
    return _adapter.validate_json(data if isinstance(data, (str, bytes)) else json.dumps(data))
