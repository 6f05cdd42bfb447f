"""Parameters of a recipe: which of its numbers may change, and how the others follow.

What scales with the length keeps its share of it: its default times the new length, divided by the default length,
rounded to the nearest whole step, halves up, and at least 1. A rate that scales keeps its ratio. A parameter that is
given is taken as it is.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from scheduler.fields import MAX_STEP, coerce_float, coerce_int
from scheduler.messages.errors import ScheduleError
from scheduler.numerics.rates import MAX_RATE
from scheduler.recipes.formulas import evaluate, ratio, scaled
from scheduler.texts import abbreviate, near_names

LENGTH = "total_steps"
"""The parameter of a recipe that is its length."""

_LOOKED_AT = 64  # steps


class Parameter(BaseModel):
    """A number of a recipe that may change: a count of steps where its default is whole, else a rate."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    default: int | float = Field(description="value in the recipe")
    says: str = Field(description="what it is, in a few words")
    scales_with: str | None = Field(None, description="the parameter that it keeps its share of")

    @property
    def counts_steps(self) -> bool:
        """Whether it is a count of steps, and no rate."""
        return isinstance(self.default, int)


class NoRoomError(ScheduleError):
    """The parts of a recipe do not fit into its length: one of them would have no step."""


def resolve(owner: str, parameters: Mapping[str, Parameter], given: Mapping[str, object]) -> dict[str, float]:
    """The value of every parameter: as given, else its default, scaled where what it scales with was given.

    Raises `ScheduleError`, naming the owner, the parameter and the value.
    """
    for name in given:
        if name not in parameters:
            near = near_names(name, parameters)
            advice = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(parameters)}"
            raise ScheduleError(f"{owner} has no parameter {abbreviate(name)}: {advice}")
    values = {name: _checked(f"{owner}: {name}", parameters[name], value) for name, value in given.items()}
    return {name: values[name] if name in values else _followed(name, parameters, values) for name in parameters}


def filled(
    owner: str, spec: Mapping[str, Any], formulas: Mapping[str, str], values: Mapping[str, float]
) -> dict[str, Any]:
    """The JSON data of a spec with each number that has a formula computed by it.

    Args:
        owner: the recipe, for errors.
        spec: JSON data, which stays as it is.
        formulas: JSON pointer to the number's formula.
        values: of the parameters.

    Raises `NoRoomError` where a number of steps is none: where the parts do not fit into the length.
    """
    changed = copy.deepcopy(dict(spec))
    for pointer, formula in formulas.items():
        place, key = _place(changed, pointer)
        place[key] = _number(owner, formula, values, like=place[key])
    return changed


def without_room(
    error: NoRoomError,
    owner: str,
    spec: Mapping[str, Any],
    formulas: Mapping[str, str],
    parameters: Mapping[str, Parameter],
    given: Mapping[str, float],
) -> ScheduleError:
    """The error that says how long the recipe must be for its parts, or which other number is too small.

    `given` are the parameters that led to `error`; the others are as in `filled`. Where no number of steps would do,
    the error is `error` itself.
    """

    def fits(name: str, steps: int) -> bool:
        try:
            filled(owner, spec, formulas, resolve(owner, parameters, {**given, name: steps}))
        except NoRoomError:
            return False
        return True

    values = resolve(owner, parameters, given)
    for name in dict.fromkeys((LENGTH, *given)):
        if name in parameters and parameters[name].counts_steps and (least := _least(name, int(values[name]), fits)):
            others = {other: given[other] for other in given if other != name and parameters[other].counts_steps}
            beside = f" with {written(others)}" if others else ""
            got = values[name] if name in given else f"{values[name]}, as in the recipe"
            return ScheduleError(
                f"{owner}: {name} must be at least {least}{beside}, got {got}: each part needs a step of its own"
            )
    return error


def _least(name: str, short: int, fits: Callable[[str, int], bool]) -> int | None:
    """The number of steps above one that is too small, from which on all fit; None where none does.

    Shares that are rounded may fit, not fit and fit again, within the few steps that are looked at one by one.
    """
    high = 2 * short
    while not fits(name, high):
        short, high = high, 2 * high
        if high > MAX_STEP:
            return None
    while high - short > 1:
        middle = (short + high) // 2
        short, high = (short, middle) if fits(name, middle) else (middle, high)
    last = max((steps for steps in range(high, high + _LOOKED_AT) if not fits(name, steps)), default=short)
    return last + 1


def written(parameters: Mapping[str, float]) -> str:
    """Parameters as they are typed: `base_lr=0.0003 total_steps=50000`."""
    return " ".join(f"{name}={json.dumps(value)}" for name, value in parameters.items())


def _checked(place: str, parameter: Parameter, value: object) -> float:
    if parameter.counts_steps:
        count = coerce_int(value)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_STEP:
            raise ScheduleError(f"{place} must be a whole number from 1 to {MAX_STEP:,}, got {abbreviate(value)}")
        return count
    rate = coerce_float(value)
    if not isinstance(rate, float) or not 0 <= rate <= MAX_RATE:
        raise ScheduleError(f"{place} must be a number from 0 to {MAX_RATE:g}, got {abbreviate(value)}")
    return rate


def _followed(name: str, parameters: Mapping[str, Parameter], values: Mapping[str, float]) -> float:
    parameter = parameters[name]
    if parameter.scales_with is None or parameter.scales_with not in values:
        return parameter.default
    whole, now = parameters[parameter.scales_with].default, values[parameter.scales_with]
    if isinstance(parameter.default, int) and isinstance(whole, int) and isinstance(now, int):
        return max((2 * parameter.default * now + whole) // (2 * whole), 1)
    return scaled(parameter.default, ratio(now, whole))


def _place(data: Any, pointer: str) -> tuple[Any, str | int]:
    """The list or object that holds the number of a JSON pointer, and its index or key there."""
    *parents, last = pointer.removeprefix("/").split("/")
    for part in parents:
        data = data[int(part) if isinstance(data, list) else part]
    return data, int(last) if isinstance(data, list) else last


def _number(owner: str, formula: str, values: Mapping[str, float], *, like: float) -> float:
    found = evaluate(formula, values)
    if isinstance(like, float):
        return float(found)
    if found < 1:
        used = {name: value for name, value in values.items() if name in formula.split()}
        raise NoRoomError(f"{owner}: {formula} must be at least 1, got {found}, with {written(used)}")
    return int(found)
