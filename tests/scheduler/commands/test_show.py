"""`lrtables show` prints the schedule that was typed, or in one line what is wrong with it."""

import argparse
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler import KINDS, Spec, Table
from scheduler.commands.show import add_parser
from scheduler.commands.typed import CommandWords, typed_spec
from scheduler.custom import CyclicLR, WarmupWithDecay
from scheduler.recipes import RECIPES

SCHEDULE = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)
SPEC = Spec(schedule=SCHEDULE, total_steps=1000)
TYPED = ["WarmupWithDecay", "5e-4", "100", "1000", "min_lr=1e-6"]


def show(*words: str) -> int:
    parser = argparse.ArgumentParser("lrtables")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["show", *words])
    status: int = arguments.run(arguments)
    return status


def shown_spec(capsys: pytest.CaptureFixture[str], *words: str) -> Spec:
    assert show(*words, "--json") == 0
    return Spec.model_validate_json(json.dumps(json.loads(capsys.readouterr().out)["spec"]))


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr, without the command's name."""
    assert show(*words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.removeprefix("lrtables show: ").rstrip()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["custom.WarmupWithDecay", *TYPED[1:]], id="full-name"),
        pytest.param(["warmupwithdecay", *TYPED[1:]], id="other-case"),
        pytest.param([*TYPED[:-1], "1e-6"], id="in-order"),
        pytest.param([*TYPED[:-1], "min-lr=1e-6"], id="dash"),
        pytest.param([*TYPED[:-1], "--min_lr", "1e-6"], id="option"),
        pytest.param([*TYPED[:-1], "--min-lr=.000001"], id="option-with-equals"),
        pytest.param(
            ["WarmupWithDecay", "--total-steps", "1_000", "5e-4", "--warmup_steps=1e2", *TYPED[4:]], id="mixed"
        ),
        pytest.param(["--steps", "1000", *TYPED], id="command-option-first"),
        pytest.param([json.dumps(SCHEDULE.to_dict())], id="schedule-as-json"),
        pytest.param([SPEC.model_dump_json()], id="spec-as-json"),
    ],
)
def test_ways_to_type_a_schedule(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """However it is typed, the same schedule is the same spec."""
    assert shown_spec(capsys, *words) == SPEC


@pytest.mark.parametrize(("text", "steps"), [("1e3", 1000), ("1.5E+2", 150), ("1_000", 1000), ("10.0", 10)])
def test_a_number_of_steps_is_typed_as_people_do(capsys: pytest.CaptureFixture[str], text: str, steps: int) -> None:
    """`--steps 1e3` is an exact whole number, as in `--at`."""
    assert shown_spec(capsys, "Constant", "1e-3", "--steps", text).total_steps == steps
    assert show("Ramp", "0", "1", "1000", "--at", text) == (2 if steps == 1000 else 0)


@pytest.mark.parametrize("text", ["1.5", "1e-3", "-5", "1e99", "0", "nan", "1__0", "e5"])
def test_what_is_no_number_of_steps_is_refused(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """A length that is not whole, or out of range, is refused as it was typed."""
    assert f"--steps must be a whole number from 1 to 100,000,000, got {text!r}" in refusal(
        capsys, "Constant", "1e-3", f"--steps={text}"
    )


def test_recipes_and_aliases_are_found_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe's name in capitals, and its alias, are the recipe."""
    assert shown_spec(capsys, "BERT-Base") == RECIPES["bert-base"].spec
    assert shown_spec(capsys, "Noam") == RECIPES["transformer-base"].spec


def test_json_comes_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A spec is read from a file, and `--steps` cuts it."""
    path = tmp_path / "spec.json"
    path.write_text(SPEC.model_dump_json())
    assert shown_spec(capsys, str(path)) == SPEC
    assert shown_spec(capsys, str(path), "--steps", "10").total_steps == 10


def test_json_comes_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads the JSON that another program writes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(SPEC.model_dump_json()))
    assert shown_spec(capsys, "-") == SPEC


def test_groups_are_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON list is one schedule per parameter group, each with its chart."""
    data = json.dumps([SCHEDULE.to_dict(), CyclicLR(1e-4, 0.1, 10).to_dict()])
    assert show(data) == 0
    out = capsys.readouterr().out
    assert out.count("└") == 2
    assert "\nlr.0\n" in out
    assert "1,000 steps (where the schedule ends)" in out


def test_the_terminal_shows_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Without options: the call, the length, the digest, a chart and the exact values at the boundaries."""
    assert show(*TYPED) == 0
    out = capsys.readouterr().out
    assert out.startswith("custom.WarmupWithDecay(base_lr=0.0005, warmup_steps=100, total_steps=1000, min_lr=1e-06)\n")
    assert "1,000 steps (where the schedule ends)" in out
    assert f"digest {Table.compute(SPEC).digest}" in out
    assert "┤" in out
    assert f"100  after warmup  {SCHEDULE.get_lr(100)!r}" in out


def test_exact_values_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """`--at` prints the steps asked for, in that order, and nothing else."""
    assert show(*TYPED, "--at", "999,0,100") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [[str(step), repr(SCHEDULE.get_lr(step))] for step in (999, 0, 100)]


def test_json_says_which_table_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The machine-readable output has both identities, the limits and the exact values."""
    assert show(*TYPED, "--json", "--at=7") == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["spec_id"], output["digest"]) == (SPEC.id, Table.compute(SPEC).digest)
    assert output["columns"]["lr"]["max"] == SCHEDULE.base_lr
    assert output["values"] == [{"step": 7, "lr": SCHEDULE.get_lr(7)}]


def test_a_table_is_shown_from_its_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A table's file is shown as its schedule is; one of values alone says so, and keeps its length."""
    Table.compute(SPEC).save(tmp_path / "table.safetensors")
    assert show(str(tmp_path / "table.safetensors")) == 0
    shown = capsys.readouterr().out
    assert show(*TYPED) == 0
    assert shown == capsys.readouterr().out.replace("(where the schedule ends)", "(as the file has)")
    path = tmp_path / "values.safetensors"
    Table({"lr": SCHEDULE.values(50)}).save(path)
    assert show(str(path)) == 0
    assert capsys.readouterr().out.startswith("a table of values, without a schedule\n50 steps (as the file has)\n")
    assert show(str(path), "--json", "--at", "7") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["spec"], found["values"]) == (None, [{"step": 7, "lr": SCHEDULE.get_lr(7)}])
    assert (
        refusal(capsys, str(path), "--steps", "3") == "--steps makes no sense beside a table, which has its own, got 3"
    )
    assert refusal(capsys, str(path), "3") == "parameters make no sense beside a table: 3"


def test_a_schedule_without_an_end_says_its_length(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing decides the length, it is chosen and said so."""
    assert show("LinearWarmup", "1e-3", "500") == 0
    assert "2,000 steps (the schedule has no end: 4 x its longest step count; --steps" in capsys.readouterr().out


def test_a_log_scale_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """`--log` draws drops by ten at equal heights."""
    assert show("StepLR", "0.1", "30", "--log") == 0
    assert " 0.0001 ┤" in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["transformers.cosine 5e-4 100 1000", "CosineAnnealingLR 0.1 T_max=90", "bert-base"])
def test_no_steps_are_invented(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    """A schedule that states its length is shown for exactly that, and nothing is warned of."""
    assert show(*typed.split()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.search(r"^(1,000|90|1,000,000) steps \((the steps that|as the recipe)", out, re.MULTILINE)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_shown_over_its_own_length(name: str) -> None:
    """Without options a recipe is the spec that it states, whole, and nothing is warned of."""
    spec, why = typed_spec(CommandWords(positional=[name]), None)
    assert (spec, why, spec.warnings()) == (RECIPES[name].spec, "as the recipe says", [])


def test_warnings_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A warmup as long as the training is shown, with a warning on stderr."""
    assert show("LinearWarmup", "1e-3", "500", "--steps=500") == 0
    assert "warning: the warmup is as long as the training" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture_is_saved(capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str) -> None:
    """`--output` saves the picture and says where."""
    pytest.importorskip("matplotlib")
    path = tmp_path / f"lr.{suffix}"
    assert show(*TYPED, "--output", str(path)) == 0
    assert capsys.readouterr().out.endswith(f"picture: {path}\n")
    assert path.stat().st_size > 5000


def test_alone_it_lists_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments every kind is listed, under its library, with its signature and summary, then every recipe."""
    assert show() == 0
    out = capsys.readouterr().out
    assert [kind for kind in KINDS if f"{kind}(" not in out] == []
    assert "custom.WarmupWithDecay(base_lr, warmup_steps, total_steps, min_lr=0.0)\n      Linear warmup" in out
    assert "\n\nTwins of torch.optim.lr_scheduler\n  torch.SWALR(" in out
    assert "Twins of custom" not in out
    assert (
        "  transformer-base\n      Transformer base: linear warmup, then the inverse square root (Noam) (alias noam)"
        in out
    )
    assert show("--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == [*KINDS, *RECIPES]
    assert listed["torch.OneCycleLR"]["aliases"] == ["1cycle", "one_cycle"]


def test_a_kind_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` behind a kind shows its signature, formula and boundaries."""
    assert show("WarmupWithDecay", "--help") == 0
    assert "Formula: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["WarmupWithDecai"],
            "no kind of schedule called 'WarmupWithDecai', nor a recipe: did you mean custom.WarmupWithDecay",
        ),
        (["zzz"], "no kind of schedule called 'zzz', nor a recipe: 'lrtables show' lists them all"),
        (["WarmupWithDecay", "1"], "min_lr=0.0) needs warmup_steps, total_steps"),
        (
            ["WarmupWithDecay", "-1", "1", "2"],
            "custom.WarmupWithDecay: base_lr must be greater than",
        ),
        (["WarmupWithDecay", "nan", "1", "2"], "base_lr must be a finite number, got nan"),
        (["WarmupWithDecay", "x", "1", "2"], "base_lr must be a valid number, got 'x'"),
        (["WarmupWithDecay", "1", "20", "10"], "warmup_steps must be <= total_steps, got 20 > 10"),
        (["WarmupWithDecay", *"12345"], "takes 4 parameters, got 5: 1 2 3 4 5"),
        ([*TYPED, "min-lr=0"], "min_lr is given twice: 1e-6 and 0"),
        ([*TYPED, "base_lr=1"], "base_lr is given twice: 0.0005 and 1"),
        (
            [*TYPED, "gamma=3"],
            "has no parameter 'gamma': it has base_lr, warmup_steps, total_steps, min_lr",
        ),
        ([*TYPED, "total_step=3"], "custom.WarmupWithDecay has no parameter 'total_step': did you mean total_steps?"),
        ([*TYPED, "--gamma"], "--gamma needs a value"),
        ([*TYPED, "--steps", "0"], "--steps must be a whole number from 1 to 100,000,000, got '0'"),
        ([*TYPED, "--steps", "1001"], "total_steps must be <= 1000"),
        ([*TYPED, "--at", "1,x"], "--at must be steps with commas between them, as 0,100,999, got '1,x'"),
        ([*TYPED, "--at", "5,1000"], "--at: step 1000 is past the last one, 999"),
        ([*TYPED, "--output", "lr.jpg"], "must end in .png or .svg, got 'lr.jpg'"),
        (["LinearWarmup", "1", "100_000_000"], "at most 100,000,000 steps are computed here, got 400,000,000"),
        (["base_lr=3"], "parameters make no sense without a kind: base_lr=3"),
        (["{}", "3"], "parameters make no sense beside JSON: 3"),
        (["{"], "this is no JSON: "),
        (["missing.json"], "No such file or directory: 'missing.json'"),
        (["[]"], "Spec: schedule must have at least 1 item, got []"),
        (['{"kind": "custom.LinearWarmup", "base_lr": 1}'], "custom.LinearWarmup: warmup_steps is missing"),
        (['{"kind": "nix"}'], "unknown kind 'nix': 'lrtables show' and /v1/schedules list them all"),
        (
            [SPEC.model_dump_json().replace("0.0005", "-5.0")],
            "Spec: schedule.base_lr must be greater than",
        ),
        (["[" * 100_000], "nested too deeply"),
    ],
)
def test_bad_input_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], message: str
) -> None:
    """Invalid input ends with status 2 and one line on stderr: the field, the rule and the value."""
    monkeypatch.chdir(tmp_path)
    assert message in refusal(capsys, *words)


def test_a_file_that_is_no_text_says_what_a_table_is_called(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A table's file under another name is no JSON, and the line says how a table's file ends."""
    path = tmp_path / "table.bin"
    Table.compute(SPEC).save(path)
    message = f"{path} is no JSON: it is no text in UTF-8; a table's file ends in .safetensors"
    assert refusal(capsys, str(path)) == message


def test_an_ambiguous_name_lists_its_candidates(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that several libraries have is not a kind: the error lists the full names."""
    names = [kind.rpartition(".")[2].lower() for kind in KINDS]
    ambiguous = next((name for name in names if names.count(name) > 1), None)
    if ambiguous is None:
        pytest.skip("no two libraries have a kind of one name")
    message = refusal(capsys, ambiguous)
    assert all(kind in message for kind in KINDS if kind.rpartition(".")[2].lower() == ambiguous)


def test_the_command_works_through_lrtables() -> None:
    """The installed command shows a schedule, also where the terminal can show no braille, and needs no extra."""
    script = "import sys; sys.modules |= dict.fromkeys(['torch', 'fastapi', 'uvicorn', 'matplotlib'])\n"
    script += "from service.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-X", "utf8=0", "-W", "error", "-c", script, "show", *TYPED]
    environment = {"PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "after warmup" in result.stdout
    assert "?" in result.stdout


def test_a_picture_without_matplotlib_names_the_extra() -> None:
    """Only `--output` needs matplotlib, and says what to install."""
    script = "import sys; sys.modules |= dict.fromkeys(['matplotlib', 'matplotlib.figure'])\n"
    script += "from service.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "show", *TYPED, "--output", "lr.png"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr == "lrtables show: drawing a picture needs matplotlib: pip install 'lrtables[plot]'\n"
