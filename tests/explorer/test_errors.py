"""The kernel refuses what Python refuses, at the same place and in the same words."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from scheduler import ScheduleError, Spec
from scheduler.names.aliases import ALIASES, NO_SCHEDULES
from tests.explorer.node import compute, run
from tests.explorer.specs import ALL, drawn
from tests.support.node import KERNEL

SPECS = 150
"""Valid specs that are spoilt."""
SPOILT = 4
"""Times that each is."""
WRONG: list[Any] = [
    -1,
    0,
    1.5,
    "x",
    "a'b",
    True,
    None,
    [],
    {},
    -0.25,
    10**13,
    2**53,
    -(10**18),
    2**60,
    1e25,
    "previous",
    "\n",
    3,
    "0.1",
    "1e-3",
    "1E5",
]
"""Values that JSON tells from all others: that a number was written 1.0 is lost where JavaScript reads it."""

LEAST = f"{Decimal('1e-100'):f}"
"""How pydantic writes the least rate that something is divided by."""


def test_what_python_refuses_is_refused_in_its_words() -> None:
    """Spoilt specs have the same problems in both languages: the pointers, and the lines for people."""
    specs = [spec for each in drawn(ALL, SPECS, number=99) for spec in spoilt(each.data)]
    found = [told(answer) for answer in compute(specs)]
    expected = [refusal(spec) for spec in specs]
    assert sum(map(bool, expected)) > len(specs) // 2
    pairs = zip(specs, found, expected, strict=True)
    assert [(here, there, spec) for spec, here, there in pairs if here != there] == []


def test_names_that_people_type_get_the_same_advice() -> None:
    """Aliases, near names of them and of kinds, and schedulers that are no schedules: said as Python says it."""
    names = [
        *ALIASES,
        *NO_SCHEDULES,
        *(f"{alias}s" for alias in ALIASES),
        *(f"x.{name.upper()}" for name in NO_SCHEDULES),
    ]
    names += ["torch.OneCycle", "warm-restart", "a.b.wsd", "Lambda", "", "cosine.annealing", "trapezoid", "1-cycle"]
    specs = [{"schedule": {"kind": name, "value": 1}, "total_steps": 10} for name in names]
    specs += [
        {"schedule": {"kind": "Scale", "schedule": spec["schedule"], "factor": 2}, "total_steps": 10} for spec in specs
    ]
    pairs = [(here, refusal(spec)) for here, spec in zip(map(told, compute(specs)), specs, strict=True)]
    assert [(here, there) for here, there in pairs if here != there] == []
    assert json.loads(run("names.mjs", str(KERNEL))) == [dict(ALIASES), dict(NO_SCHEDULES)]


def spoilt(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Copies of a spec, one value of each replaced, removed or added."""
    choose = random.Random(json.dumps(data))
    for _ in range(SPOILT):
        spec = copy.deepcopy(data)
        holder, key = choose.choice(list(places(spec)))
        match choose.randrange(5):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[choose.choice([f"{key}s", "unknown", "warmup"])] = choose.choice(WRONG)
            case _:
                holder[key] = choose.choice(WRONG)
        yield spec


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every object and list of a spec, with each of its keys."""
    items = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    for key, value in items:
        yield data, key
        yield from places(value)


def refusal(spec: Any) -> list[tuple[str, str]]:
    """The pointer and the line of each problem that Python finds."""
    try:
        Spec.model_validate_json(json.dumps(spec))
    except ScheduleError as error:
        pointers = dict.fromkeys("".join(f"/{part}" for part in problem.path) for problem in error.problems)
        lines = [line.removeprefix("Spec: ").replace(LEAST, "1e-100") for line in str(error).split("\n")]
        return sorted(zip(pointers, lines, strict=True))
    return []


def told(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """The same of the kernel."""
    if answer.get("error") == "SpecError":
        return sorted((problem["pointer"], problem["message"]) for problem in answer["problems"])
    return []
