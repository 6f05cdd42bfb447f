"""The gallery: recipes read from the JSON files beside this module.

A recipe says what its source states, what had to be assumed to make it a table, and the values that the source gives
at its boundaries. The tests compare the curve with those values.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from scheduler.fields import Fraction, Rate, Steps
from scheduler.schedule import Schedule
from scheduler.spec import Spec
from scheduler.texts import near_names


class UnknownRecipeError(LookupError):
    """A name that no recipe has; the message lists the names that are close to it, and all others."""


class _Part(BaseModel):
    """Base of every part of a recipe: a frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Part):
    """The source of a recipe."""

    title: str = Field(description="title of the paper")
    authors: str
    year: int
    identifier: str = Field(description="the paper's number, such as arXiv:1706.03762")
    where: str = Field(description="section, table or file with the numbers")


class Stated(_Part):
    """A statement of the source, in its own units."""

    peak: Rate = Field(description="the highest rate")
    warmup: str
    decay: str
    length: str


class Boundary(_Part):
    """A value that the source gives for the rate in force during update, or row, `step`; `total_steps` is the end."""

    step: Steps
    lr: Rate
    says: str = Field(description="the words of the source, shortened")
    within: Fraction = Field(0.0, description="relative precision; 0: equal, bit for bit")


class Recipe(_Part):
    """A named schedule with its length and axis, its source and the proof that it is the source's curve."""

    name: str = Field(pattern="^[a-z0-9]+([-.][a-z0-9]+)*$")
    title: str
    spec: Spec
    source: Source
    stated: Stated
    assumptions: tuple[str, ...] = Field(min_length=1, description="what the source leaves open, and how it is read")
    boundaries: tuple[Boundary, ...] = Field(min_length=2)

    @property
    def schedule(self) -> Schedule:
        """The schedule alone, without length and axis."""
        (schedule,) = self.spec.schedules
        return schedule


def _read() -> dict[str, Recipe]:
    """Every recipe by name, in the order of the names."""
    texts = (file.read_text("utf-8") for file in files("scheduler.recipes").iterdir() if file.name.endswith(".json"))
    recipes = sorted((Recipe.model_validate_json(text) for text in texts), key=lambda found: found.name)
    return {found.name: found for found in recipes}


RECIPES: Mapping[str, Recipe] = MappingProxyType(_read())
"""Name to recipe: `RECIPES["bert-base"]`."""


def recipe(name: str) -> Recipe:
    """The recipe of this name. Raises `UnknownRecipeError`, which names close matches and all recipes.

    Example: `Table.compute(recipe("gpt-3-175b").spec)`.
    """
    if name in RECIPES:
        return RECIPES[name]
    close = near_names(name.lower(), RECIPES)
    advice = f"did you mean {' or '.join(close)}? " if close else ""
    raise UnknownRecipeError(f"there is no recipe called {name!r}: {advice}there are {', '.join(RECIPES)}")
