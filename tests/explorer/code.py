"""Specs of the libraries' kinds, and the code that the page offers for them."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

import torch

from scheduler import KINDS, Spec
from tests.explorer.node import run
from tests.explorer.specs import Drawn, collect

OF_EACH = 8
"""Draws of each kind."""
ROWS = 120
"""Rows at most of a table whose real scheduler is stepped."""


def offered(specs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The page's code for each spec, by the name of its place."""
    found: list[dict[str, str]] = json.loads(
        run("snippets.mjs", text="".join(json.dumps(each) + "\n" for each in specs))
    )
    return found


@cache
def of_library(prefix: str) -> list[dict[str, Any]]:
    """Specs of each kind of a library, as users write them: some without what is the default, some per group."""
    choose = random.Random(prefix)
    kinds = [kind for kind in KINDS if kind.startswith(prefix)]
    found: dict[str, Drawn] = {}
    for number, kind in enumerate(kinds):
        collect(found, [kind], OF_EACH, number)
    return [varied(each.data, choose) for each in found.values()]


def varied(data: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """A spec of one row for each step, at most so many rows, mostly of one group."""
    schedule = data["schedule"][0] if isinstance(data["schedule"], list) else data["schedule"]
    if choose.random() < 0.5:
        schedule = without_defaults(schedule)
    stated = schedule.get("num_training_steps")
    steps = stated if stated and stated < 5000 and choose.random() < 0.9 else min(data["total_steps"], ROWS)
    groups = [schedule, other_rate(schedule)] if choose.random() < 0.2 else schedule
    return {"schedule": groups, "total_steps": steps, "after": choose.choice(["hold", "error"])}


def without_defaults(schedule: dict[str, Any]) -> dict[str, Any]:
    kind: Any = KINDS[schedule["kind"]]
    defaults = {field.name: field.default for field in fields(kind)}
    kept = {name: value for name, value in schedule.items() if name == "kind" or value != defaults[name]}
    if "schedulers" in kept:
        kept["schedulers"] = [without_defaults(each) for each in kept["schedulers"]]
    return kept


def other_rate(schedule: dict[str, Any]) -> dict[str, Any]:
    """The schedule of another group, on a tenth of the rate that it reads."""
    changed = {name: value / 10 if name in ("base_lr", "warmup_max_lr") else value for name, value in schedule.items()}
    if "schedulers" in changed:
        changed["schedulers"] = [other_rate(each) for each in changed["schedulers"]]
    return changed


def with_code(specs: list[dict[str, Any]], place: str) -> Iterator[tuple[Spec, str]]:
    """Each spec that has code for a place, with the code."""
    for spec, codes in zip(specs, offered(specs), strict=True):
        if place in codes:
            yield Spec.model_validate_json(json.dumps(spec)), codes[place]


def made_by(code: str, spec: Spec, steps: int = 0) -> Any:
    """The scheduler of torch's that code makes, after so many steps; it has its optimizer."""
    groups = [[torch.nn.Parameter(torch.zeros(1))] for _ in spec.schedules]
    names: dict[str, Any] = {"groups": groups, "model": torch.nn.Linear(1, 1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: of a step that no optimizer took, of a deprecated argument
        exec(compile(code, "torch", "exec"), names)
        for _ in range(steps):
            names["scheduler"].step()
    names["scheduler"].optimizer = names["optimizer"]  # a ChainedScheduler of older versions has none
    return names["scheduler"]
