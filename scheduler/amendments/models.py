"""The amendments: what may be changed of a schedule, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from scheduler.fields import Factor, Rate, StepCount, Steps
from scheduler.messages.errors import ABSENT, Owner, Problem, ScheduleError, line, read_json, schedule_error
from scheduler.numerics.shapes import Shape
from scheduler.registry import KINDS
from scheduler.spec import OneOrGroups
from scheduler.texts import abbreviate

_NAME = "Amendment"  # what errors call it


class UnsplittableError(ScheduleError):
    """A spec that cannot be cut at this step, although its table can: amend that (`spec_of_table`) in its place."""


def refusal(
    field: str, text: str, value: object = ABSENT, *, error: type[ScheduleError] = ScheduleError
) -> ScheduleError:
    """The error for a field of an amendment that cannot be; `text` continues the field's name."""
    problem = Problem((field,), (field,), text, continues=True, value=value)
    return error(line(problem, _NAME), [problem])


def unsplittable(text: str, value: object = ABSENT) -> ScheduleError:
    """The error for a schedule that cannot be cut at a step; `text` continues "from_step"."""
    advice = "amend the table's own spec (spec_of_table)"
    return refusal("from_step", f"{text}: {advice}", value, error=UnsplittableError)


def _require_template(schema: dict[str, Any]) -> None:
    """In JSON only a tail speaks for itself: every other template must be named."""
    if schema["properties"]["template"]["const"] != "tail":
        schema["required"] = ["template", *schema["required"]]


class _Amendment(BaseModel):
    """Base of the amendments: `from_step` is the first row that may differ, counted from 0."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, json_schema_extra=_require_template)

    from_step: Steps = Field(description="first row that may differ; every row before it keeps its bits")

    if not TYPE_CHECKING:  # where the fields are the signature

        def __init__(self, /, **given: Any) -> None:
            """The amendment with these fields. Raises `ScheduleError`, a line for each that is wrong."""
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise schedule_error(error, given, Owner(_NAME, type(self)), KINDS) from None

        __init__.__pydantic_base_init__ = True  # else pydantic would call it for each amendment that it reads


class NewTail(_Amendment):
    """Other values from a step on.

    The tail runs on its own clock from 0. It may start from "previous": the rate that would have come next.

    Args:
        from_step: the tail's first row.
        tail: a schedule for all parameter groups, or a list with one for each.
        total_steps: rows of the amended table, above from_step. By default the table ends where the tail does, or
            after the steps that it states (a `Ramp` its length); with one that has neither it keeps its rows.
    """

    template: Literal["tail"] = "tail"
    tail: OneOrGroups = Field(description="the schedule from from_step on, or a list with one per parameter group")
    total_steps: StepCount | None = Field(None, description="rows of the amended table")


class Rewind(_Amendment):
    """Back to a checkpoint's step, and from there on with another tail: a branch.

    It may lie behind the steps that workers have reported: they restart from their checkpoint of `from_step`.

    Args:
        from_step: the step of the checkpoint, the tail's first row.
        tail: as in `NewTail`.
        total_steps: as in `NewTail`.
    """

    template: Literal["rewind"] = "rewind"
    tail: OneOrGroups = Field(description="the schedule from from_step on, or a list with one per parameter group")
    total_steps: StepCount | None = Field(None, description="rows of the amended table")


class Cooldown(_Amendment):
    """Down to a rate over some steps, which are the last of the training.

    Args:
        from_step: first step of the cool-down; it has the rate that would have come next.
        length: steps of the cool-down. The table ends with them, one step before `rate` itself is reached.
        rate: the rate it leads to, at least 0.
        shape: form of the curve, as in `Ramp`.
    """

    template: Literal["cooldown"] = "cooldown"
    length: StepCount = Field(description="steps of the cool-down, the last ones of the table")
    rate: Rate = Field(0.0, description="the rate it leads to")
    shape: Shape = Field("linear", description="form of the curve, as in Ramp")


class Extend(_Amendment):
    """More steps, as a plateau: the rate of a step is held, then the old schedule goes on from there.

    Args:
        from_step: first step of the plateau.
        total_steps: rows of the amended table, more than before; the plateau is as long as the difference.
    """

    template: Literal["extend"] = "extend"
    total_steps: StepCount = Field(description="rows of the amended table, more than before")


class Hold(_Amendment):
    """The rate of a step, held until the table's end.

    Args:
        from_step: the step whose rate is held.
    """

    template: Literal["hold"] = "hold"


class Rescale(_Amendment):
    """Every rate from a step on, times a factor. Momentum and the like stay as they are.

    Args:
        from_step: first step whose rate is multiplied.
        factor: above 0.
    """

    template: Literal["scale"] = "scale"
    factor: Factor = Field(description="what every later rate is multiplied by")


_CLASSES: dict[str, type[_Amendment]] = {
    "tail": NewTail,
    "cooldown": Cooldown,
    "extend": Extend,
    "hold": Hold,
    "scale": Rescale,
    "rewind": Rewind,
}


def _template(value: Any) -> Any:
    """The template of an amendment; one with a tail need not name it."""
    if isinstance(value, dict):
        return value.get("template", "tail" if "tail" in value else None)
    return getattr(value, "template", None)


Amendment = Annotated[
    Annotated[NewTail, Tag("tail")]
    | Annotated[Cooldown, Tag("cooldown")]
    | Annotated[Extend, Tag("extend")]
    | Annotated[Hold, Tag("hold")]
    | Annotated[Rescale, Tag("scale")]
    | Annotated[Rewind, Tag("rewind")],
    Discriminator(_template),
]
"""An amendment of any template."""


def parse_amendment(data: Any) -> Amendment:
    """An amendment from JSON text, or from JSON data. An amendment is returned as it is.

    Raises `ScheduleError` (a `ValueError`), a line for each thing that is wrong with it, `TypeError` for data that JSON
    cannot hold.
    """
    if isinstance(data, _Amendment):
        return data  # type: ignore[return-value]  # the union of all subclasses
    text = data if isinstance(data, (str, bytes)) else _json(data)
    given = read_json(text)
    template = _template(given)
    if not isinstance(given, dict):
        problem = Problem((), (), "must be a JSON object such as {'template': 'hold', 'from_step': 100}", value=given)
        raise ScheduleError(f"{_NAME}: {problem.text}, got {abbreviate(given)}", [problem])
    if not isinstance(template, str) or template not in _CLASSES:
        raise refusal("template", f"must be one of {', '.join(_CLASSES)}", template)
    kind = _CLASSES[template]
    try:
        return kind.model_validate_json(text)  # type: ignore[return-value]  # the union of all subclasses
    except ValidationError as error:
        raise schedule_error(error, given, Owner(_NAME, kind), KINDS) from None


def _json(data: Any) -> str:
    try:
        return json.dumps(data)
    except TypeError as error:
        raise TypeError(f"parse_amendment takes JSON text, or data that JSON can hold: {error}") from None
