"""What the page knows of kinds and recipes: parameters with their ranges, texts, and a spec to begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from scheduler import KINDS
from scheduler.names.aliases import NO_SCHEDULES
from scheduler.names.lookup import aliases_of
from scheduler.recipes import RECIPES, Recipe
from scheduler.registry import AnySchedule
from service.documentation.catalogue import Parameter, entry
from service.explorer.reading import reading

EXAMPLES = Path(__file__).with_name("examples.json")
_DROPPED = ("title", "description", "default")


@cache
def catalogue_json() -> str:
    """Return the catalogue as JSON.

    It has `kinds` by name, each with an `example` spec, `recipes` in their order, and `no_schedules`: names of other
    schedulers, with the reason why they are not here, and `reading`: what the paste box knows of texts from trainings.
    """
    KINDS.load()
    recipes = [_recipe(recipe) for recipe in RECIPES.values()]
    return json.dumps({"kinds": _kinds(), "recipes": recipes, "no_schedules": dict(NO_SCHEDULES), "reading": reading()})


def _kinds() -> dict[str, Any]:
    document = TypeAdapter[Any](AnySchedule).json_schema()
    places: Mapping[str, str] = document["discriminator"]["mapping"]
    examples = json.loads(EXAMPLES.read_bytes())
    return {kind: _kind(kind, document["$defs"][places[kind].rpartition("/")[2]], examples[kind]) for kind in KINDS}


def _kind(kind: str, schema: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    described = entry(kind, _no_links)
    schedule = {"kind": kind, **example["parameters"]}
    return {
        "summary": described.summary,
        "aliases": aliases_of(kind),
        "description": described.description,
        "parameters": [_parameter(each, schema["properties"][each.name]) for each in described.parameters],
        "example": {"schedule": schedule, "total_steps": example["total_steps"]},
    }


def _no_links(kind: str) -> dict[str, str]:
    del kind
    return {}


def _parameter(parameter: Parameter, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**parameter.model_dump(), "schema": _simplified(schema)}


def _simplified(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without its texts. A nested schedule is `{"schedule": [kinds]}`, or true for all kinds."""
    if "discriminator" in schema:
        kinds = list(schema["discriminator"]["mapping"])
        return {"schedule": True if len(kinds) == len(KINDS) else kinds}
    simplified = {name: value for name, value in schema.items() if name not in _DROPPED}
    if "items" in simplified:
        simplified["items"] = _simplified(simplified["items"])
    if "anyOf" in simplified:
        simplified["anyOf"] = [_simplified(choice) for choice in simplified["anyOf"]]
    return simplified


def _recipe(recipe: Recipe) -> dict[str, Any]:
    kept = {"name", "title", "source", "stated", "assumptions", "spec"}
    return {**recipe.model_dump(mode="json", include=kept), "aliases": aliases_of(recipe.name)}
