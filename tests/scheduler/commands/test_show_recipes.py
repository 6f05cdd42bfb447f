"""`lrtables show` of a recipe: its title, source and assumptions, and the recipe with other numbers."""

from __future__ import annotations

import argparse
import json

import pytest

from scheduler import Spec
from scheduler.commands.show import add_parser
from scheduler.recipes import RECIPES, recipe


def show(*words: str) -> int:
    parser = argparse.ArgumentParser("lrtables")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["show", *words])
    status: int = arguments.run(arguments)
    return status


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """`--help` behind a recipe shows its title, source and assumptions, and each parameter with its default."""
    assert show(name, "--help") == 0
    text, found = capsys.readouterr().out, RECIPES[name]
    assert all(words in text for words in (found.title, found.source.title, *found.assumptions))
    assert [parameter for parameter in found.parameters if f"\n  {parameter} " not in text] == []


def test_a_recipe_is_shown_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe is titled by its own title, with the paper and what was assumed, before its schedule."""
    assert show("bert-base") == 0
    out, found = capsys.readouterr().out, RECIPES["bert-base"]
    assert out.startswith(f"bert-base: {found.title}\nSource: Devlin, Chang, Lee, Toutanova, 'BERT: ")
    assert all(f"\nAssumed: {assumption}\n" in out for assumption in found.assumptions)
    assert "\n\nSequence(schedules=[" in out
    assert "\n1,000,000 steps (as the recipe says)\n" in out


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["bert-base", "base_lr=3e-4", "total_steps=50_000"], id="by-name"),
        pytest.param(["BERT-base", "--total-steps", "5e4", "--BASE_LR=0.0003"], id="as-options-in-another-case"),
    ],
)
def test_a_recipe_takes_parameters(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """A recipe with parameters is that of `recipe(...)`, and the JSON says what was given."""
    assert show(*words, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    expected = recipe("bert-base", base_lr=3e-4, total_steps=50_000)
    assert Spec.model_validate_json(json.dumps(shown["spec"])) == expected.spec
    assert shown["recipe"]["title"] == expected.title
    assert shown["recipe"]["given"] == {"base_lr": 3e-4, "total_steps": 50_000}
    assert show(*words) == 0
    assert "\n50,000 steps (as typed)\n" in capsys.readouterr().out


def test_steps_cut_a_recipe_and_scale_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """`--steps` is the length of the table, not of the training: the rates stay the recipe's."""
    assert show("bert-base", "--steps", "1e5", "--at", "99_999") == 0
    assert capsys.readouterr().out == f"99999  {RECIPES['bert-base'].schedule.get_lr(99_999)!r}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["bert-base", "3e-4"],
            "bert-base takes its parameters by name, as name=value: base_lr, total_steps, warmup_steps; got 3e-4",
            id="in-order",
        ),
        pytest.param(["noam", "d_model=512"], "transformer-base has no parameter 'd_model': it has ", id="unknown"),
        pytest.param(["t5", "base_lr=x"], "t5: base_lr must be a number from 0 to 1e+12, got 'x'", id="no-number"),
    ],
)
def test_bad_parameters_are_refused(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    """What a recipe cannot take is refused in one line that says what it takes."""
    assert show(*words) == 2
    assert capsys.readouterr().err.startswith(f"lrtables show: {message}")
