"""Random legal specs with parameters at the edges of their ranges, drawn from a seed: thousands per second.

They are read from each kind's JSON schema, so that a new kind is drawn without a line here. Unlike `strategies`, which
draws steps that a test can compute from 0, these go up to the largest step count there is.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

from pydantic import TypeAdapter

from scheduler import KINDS, Schedule, ScheduleError, Table, parse
from scheduler.compose import (
    Clamp,
    Constant,
    Cycle,
    Maximum,
    Minimum,
    PerEpoch,
    Product,
    Ramp,
    Scale,
    Sequence,
    Shift,
    Splice,
    Sum,
)
from scheduler.fields import MAX_STEP
from tests.support.schedules.strategies import SIMPLE, on_one_optimizer

SHORT = ("schedules", "schedulers")
"""Lists of parts: each is a schedule of its own, so that a few are enough."""
NAMED = "0" * 64
"""The digest of the table that Literals name."""
TABLES = {NAMED: Table({"lr": [0.1, 0.5, 0.0]})}
"""The tables that Literals refer to."""
WALKED = 10**5
"""Steps up to which a schedule is computed that must be stepped from 0."""


@cache
def _schema(kind: str) -> dict[str, Any]:
    return TypeAdapter(KINDS[kind]).json_schema()


def legal(kind: str, random: Random, depth: int = 1) -> Schedule:
    """A schedule of this kind. A composite's parts are of any kind, nested `depth` deep."""
    schema = _schema(kind)
    for _ in range(10_000):
        data = _Draw(random, schema.get("$defs", {})).value(schema, depth)
        try:
            schedule = parse(_agreeing(data))
        except ScheduleError:
            continue
        if not schedule.needs_previous:
            return schedule
    raise AssertionError(f"no legal {kind} in 10,000 draws")


def wrapped(schedule: Schedule, random: Random) -> list[Schedule]:
    """The schedule as a part of every composite, with parameters at the edges of theirs."""
    twice = [schedule] if schedule.column_names == ("lr",) else []  # only one part may drive momentum
    far = WALKED if schedule.is_stepped else MAX_STEP
    at, offset = random.choice([1, 2, 1000, far]), random.choice([-(10**8), -1, 0, 1, min(far, 10**8)])
    composites: list[Schedule] = [
        Sequence([schedule, Constant("previous")], [at]),
        Sequence([Constant(0.1), schedule, Ramp("previous", 0.0, at, "cosine")], [at, at]),
        *(algebra([schedule, Constant(random.random()), *twice]) for algebra in (Product, Sum, Minimum, Maximum)),
        Scale(schedule, random.choice([0.0, 5e-324, 0.5, 1.0, 1e6])),
        Clamp(schedule, 0.001, random.choice([0.001, 1.0, 1e6])),
        PerEpoch(schedule, random.choice([1, 2, 391, MAX_STEP])),
        Shift(schedule, offset),
        Cycle(schedule, at, count=random.choice([None, 1, 2, MAX_STEP]), amplitude=random.choice([5e-324, 0.5, 1.0])),
        Splice(schedule, at, Ramp("previous", 0.0, random.choice([1, 10, MAX_STEP]), "1-sqrt")),
    ]
    with suppress(ValueError):  # not made of lengths
        composites.append(Cycle(schedule, at, growth=random.choice([2, 3, 10]), amplitude=0.5))
    return composites


def _agreeing(data: Any) -> Any:
    """The data with as many lengths as its parts need, and what torch's composites share."""
    if not isinstance(data, dict):
        return data
    data = {
        name: [_agreeing(item) for item in value] if isinstance(value, list) else _agreeing(value)
        for name, value in data.items()
    }
    if "lengths" in data:
        data["lengths"] = (data["lengths"] * len(data["schedules"]))[: len(data["schedules"])]
    if "milestones" in data and "schedulers" in data:
        data["milestones"] = ((data["milestones"] or [1]) * len(data["schedulers"]))[: len(data["schedulers"]) - 1]
    return on_one_optimizer(data)


class _Draw:
    """Values that a schema describes."""

    def __init__(self, random: Random, definitions: dict[str, Any]) -> None:
        self._random = random
        self._definitions = definitions

    def value(self, schema: dict[str, Any], depth: int, name: str = "") -> Any:
        if "$ref" in schema:
            return self.value(self._definitions[schema["$ref"].rpartition("/")[2]], depth)
        if "oneOf" in schema:
            return self._part(schema["oneOf"], depth)
        if "anyOf" in schema:
            return self.value(self._random.choice(schema["anyOf"]), depth, name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        match schema["type"]:
            case "object":
                return self._object(schema, depth)
            case "array":
                most = 3 if name in SHORT else self._random.choice([1, 3, 100])
                count = self._random.randint(schema.get("minItems", 0), min(schema.get("maxItems", most), most))
                return [self.value(schema["items"], depth) for _ in range(count)]
            case "integer":
                return self._integer(schema.get("minimum", 0), schema.get("maximum", MAX_STEP))
            case "number":
                return self._number(schema)
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
        return NAMED if "pattern" in schema else "lr"

    def _part(self, choices: list[dict[str, Any]], depth: int) -> Any:
        named = {choice["$ref"].rpartition("/")[2]: choice for choice in choices}
        if depth <= 0:
            simple = [named[name] for name in SIMPLE if name in named]
            leaves = [choice for name, choice in named.items() if "schedule" not in str(self._definitions[name])]
            choices = simple or leaves
        return self.value(self._random.choice(choices), depth - 1)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        required = {*schema.get("required", ()), "kind"}
        return {
            name: self.value(part, depth, name)
            for name, part in schema["properties"].items()
            if name in required or self._random.random() < 0.5
        }

    def _integer(self, low: int, high: int) -> int:
        random = self._random
        edges = [low, low + 1, low + 2, high - 1, high]
        near = random.randint(low, min(high, low + 100))
        spread = low + int((high - low + 1.0) ** random.random()) - 1
        return random.choice([random.choice(edges), near, spread, spread])

    def _number(self, schema: dict[str, Any]) -> float:
        random = self._random
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1e6))
        high = schema.get("maximum", 1e6)
        inside = math.nextafter(low, math.inf)
        edges = [inside, math.nextafter(high, low), high, *([low] if "minimum" in schema else [])]
        usual = [value for value in (1e-300, 1e-5, 1e-3, 0.1, 0.5, 0.9, 1.0, 2.5, 10.0) if low < value < high]
        spread = [low + (high - low) * 10 ** random.uniform(-12, 0), random.uniform(low, high)]
        return float(random.choice([random.choice(edges), random.choice(usual or edges), random.choice(spread)]))
