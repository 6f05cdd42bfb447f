"""What `lrtables show` says about kinds and recipes: the list of all, and what one of them is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from scheduler import KINDS, Schedule
from scheduler.messages.descriptions import summary
from scheduler.names.lookup import aliases_of
from scheduler.recipes import RECIPES, Recipe
from scheduler.recipes.parameters import written
from scheduler.views.summary import signature

_HEADINGS: Mapping[str, str] = MappingProxyType(
    {
        "custom": "Schedules of lrtables",
        "": "Building blocks",
        "torch": "Twins of torch.optim.lr_scheduler",
        "transformers": "Twins of transformers.get_scheduler",
        "deepspeed": "Twins of deepspeed.runtime.lr_schedules",
    }
)
"""What kinds begin with, to the heading of these kinds."""


def catalogue(*, as_json: bool) -> str:
    """Every kind under its library's heading, and every recipe: how it is called, and what it is in one line."""
    if as_json:
        kinds = {name: {"signature": signature(kind), "summary": summary(kind)} for name, kind in KINDS.items()}
        recipes = {name: {"summary": recipe.title} for name, recipe in RECIPES.items()}
        return json.dumps({name: _with_aliases(name, found) for name, found in (kinds | recipes).items()}, indent=2)
    help_line = "'lrtables show KIND --help' explains a kind or a recipe, 'lrtables show --help' the command"
    return "\n".join([*_kind_lines(), "Recipes", *_recipe_lines(), "", help_line])


def _kind_lines() -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for name in KINDS:
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    for prefix, names in groups.items():
        yield _HEADINGS.get(prefix, f"Twins of {prefix}")
        for name in names:
            yield f"  {signature(KINDS[name])}\n      {summary(KINDS[name])}{_also(name)}"
        yield ""


def _recipe_lines() -> Iterator[str]:
    for name, recipe in RECIPES.items():
        yield f"  {name}\n      {recipe.title}{_also(name)}"


def _also(name: str) -> str:
    aliases = aliases_of(name)
    return f" (alias {', '.join(aliases)})" if aliases else ""


def _with_aliases(name: str, found: dict[str, str]) -> dict[str, object]:
    return found | ({"aliases": aliases} if (aliases := aliases_of(name)) else {})


def explanation(kind: type[Schedule]) -> str:
    """How a kind is called, and its docstring."""
    return f"{signature(kind)}\n\n{inspect.cleandoc(kind.__doc__ or '')}"


def recipe_explanation(recipe: Recipe) -> str:
    """What a recipe is, where it is from, what its source leaves open, and which of its numbers may change."""
    stated = recipe.stated
    states = f"warmup {stated.warmup}; decay {stated.decay}; length {stated.length}; highest rate {stated.peak:g}"
    return "\n".join([*recipe_lines(recipe), f"Stated: {states}", "", *_parameter_lines(recipe)])


def recipe_lines(recipe: Recipe) -> Iterator[str]:
    """A recipe's title, its source, what had to be assumed, and what was changed."""
    source = recipe.source
    yield f"{recipe.name}: {recipe.title}"
    yield f"Source: {source.authors}, {source.title!r}, {source.year}, {source.identifier}; {source.where}"
    yield from (f"Assumed: {assumption}" for assumption in recipe.assumptions)
    if recipe.given:
        yield f"Changed: {written(recipe.given)}"


def _parameter_lines(recipe: Recipe) -> Iterator[str]:
    """How a recipe is typed with other numbers, and what each of them is."""
    peak, rate = next((name, found.default) for name, found in recipe.parameters.items() if not found.counts_steps)
    half = written({peak: rate / 2, "total_steps": recipe.parameters["total_steps"].default // 2})
    yield f"Parameters, as in 'lrtables show {recipe.name} {half}':"
    width = max(map(len, recipe.parameters))
    for name, parameter in recipe.parameters.items():
        default = f"{parameter.default:,}" if parameter.counts_steps else repr(parameter.default)
        scales = f"; scales with {parameter.scales_with}" if parameter.scales_with else ""
        unit = _rows(recipe) if name == "total_steps" else ""
        yield f"  {name:<{width}}  {parameter.says}{unit} (default {default}{scales})"
    yield "What scales keeps its share of the length, rounded to the nearest whole step, halves up, at least 1; a rate"
    yield "keeps its ratio. What is given stays as given. --steps cuts the table instead, and scales nothing."


def _rows(recipe: Recipe) -> str:
    return f", in rows of {recipe.spec.stride:,} {recipe.spec.axis}s" if recipe.spec.stride > 1 else ", in steps"


def recipe_description(recipe: Recipe) -> dict[str, object]:
    """A recipe as JSON data, without its spec."""
    fields = {"name", "title", "source", "stated", "assumptions", "parameters", "given"}
    return recipe.model_dump(mode="json", include=fields)
