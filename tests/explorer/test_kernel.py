"""The kernel in JavaScript has the bits, the names and the boundaries that Python has."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scheduler import ScheduleWarning, Spec
from scheduler.fields import MAX_STEP, Values
from scheduler.recipes import RECIPES
from scheduler.spec import stated_length
from tests.explorer.node import compute
from tests.explorer.specs import ALL, Drawn, drawn
from tests.support.node import KERNEL
from tests.support.schedules.golden import ENTRIES

COUNT = int(os.environ.get("LRTABLES_SPECS", "400"))
"""Random specs in all: CI takes 10,000."""
SHARES = 4
"""Tests that draw them, side by side."""


def failing(kernel: Path = KERNEL) -> list[Any]:
    """The golden specs whose digest the kernel does not find."""
    answers = compute([entry["spec"] for entry in ENTRIES], kernel)
    return [
        entry["spec"]["schedule"]
        for entry, found in zip(ENTRIES, answers, strict=True)
        if found.get("digest") != entry["digest"]
    ]


def test_every_golden_digest_is_found() -> None:
    """Each golden table has the digest in JavaScript that it has in Python."""
    assert failing() == []


def test_every_recipe_has_the_digest_of_python() -> None:
    """Each recipe's table, id and canonical spec are the same in both languages; none of them is a preview."""
    recipes = [recipe.spec for recipe in RECIPES.values()]
    answers = compute([recipe.model_dump(mode="json") for recipe in recipes])
    assert [found["id"] for found in answers] == [recipe.id for recipe in recipes]
    assert [found["canonical"] for found in answers] == [recipe.canonical() for recipe in recipes]
    exact = [(found["digest"], recipe) for found, recipe in zip(answers, recipes, strict=True) if is_exact(found)]
    assert len(exact) > len(recipes) // 2
    assert [recipe.canonical() for digest, recipe in exact if digest != recipe.table().digest] == []


def is_exact(found: dict[str, Any]) -> bool:
    exactness: str = found["exactness"]
    return exactness == "exact"


@pytest.mark.parametrize("share", range(SHARES))
def test_random_specs_are_the_same_in_both_languages(share: int) -> None:
    """Specs of every kind have the same id, JSON and boundaries; exact ones the same digest, previews are near."""
    specs = drawn(ALL, COUNT // SHARES, number=share)
    answers = compute([each.data for each in specs])
    assert [told for each, found in zip(specs, answers, strict=True) if (told := difference(each, found))] == []


def difference(each: Drawn, found: dict[str, Any]) -> dict[str, Any]:
    """What the kernel found otherwise than Python; nothing where they agree."""
    spec, table = each.spec, each.table
    rows = {row for schedule in spec.every_schedule() for row in schedule.boundaries(spec.total_steps)}
    expected = {
        "boundaries": sorted(rows),
        "canonical": spec.canonical(),
        "columns": list(table.columns),
        "id": spec.id,
        "stated": bounded(stated_length(spec.schedules)),
    }
    found = {**found, "stated": bounded(found.get("stated"))}
    if "error" in found or is_exact(found):
        expected["digest"] = table.digest
    elif not all(is_near(found["sample"][name], values) for name, values in table.columns.items()):
        return {"preview": each.data}
    return {
        name: (found.get(name, found), value, each.data) for name, value in expected.items() if found.get(name) != value
    }


@pytest.mark.parametrize("kind", ["Minimum", "Maximum"])
def test_of_equal_values_the_right_one_is_taken(kind: str) -> None:
    """Which of 0.0 and -0.0 is taken is the same in both languages."""
    below = {"kind": "torch.LinearLR", "base_lr": 0.0, "start_factor": 0.1, "end_factor": 0.0, "total_iters": 354}
    parts = [below, {"kind": "Constant", "value": 0.0}]
    specs = [{"schedule": {"kind": kind, "schedules": each}, "total_steps": 354 + 9} for each in (parts, parts[::-1])]
    with warnings.catch_warnings(action="ignore", category=ScheduleWarning):
        digests = [Spec.model_validate(spec).table().digest for spec in specs]
    assert len({*digests}) == 2
    assert [found["digest"] for found in compute(specs)] == digests


def bounded(length: int | None) -> int | None:
    """A stated length, or what is longer than any table: there JavaScript has a rounded number."""
    return length and min(length, MAX_STEP + 1)


def is_near(preview: list[float], values: Values) -> bool:
    """Whether a preview's rounding, which recurrences and a cosine's zeros enlarge, is all that it differs by."""
    return float(np.abs(np.array(preview) - values).max()) <= 1e-9 * float(np.abs(values).max())


ONE_BIT = [
    ("numerics/cosine.js", "return ratio((order", "return (1 + 2 ** -52) * ratio((order"),
    ("numerics/double_double.js", "result[0] = product + error", "result[0] = product"),
    ("numerics/portable.js", "* span + anchor;", "* span * (1 + 2 ** -52) + anchor;"),
    ("numerics/power_law.js", "const CENTRE = (ROW - 1) / 2", "const CENTRE = ROW / 2"),
    ("numerics/shapes.js", "const LN2_LOW = toNumber", "const LN2_LOW = (1 + 2 ** -20) * toNumber"),
    ("sha256.js", "0x80;", "0x81;"),
]


@pytest.mark.parametrize(("module", "line", "changed"), ONE_BIT, ids=[module for module, _, _ in ONE_BIT])
def test_a_change_of_one_bit_is_found(module: str, line: str, changed: str, tmp_path: Path) -> None:
    """A kernel in which the last bit of one number is another does not find the golden digests."""
    kernel = tmp_path / "kernel"
    shutil.copytree(KERNEL, kernel)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    text = (kernel / module).read_text()
    assert text.count(line) == 1
    (kernel / module).write_text(text.replace(line, changed))
    assert failing(kernel)
