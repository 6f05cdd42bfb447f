"""Hypothesis strategies for every kind, read from its JSON schema: a new kind is tested without a line here."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st
from pydantic import TypeAdapter

from scheduler import KINDS, Schedule, ScheduleError, TableError, parse
from scheduler.numerics.rates import first_bad_rate

MAX_STEPS = 3000
"""Step counts drawn for parameters: enough for several rows and columns of every grid."""


SIMPLE = ("Constant", "Ramp", "LinearWarmup")
"""The kinds at the bottom of drawn compositions."""


@lru_cache
def schedules(kind: str, depth: int = 1, *, rates_only: bool = True) -> st.SearchStrategy[Schedule]:
    """Schedules of one kind, with parameters from the whole of their ranges; what the kind refuses is not drawn.

    A composite's parts are of any kind, nested `depth` deep. Schedules whose rates leave the range of rates in the
    first steps, which no table can have, are drawn only without `rates_only`.
    """
    schema = TypeAdapter(KINDS[kind]).json_schema()

    def build(data: dict[str, Any]) -> Schedule:
        try:
            schedule = parse(on_one_optimizer(data))
        except ScheduleError:
            reject()
            raise
        if schedule.needs_previous:  # only its place in a composition gives it values
            reject()
        if rates_only and not _stays_a_rate(schedule):
            reject()
        return schedule

    return _Described(schema.get("$defs", {})).value(schema, depth).map(build)


def _stays_a_rate(schedule: Schedule) -> bool:
    try:
        return first_bad_rate(schedule.values(2 * MAX_STEPS)) is None
    except TableError:
        return False


def on_one_optimizer(data: Any) -> Any:
    """The same data, where the members of a composite of torch's all start from one rate, as they do in torch."""
    if not isinstance(data, dict) or "schedulers" not in data:
        return data
    members = [on_one_optimizer(member) for member in data["schedulers"]]
    agreed = [{**member, "base_lr": 0.1} if "base_lr" in member else member for member in members]
    ordered = {"milestones": sorted(data["milestones"])[: len(agreed) - 1]} if "milestones" in data else {}
    return {**data, "schedulers": agreed, **ordered}


class _Described:
    """What JSON schemas describe.

    A definition has one strategy for each depth: made anew in each draw, it would take most of the time of the draw.
    """

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._named: dict[tuple[str, int], st.SearchStrategy[Any]] = {}

    def value(self, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
        """Any JSON value that a schema describes."""
        if "$ref" in schema:
            return self._definition(schema["$ref"].rpartition("/")[2], depth)
        if "oneOf" in schema:
            return self._part(schema["oneOf"], depth)
        if "anyOf" in schema:
            return st.one_of([self.value(choice, depth) for choice in schema["anyOf"]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                items = self.value(schema["items"], depth)
                return st.lists(items, min_size=schema.get("minItems", 0), max_size=min(schema.get("maxItems", 3), 3))
            case "integer":
                low = max(schema.get("minimum", 0), -MAX_STEPS)
                return st.integers(low, min(schema.get("maximum", MAX_STEPS), MAX_STEPS))
            case "number":
                return _number(schema)
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case "string":  # the name of a column, or the digest of a table that nobody would have
                return st.just("lr") if re.search(schema.get("pattern", ""), "lr") else st.nothing()
        raise AssertionError(f"no strategy for {schema}")

    def _definition(self, name: str, depth: int) -> st.SearchStrategy[Any]:
        if (name, depth) not in self._named:
            self._named[name, depth] = st.deferred(lambda: self.value(self._definitions[name], depth))
        return self._named[name, depth]

    def _part(self, choices: list[dict[str, Any]], depth: int) -> st.SearchStrategy[Any]:
        """A part of a composite: any kind, and where the depth is used up one that has no parts."""
        if depth == 0:
            named = {choice["$ref"].rpartition("/")[2]: choice for choice in choices}
            leaves = [choice for name, choice in named.items() if "$ref" not in json.dumps(self._definitions[name])]
            choices = [named[name] for name in SIMPLE if name in named] or leaves
        return st.sampled_from(choices).flatmap(lambda choice: self.value(choice, max(depth - 1, 0)))

    def _object(self, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
        properties = {name: self.value(part, depth) for name, part in schema["properties"].items()}
        required = {*schema.get("required", ()), "kind"}
        return st.fixed_dictionaries(
            {name: value for name, value in properties.items() if name in required},
            optional={name: value for name, value in properties.items() if name not in required},
        )


def _number(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", -1e6)), schema.get("maximum", 1e6)
    whole = st.one_of(
        [
            st.floats(
                low,
                top,
                exclude_min="exclusiveMinimum" in schema,
                allow_nan=False,
                allow_infinity=False,
                allow_subnormal=False,
            )
            for top in (min(high, max(1e3, low)), high)
        ]
    )
    usual = [value for value in (1e-5, 1e-3, 0.1, 0.5, 0.9, 1.0) if low <= value <= high]
    return st.one_of(st.sampled_from(usual), whole) if usual else whole
