"""The gallery: every recipe is its source's curve, says so, and travels in the wheel."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import scheduler.recipes
from scheduler import Spec, Table
from scheduler.recipes import RECIPES, Recipe, UnknownRecipeError, recipe

FILES = sorted(Path(scheduler.recipes.__file__).parent.glob("*.json"))

every_recipe = pytest.mark.parametrize("found", RECIPES.values(), ids=RECIPES)


def test_the_gallery_has_twenty_recipes() -> None:
    """There are at least twenty recipes, one per file, each named as its file."""
    assert len(RECIPES) >= 20
    assert [file.stem for file in FILES] == sorted(RECIPES)
    assert [json.loads(file.read_text("utf-8"))["name"] for file in FILES] == [file.stem for file in FILES]


def test_no_two_recipes_are_the_same() -> None:
    """No two recipes share a title or a spec."""
    assert len({found.title for found in RECIPES.values()}) == len(RECIPES)
    assert len({found.spec.id for found in RECIPES.values()}) == len(RECIPES)


@every_recipe
def test_the_boundaries_are_the_numbers_of_the_source(found: Recipe) -> None:
    """At each boundary the rate is what the source states: bit for bit, or to the precision that the recipe gives."""
    rates = {boundary.step: found.schedule.get_lr(boundary.step) for boundary in found.boundaries}
    errors = {boundary.step: abs(rates[boundary.step] - boundary.lr) for boundary in found.boundaries}
    wrong = [boundary for boundary in found.boundaries if not errors[boundary.step] <= boundary.within * boundary.lr]
    assert wrong == []


@every_recipe
def test_the_boundaries_lie_in_the_training(found: Recipe) -> None:
    """Boundaries come in order, from the first row to the end, and each quotes its source."""
    steps = [boundary.step for boundary in found.boundaries]
    assert steps == sorted(set(steps))
    assert steps[-1] <= found.spec.total_steps
    assert all(boundary.says for boundary in found.boundaries)


@every_recipe
def test_the_peak_is_the_stated_one(found: Recipe) -> None:
    """The highest rate of the whole table is the peak that the source states, and no rate is negative."""
    rates = Table.compute(found.spec).lr
    assert rates.max() == found.stated.peak
    assert rates.min() >= 0


@every_recipe
def test_a_source_and_its_gaps_are_told(found: Recipe) -> None:
    """Every recipe names a paper by its number and a place in it, what it states, and what had to be assumed."""
    assert re.fullmatch(r"arXiv:\d{4}\.\d{5}", found.source.identifier)
    assert all((found.source.title, found.source.authors, found.source.where))
    assert all((found.stated.warmup, found.stated.decay, found.stated.length))
    assert all(assumption.endswith(".") for assumption in found.assumptions)
    assert found.source.year == 2000 + int(found.source.identifier[6:8])


@every_recipe
def test_the_spec_survives_json(found: Recipe) -> None:
    """A recipe's spec is the same after a round trip through JSON, and so is its identity."""
    again = Spec.model_validate_json(found.spec.model_dump_json())
    assert again == found.spec
    assert again.id == found.spec.id
    assert found.spec.warnings() == []


@every_recipe
def test_it_plots(found: Recipe, tmp_path: Path) -> None:
    """Every recipe can be drawn."""
    plot = pytest.importorskip("scheduler.views.plot").plot
    plot(Table.compute(found.spec), tmp_path / f"{found.name}.png", title=found.title)
    assert (tmp_path / f"{found.name}.png").read_bytes().startswith(b"\x89PNG")


def test_tokens_and_samples_are_counted_as_the_source_does() -> None:
    """A recipe on the token or sample axis is asked in tokens or samples."""
    gpt = Table.compute(recipe("gpt-3-175b").spec)
    assert gpt.get_lr(375_000_000) == 6e-5
    assert gpt.get_lr(260_000_000_000) == 6e-6
    assert Table.compute(recipe("vit-b-16").spec).get_lr(10_000 * 4096) == 1e-3


def test_the_jump_between_stages_of_a_released_model_is_kept() -> None:
    """OLMo 2's second stage begins at its configured rate, 0.24% above the curve that it leaves."""
    olmo = Table.compute(recipe("olmo-2-7b").spec).lr
    assert olmo[928_646] / olmo[928_645] == pytest.approx(1.0024, abs=1e-4)


def test_a_recipe_is_loaded_by_its_name() -> None:
    """`recipe` gives the recipe of that name: a frozen value with one schedule."""
    bert = recipe("bert-base")
    assert bert is RECIPES["bert-base"]
    assert bert.schedule is bert.spec.schedule
    with pytest.raises(ValueError, match="frozen"):
        bert.title = "another"  # type: ignore[misc]  # that it cannot be written is the question


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        pytest.param("bert-bass", "did you mean bert-base?", id="typing-error"),
        pytest.param("BERT-bass", "did you mean bert-base?", id="capitals"),
        pytest.param("llama", "did you mean llama-", id="part-of-a-name"),
        pytest.param("zzz", "there are bert-base, chinchilla-70b, ", id="nothing-close"),
    ],
)
def test_an_unknown_name_gets_advice(name: str, advice: str) -> None:
    """An unknown name is an error that lists the close names and all of them."""
    with pytest.raises(UnknownRecipeError, match=re.escape(advice)) as failure:
        recipe(name)
    assert all(known in str(failure.value) for known in RECIPES)


def test_a_recipe_is_read_only() -> None:
    """The gallery cannot be changed, and a table of it is the same twice."""
    with pytest.raises(TypeError, match="does not support item assignment"):
        RECIPES["mine"] = recipe("sgdr")  # type: ignore[index]  # that it cannot be written is the question
    first, second = (Table.compute(recipe("sgdr").spec) for _ in range(2))
    assert np.array_equal(first.lr, second.lr)
