"""`lrtables show A B` draws several schedules over one another and says how they relate."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from scheduler import Table
from scheduler.commands.show import add_parser
from scheduler.custom import CosineWarmup, LinearWarmup

OURS, THEIRS = "WarmupWithDecay 5e-4 100 1000", "transformers.cosine 5e-4 100 1000"


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    return Show(capsys)


class Show:
    """Runs the command as the command line does; its output, and its error where that is the only one."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str, status: int = 0) -> str:
        parser = argparse.ArgumentParser("lrtables")
        add_parser(parser.add_subparsers(required=True))
        parsed = parser.parse_args(["show", *words])
        assert parsed.run(parsed) == status
        out, err = self._capsys.readouterr()
        assert not (out and err)
        return str(out or err)


def test_two_are_drawn_over_one_another(show: Show) -> None:
    """Each has its letter and its glyph; one chart holds both, and the verdict stands below."""
    lines = show(OURS, THEIRS).splitlines()
    assert lines[0].startswith("A ⠿ custom.WarmupWithDecay(base_lr=0.0005")
    assert lines[2].startswith("B · transformers.cosine(base_lr=0.0005")
    assert sum("└" in line for line in lines) == 1
    assert lines[-1].startswith("B beside A, 1,000 rows: B is the same curve one step later in steps 0 to 99")


def test_one_word_is_one_schedule(show: Show) -> None:
    """A schedule in quotes is the same as one without."""
    assert show(OURS) == show(*OURS.split())


def test_without_a_length_one_is_as_long_as_the_longest(show: Show) -> None:
    """Nothing is invented where another states a length; with several columns each has a chart."""
    text = show("Constant 0.05", "torch.OneCycleLR 0.1 90", "LinearWarmup 0.1 10")
    assert text.count("90 steps (as long as the longest)") == 2
    assert "lr: A ⠿  B ·  C +" in text
    assert "momentum: B ⠿" in text


def test_recipes_files_and_tables_may_stand_beside_one_another(show: Show, tmp_path: Path) -> None:
    """An operand is whatever is typed as one word, a saved table among them."""
    table = tmp_path / "saved table.safetensors"
    Table({"lr": LinearWarmup(1e-3, 10).values(20)}).save(table)
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"schedule": LinearWarmup(2e-3, 10).to_dict(), "total_steps": 20}))
    text = show(str(table), str(spec), json.dumps(CosineWarmup(1e-3, 10).to_dict()))
    assert "B beside A, 20 rows: B is the same curve times 2, bit for bit" in text
    assert "GPT-3 175B" in show("gpt-3-175b", "chinchilla-70b")


def test_values_json_and_pictures_have_all(show: Show, tmp_path: Path) -> None:
    """The other outputs of `show` are those of each; steps past an end are left out."""
    assert show(OURS, "CosineAnnealingLR 0.1 90", "--at", "0,100").splitlines()[1:] == [
        "  0  5e-06",
        "100  0.0005",
        "B  torch.CosineAnnealingLR(base_lr=0.1, T_max=90, eta_min=0.0)",
        "0  0.1",
    ]
    found = json.loads(show(OURS, THEIRS, "--json"))
    assert [(each["side"], each["total_steps"], each["columns"]["lr"]["max"]) for each in found] == [
        ("A", 1000, 5e-4),
        ("B", 1000, 5e-4),
    ]
    picture = tmp_path / "both.svg"
    assert show(OURS, THEIRS, "--log", "--output", str(picture)).endswith(f"picture: {picture}\n")
    assert picture.stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bert-base", "gpt-3-175b"], "cannot be drawn over one another: A counts steps, B counts tokens"),
        ([OURS] * 8, "at most 7 schedules are shown over one another, got 8"),
        ([OURS, THEIRS, "base_lr=3"], "each schedule takes its own parameters, in one word with it: base_lr=3"),
        ([OURS, "LinearWarmup 1e-3"], "custom.LinearWarmup(base_lr, warmup_steps) needs warmup_steps"),
    ],
    ids=["axes", "many", "named", "missing"],
)
def test_what_cannot_be_overlaid_is_one_clear_line(show: Show, words: list[str], message: str) -> None:
    """Other axes, too many, and parameters that belong to none are refused."""
    assert message in show(*words, status=2)
