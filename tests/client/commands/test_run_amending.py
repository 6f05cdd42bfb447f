"""`lrtables run amend|propose|approve|reject`: every template as it is typed, dry runs, pictures, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from scheduler import Spec
from scheduler.amendments import amend, parse_amendment
from scheduler.compose import Ramp
from scheduler.custom import WarmupWithDecay

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

SCHEDULE = ("WarmupWithDecay", "5e-4", "100", "1000")
PLAN = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000)


@pytest.fixture
def run(lrtables: CommandLine, name: str) -> str:
    """A run of `PLAN`, by its name."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    return name


@pytest.mark.parametrize(
    ("words", "amendment"),
    [
        (["--cooldown", "200"], {"template": "cooldown", "length": 200}),
        (
            ["--cooldown", "200", "--rate", "1e-6", "--shape", "1-sqrt"],
            {"template": "cooldown", "length": 200, "rate": 1e-6, "shape": "1-sqrt"},
        ),
        (["--extend", "1500"], {"template": "extend", "total_steps": 1500}),
        (["--hold"], {"template": "hold"}),
        (["--scale", "0.9"], {"template": "scale", "factor": 0.9}),
        (["--tail", "Ramp previous 0 300"], {"tail": Ramp("previous", 0.0, 300).to_dict()}),
        (
            ["--tail", json.dumps(Ramp("previous", 0.0, 300).to_dict()), "--total-steps", "900"],
            {"tail": Ramp("previous", 0.0, 300).to_dict(), "total_steps": 900},
        ),
        (
            ["--rewind", "--tail", "Ramp previous 0 300"],
            {"template": "rewind", "tail": Ramp("previous", 0.0, 300).to_dict()},
        ),
    ],
    ids=["cooldown", "cooldown-shape", "extend", "hold", "scale", "tail", "tail-json", "rewind"],
)
def test_every_template_is_typed(lrtables: CommandLine, run: str, words: list[str], amendment: dict[str, Any]) -> None:
    """The amended run has the table that the amendment gives here; the command says what it did."""
    expected = amend(PLAN, parse_amendment({"from_step": 600, **amendment})).table()
    sentence, line = lrtables.ok("run", "amend", run, "--from-step", "600", *words, "--reason", "r").splitlines()
    action = "rewind" if amendment.get("template") == "rewind" else "amend"
    assert line == f"{run} version 2 ({action}) digest {expected.digest}"
    assert "600" in sentence
    found = lrtables.json("run", "show", run)
    assert (found["from_step"], found["reason"], found["parent"]) == (600, "r", 1)
    assert sentence in lrtables.ok("run", "show", run)


def test_a_tail_is_read_from_a_file(lrtables: CommandLine, run: str, tmp_path: Path) -> None:
    """A long tail is written in a file."""
    (tmp_path / "tail.json").write_text(json.dumps(Ramp("previous", 0.0, 300).to_dict()))
    lrtables.ok("run", "amend", run, "--from-step", "600", "--tail", str(tmp_path / "tail.json"))
    expected = amend(PLAN, parse_amendment({"from_step": 600, "tail": Ramp("previous", 0.0, 300).to_dict()}))
    assert lrtables.json("run", "show", run)["digest"] == expected.table().digest


def test_a_dry_run_changes_nothing(lrtables: CommandLine, run: str, tmp_path: Path) -> None:
    """It shows both curves, the first row that differs, the largest factor, and saves the picture."""
    words = ("run", "amend", run, "--from-step", "600", "--scale", "0.5", "--dry-run")
    out = lrtables.ok(*words, "--picture", str(tmp_path / "dry.svg"))
    assert f"{run} version 1: nothing was changed\nfrom step 600 on: all rates times 0.5\n" in out
    assert "1,000 rows, 1,000 before\nfirst row that differs: 600\nlargest factor of the rate: 2\n" in out
    assert out.count("0.0005 ┤") == 1
    assert out.endswith("\n· the rates now, where they would differ\n")
    assert out.count("·") > 10
    assert ElementTree.parse(tmp_path / "dry.svg").getroot().tag.endswith("svg")
    assert (
        lrtables.json(*words)["digest"]
        == amend(PLAN, parse_amendment({"template": "scale", "from_step": 600, "factor": 0.5})).table().digest
    )
    assert lrtables.json("run", "show", run)["version"] == 1


def test_a_picture_of_a_change_is_saved(lrtables: CommandLine, run: str, tmp_path: Path) -> None:
    """The old and the new curve, with a mark where the change begins."""
    picture = tmp_path / "change.svg"
    lrtables.ok("run", "amend", run, "--from-step", "600", "--hold", "--picture", str(picture))
    texts = {element.text for element in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")}
    assert {run, "version 1", "version 2"} <= texts


def test_a_refused_amendment_says_why(lrtables: CommandLine, run: str) -> None:
    """A guard rail and a passed step are status 1; the dry run shows them, with the same status."""
    lrtables.ok("run", "set", run, "--rule", "max_factor=1.5")
    line = lrtables.refused(1, "run", "amend", run, "--from-step", "600", "--scale", "0.5")
    assert "answered 422" in line
    assert "max_factor" in line
    dry = lrtables("run", "amend", run, "--from-step", "600", "--scale", "0.5", "--dry-run")
    assert dry.code == 1
    assert "refused: " in dry.out
    assert dry.err == ""
    assert lrtables.json("run", "show", run)["version"] == 1


def test_a_proposal_is_approved_by_another(lrtables: CommandLine, run: str) -> None:
    """It changes nothing until it is approved; then the run is amended by it."""
    out = lrtables.ok("run", "propose", run, "--from-step", "600", "--hold", "--reason", "flat")
    assert out.startswith("proposal 1  for version 1  open\n    from step 600 on: hold the rate\n")
    assert out.endswith(": flat\n")
    assert lrtables.json("run", "show", run)["version"] == 1
    assert "proposal 1  for version 1  open" in lrtables.ok("run", "proposals", run)
    assert f"{run} version 2 (amend)" in lrtables.ok("run", "approve", run, "1")
    assert "proposal 1  for version 1  approved" in lrtables.ok("run", "proposals", run)
    assert "answered 409" in lrtables.refused(1, "run", "approve", run, "1")


def test_a_proposal_that_breaks_a_rule_says_so(lrtables: CommandLine, run: str) -> None:
    """What would be refused today is proposed, and the rule is named at once; what changes nothing is not proposed."""
    lrtables.ok("run", "set", run, "--rule", "max_factor=1.5")
    out = lrtables.ok("run", "propose", run, "--from-step", "600", "--scale", "0.5")
    assert out.endswith("would be refused now: a rate would change by the factor 2, and max_factor is 1.5\n")
    refused = lrtables.refused(1, "run", "propose", run, "--from-step", "600", "--scale", "1.0")
    assert "it changes no row" in refused
    assert lrtables("run", "propose", run, "--from-step", "600", "--scale", "1.0", "--dry-run").code == 1


def test_a_proposal_is_rejected(lrtables: CommandLine, run: str) -> None:
    """A rejected one is closed, and the run stays as it is."""
    lrtables.ok("run", "propose", run, "--from-step", "600", "--hold")
    assert "rejected" in lrtables.ok("run", "reject", run, "1", "--reason", "too early")
    assert lrtables.json("run", "proposals", run)[0]["state"] == "rejected"
    assert lrtables.json("run", "show", run)["version"] == 1
    assert "answered 404" in lrtables.refused(1, "run", "reject", run, "7")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of --cooldown, --extend, --hold, --scale and --tail is needed, got none"),
        (["--hold", "--scale", "2"], "is needed, got --hold and --scale"),
        (["--hold", "--rate", "1"], "--rate makes no sense without --cooldown"),
        (["--hold", "--rewind"], "--rewind makes no sense without --tail"),
        (["--scale", "0"], "Amendment: factor "),
        (["--cooldown", "5", "--shape", "wavy"], "shape must be 'linear'"),
        (["--tail", "Ramp"], "needs start, stop, length"),
        (["--tail", "{"], "this is no JSON"),
        (["--hold", "--picture", "x.png"], "--picture must end in .svg, got 'x.png'"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(lrtables: CommandLine, words: list[str], message: str) -> None:
    """Exit status 2 before anything is sent."""
    assert message in lrtables.refused(2, "run", "amend", "a/b", "--from-step", "5", *words)
