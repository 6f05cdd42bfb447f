"""The gallery: recipes read from the JSON files beside this module.

A recipe says what its source states, what had to be assumed to make it a table, the values that the source gives at
its boundaries, and which of its numbers may change. The tests compare the curve with those values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from scheduler.fields import Fraction, Rate, Steps
from scheduler.messages.errors import ScheduleError
from scheduler.names.lookup import meant_by, near_to
from scheduler.recipes.parameters import NoRoomError, Parameter, filled, resolve, without_room, written
from scheduler.schedule import Schedule
from scheduler.spec import Spec


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
    parameters: dict[str, Parameter] = Field(description="the numbers that may change")
    formulas: dict[str, str] = Field(description="JSON pointer into the spec to the formula of the number there")
    given: dict[str, int | float] = Field({}, description="the parameters that this one was given")
    source: Source
    stated: Stated
    assumptions: tuple[str, ...] = Field(min_length=1, description="what the source leaves open, and how it is read")
    boundaries: tuple[Boundary, ...] = Field(min_length=2)

    @property
    def schedule(self) -> Schedule:
        """The schedule alone, without length and axis."""
        (schedule,) = self.spec.schedules
        return schedule

    def with_parameters(self, **given: float) -> Recipe:
        """The recipe with other numbers, by the names of its `parameters`; whatever was not given follows or stays.

        What scales with the length keeps its share, rounded to the nearest whole step, halves up, and at least 1; a
        rate that scales keeps its ratio. `source`, `stated` and `boundaries` stay those of the original. Raises
        `ScheduleError`, naming the parameter and the value.
        """
        if not given:
            return self
        values = resolve(self.name, self.parameters, given)
        changed = {name: values[name] for name in given}
        original = RECIPES[self.name].spec.model_dump(mode="json")
        try:
            data = json.dumps(filled(self.name, original, self.formulas, values))
        except NoRoomError as error:
            raise without_room(error, self.name, original, self.formulas, self.parameters, changed) from None
        try:
            spec = Spec.model_validate_json(data)
        except ScheduleError as error:
            told = str(error).removeprefix(f"{self.name}: ")
            raise ScheduleError(f"{self.name}: {written(changed)} makes no schedule: {told}") from None
        return self.model_copy(update={"spec": spec, "given": changed})


def _read() -> dict[str, Recipe]:
    """Every recipe by name, in the order of the names."""
    texts = (file.read_text("utf-8") for file in files("scheduler.recipes").iterdir() if file.name.endswith(".json"))
    recipes = sorted((Recipe.model_validate_json(text) for text in texts), key=lambda found: found.name)
    return {found.name: found for found in recipes}


RECIPES: Mapping[str, Recipe] = MappingProxyType(_read())
"""Name to recipe: `RECIPES["bert-base"]`."""


def recipe(name: str, /, **parameters: float) -> Recipe:
    """The recipe of this name, in any case, or of an alias; with these parameters in place of its own numbers.

    Raises `UnknownRecipeError`, which names close matches and all recipes; what `Recipe.with_parameters` raises.

    Example: `Table.compute(recipe("bert-base", base_lr=3e-4, total_steps=50_000).spec)`.
    """
    found = meant_by(name, RECIPES)
    if len(found) == 1:
        return RECIPES[found[0]].with_parameters(**parameters)
    close = near_to(name, RECIPES)
    advice = f"did you mean {' or '.join(close)}? " if close else ""
    raise UnknownRecipeError(f"there is no recipe called {name!r}: {advice}there are {', '.join(RECIPES)}")
