"""A recipe's numbers that may change: what was not given keeps its share, and the defaults give the recipe itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from scheduler import ScheduleError, Table
from scheduler.recipes import RECIPES, Recipe, recipe
from scheduler.recipes.formulas import evaluate
from scheduler.recipes.parameters import filled, resolve

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text("utf-8"))

every_recipe = pytest.mark.parametrize("found", RECIPES.values(), ids=RECIPES)


def peak_of(found: Recipe) -> str:
    """The parameter that is the recipe's highest rate: the first of its rates."""
    return next(name for name, parameter in found.parameters.items() if not parameter.counts_steps)


def changed(found: Recipe, **parameters: float) -> Recipe:
    return recipe(found.name, **parameters)


@every_recipe
def test_without_parameters_a_recipe_is_what_it_always_was(found: Recipe) -> None:
    """A recipe has the spec and the digest that are written down, and no parameters are no change."""
    assert {"spec_id": found.spec.id, "digest": Table.compute(found.spec).digest} == GOLDEN[found.name]
    assert recipe(found.name.upper()) is found
    assert found.given == {}


@every_recipe
def test_the_formulas_give_the_recipe(found: Recipe) -> None:
    """With its defaults, written out or not, every formula gives the number that stands in the recipe's file."""
    spec = found.spec.model_dump(mode="json")
    assert filled(found.name, spec, found.formulas, resolve(found.name, found.parameters, {})) == spec
    defaults = {name: parameter.default for name, parameter in found.parameters.items()}
    assert changed(found, **defaults).spec.id == found.spec.id


@every_recipe
def test_its_parameters_are_those_of_its_curve(found: Recipe) -> None:
    """Every recipe can change its highest rate and its length; each parameter is used, and says what it is."""
    assert found.parameters[peak_of(found)].default == found.stated.peak
    assert found.parameters["total_steps"].default == found.spec.total_steps
    used = {word for formula in found.formulas.values() for word in re.findall(r"[a-z]\w*", formula)} - {"sqrt"}
    assert used == found.parameters.keys()
    assert all(parameter.says for parameter in found.parameters.values())


@every_recipe
def test_twice_the_length_is_the_same_curve_stretched(found: Recipe) -> None:
    """With twice the steps, row 2k has the rate of row k: to 1/4,000 of the peak, where a formula counts from 1."""
    longer = Table.compute(changed(found, total_steps=2 * found.spec.total_steps).spec)
    assert longer.total_steps == 2 * found.spec.total_steps
    assert np.abs(longer.lr[::2] - Table.compute(found.spec).lr).max() <= found.stated.peak / 4000


@every_recipe
def test_another_length_keeps_the_form(found: Recipe) -> None:
    """In 5,000 steps a recipe still reaches its peak and ends where it ended, to a share of a step."""
    other = Table.compute(changed(found, total_steps=5000).spec)
    full = Table.compute(found.spec)
    assert other.total_steps == 5000
    assert other.lr.max() == found.stated.peak
    assert abs(other.lr[-1] - full.lr[-1]) <= found.stated.peak / 50


@every_recipe
def test_the_highest_rate_is_the_given_one(found: Recipe) -> None:
    """The highest rate of the table is the one given, bit for bit, and no other length changes."""
    rate = found.stated.peak * 3
    table = Table.compute(changed(found, **{peak_of(found): rate}).spec)
    assert (table.lr.max(), table.total_steps) == (rate, found.spec.total_steps)


@pytest.mark.parametrize(
    ("total_steps", "warmup_steps"),
    [
        pytest.param(50_000, 500, id="whole"),
        pytest.param(50, 1, id="half-goes-up"),
        pytest.param(49, 1, id="at-least-one"),
        pytest.param(149, 1, id="down"),
        pytest.param(150, 2, id="half-goes-up-again"),
    ],
)
def test_a_length_is_rounded_to_the_nearest_step(total_steps: int, warmup_steps: int) -> None:
    """BERT's warmup is a hundredth of its training: rounded to the nearest step, halves up, at least 1."""
    found = recipe("bert-base", total_steps=total_steps).spec.model_dump(mode="json")["schedule"]
    assert found["lengths"] == [warmup_steps]
    assert [part["length"] for part in found["schedules"]] == [warmup_steps, total_steps - warmup_steps]


def test_what_is_given_stays_as_given() -> None:
    """A warmup that is given does not scale; a floor scales with the peak unless it is given, and stays a tenth."""
    llama = recipe("llama-2-7b", base_lr=6e-4, total_steps=10_000, warmup_steps=2000)
    assert llama.spec.model_dump(mode="json")["schedule"]["lengths"] == [2000]
    assert (llama.given, llama.schedule.get_lr(10_000)) == (
        {"base_lr": 6e-4, "total_steps": 10_000, "warmup_steps": 2000},
        6e-5,
    )
    assert recipe("llama-2-7b", base_lr=6e-4, min_lr=1e-6).schedule.get_lr(500_000) == 1e-6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"base_rl": 1}, "bert-base has no parameter 'base_rl': did you mean base_lr?", id="near"),
        pytest.param({"gamma": 1}, "no parameter 'gamma': it has base_lr, total_steps, warmup_steps", id="unknown"),
        pytest.param({"base_lr": "x"}, "bert-base: base_lr must be a number from 0 to 1e+12, got 'x'", id="no-number"),
        pytest.param({"base_lr": 1e300}, "bert-base: base_lr must be a number from 0 to 1e+12, got 1e+300", id="huge"),
        pytest.param({"base_lr": float("nan")}, "base_lr must be a number from 0 to 1e+12, got nan", id="nan"),
        pytest.param({"total_steps": 1.5}, "total_steps must be a whole number from 1 to", id="no-whole-number"),
        pytest.param({"total_steps": True}, "total_steps must be a whole number from 1 to", id="bool"),
        pytest.param(
            {"total_steps": 50, "warmup_steps": 100},
            "bert-base: total_steps must be at least 101 with warmup_steps=100, got 50: each part needs a step",
            id="no-room",
        ),
        pytest.param(
            {"warmup_steps": 2_000_000},
            "total_steps must be at least 2000001 with warmup_steps=2000000, got 1000000, as in the recipe: each part",
            id="too-long-a-part",
        ),
    ],
)
def test_bad_parameters_are_refused_by_name(given: dict[str, float], message: str) -> None:
    """A parameter that a recipe lacks, or that cannot be, is refused with the recipe, the parameter and the value."""
    with pytest.raises(ScheduleError, match=re.escape(message)):
        recipe("BERT-base", **given)


@every_recipe
def test_the_length_that_a_short_recipe_asks_for_is_enough(found: Recipe) -> None:
    """A recipe that is too short names its own parameter, the value, and the length from which on all are enough."""
    short = 0
    for steps in range(1, 60):
        try:
            recipe(found.name, total_steps=steps)
        except ScheduleError as error:
            told = re.fullmatch(
                rf"{found.name}: total_steps must be at least (\d+), got {steps}: each part .*", str(error)
            )
            assert told is not None
            short, enough = steps, int(told[1])
            assert enough > steps
            assert recipe(found.name, total_steps=enough).spec.total_steps == enough
    assert short == 0 or enough == short + 1


def test_a_part_that_is_too_short_names_itself() -> None:
    """Where no length would do, the number that is too small says how large it must be."""
    with pytest.raises(ScheduleError, match=r"convnext-tiny: warmup_steps must be at least 2, got 1: each part needs"):
        recipe("convnext-tiny", warmup_steps=1)


@pytest.mark.parametrize("formula", ["rate ** 2", "other", "abs(rate)", "rate.real", "sqrt(rate, rate)", "'rate'"])
def test_a_formula_is_arithmetic_alone(formula: str) -> None:
    """A formula has names, numbers, + - * / and sqrt; anything else is refused."""
    with pytest.raises(ValueError, match="no formula of rate"):
        evaluate(formula, {"rate": 0.1})


def test_a_formula_is_computed_in_decimals() -> None:
    """A tenth of 0.0003 is 0.00003, not the float beside it; a root is that of the decimal number."""
    assert float(evaluate("rate / 10", {"rate": 3e-4})) == 3e-5 != 3e-4 * 0.1
    assert float(evaluate("rate * sqrt(steps)", {"rate": 0.5, "steps": 4})) == 1.0
