"""The catalogue of schedules, made from their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from scheduler import KINDS
from scheduler.messages.descriptions import parameter_descriptions, prose, summary

Links = Callable[[str], dict[str, str]]
"""Returns the links of a kind, by name."""


class Parameter(BaseModel):
    """A parameter of a schedule; a JSON schema of its values is in the entry's schema."""

    name: str
    description: str = Field(description="what it means, with its unit and range")
    required: bool
    default: Any = Field(None, description="null if the parameter is required")


class Summary(BaseModel):
    """A kind of schedule in the list of all kinds."""

    kind: str
    summary: str
    links: dict[str, str]


class Entry(Summary):
    """A kind of schedule with all details."""

    description: str = Field(
        description="the formula, its symbols, and its values at step 0, at boundaries and at the end"
    )
    revision: int = Field(description="version of the kind's arithmetic, which is part of the spec id")
    parameters: list[Parameter] = Field(description="parameters in the order of the Python constructor")
    json_schema: dict[str, Any] = Field(description="JSON schema of the schedule in a spec")


class Catalogue(BaseModel):
    """Every kind of schedule."""

    schedules: list[Summary]


def catalogue(links: Links) -> Catalogue:
    """Return every kind with a one-line summary."""
    return Catalogue(schedules=[Summary(**_summary(kind, links)) for kind in KINDS])


@cache
def entry(kind: str, links: Links) -> Entry:
    """Return a kind with all details. A composite's schema includes its members'. Raises `KeyError` if unknown."""
    cls = KINDS[kind]
    return Entry(
        **_summary(kind, links),
        description=prose(cls),
        revision=cls.revision,
        parameters=_parameters(cls),
        json_schema=TypeAdapter(cls).json_schema(),
    )


def _summary(kind: str, links: Links) -> dict[str, Any]:
    return {"kind": kind, "summary": summary(KINDS[kind]), "links": links(kind)}


def _parameters(cls: Any) -> list[Parameter]:
    fields: Mapping[str, FieldInfo] = cls.__pydantic_fields__
    return [
        Parameter(
            name=name,
            description=parameter_descriptions(cls).get(name, ""),
            required=field.is_required(),
            default=None if field.is_required() else to_jsonable_python(field.get_default(call_default_factory=True)),
        )
        for name, field in fields.items()
        if name != "kind"
    ]
