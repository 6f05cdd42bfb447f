"""`lrtables compare` says whether two schedules are one, in words, JSON, pictures and its exit code."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import NamedTuple

import pytest

from scheduler import Spec, Table
from scheduler.commands import compare
from scheduler.custom import LinearWarmup

LINEAR, COSINE = "LinearWarmup 1e-3 100", "CosineWarmup base_lr=1e-3 --warmup-steps=100"
VERDICT = "verdict: B is a different curve in steps 0 to 98; equal after that"
SPEC = '{"schedule": {"kind": "custom.LinearWarmup", "base_lr": 1e-3, "warmup_steps": 100}, "total_steps": %d}'


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


class Run:
    """Runs the command as the command line does."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Outcome:
        parser = argparse.ArgumentParser("lrtables")
        compare.add_parser(parser.add_subparsers(required=True))
        parsed = parser.parse_args(["compare", *words])
        return Outcome(parsed.run(parsed), *self._capsys.readouterr())


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """The file of a table of 30 steps."""
    path = tmp_path / "captured.safetensors"
    Table({"lr": LinearWarmup(1e-3, 100).values(30)}, after="error").save(path)
    return str(path)


def test_equal_schedules_end_with_0(run: Run) -> None:
    """However they are written, two schedules that are one are equal."""
    outcome = run(LINEAR, SPEC % 70)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == "A  custom.LinearWarmup(base_lr=0.001, warmup_steps=100)"
    assert outcome.out.splitlines()[2] == "lr: equal bit for bit in all 70 steps"


def test_different_schedules_end_with_1(run: Run) -> None:
    """The first step in which they differ is named."""
    outcome = run(LINEAR, COSINE)
    assert (outcome.code, outcome.err) == (1, "")
    assert "lr: different in 98 of 400 steps, first in step 0\n" in outcome.out
    assert outcome.out.endswith(f"\n{VERDICT}\n")


def test_json_has_every_number(run: Run) -> None:
    """The JSON holds what the text says, at full precision."""
    outcome = run(LINEAR, COSINE, "--steps", "200", "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 1
    assert list(found) == ["equal", "a", "b", "steps", "first", "prefix", "columns", "others", "verdict", "verdicts"]
    assert (found["equal"], found["steps"], found["first"], found["others"]) == (False, 200, 0, [])
    assert (found["columns"]["lr"]["differing"], found["columns"]["lr"]["largest_at"]) == (98, 77)
    assert (found["verdict"], found["verdicts"]["lr"]["relation"]) == ([VERDICT], "different")


def test_a_table_decides_the_length(run: Run, saved: str) -> None:
    """A schedule is compared with a table over the table's steps, or the first of them."""
    assert run(saved, LINEAR) == run(saved, LINEAR, "--steps", "30")
    assert "in all 30 steps" in run(LINEAR, saved).out
    assert "in all 7 steps" in run(saved, LINEAR, "--steps=7").out


def test_the_stated_length_goes_before_an_invented_one(run: Run) -> None:
    """A schedule without a length is compared over the steps that the other states, whichever side it is on."""
    decay = "CosineAnnealingLR 1e-3 90"
    assert "of 90 steps, " in run(LINEAR, decay).out
    assert "of 90 steps, " in run(decay, LINEAR).out


def test_two_tables_are_compared_completely(run: Run, saved: str) -> None:
    """The layout of a spec's table is compared, too: its length, and what happens past its end."""
    outcome = run(saved, SPEC % 40)
    assert outcome.code == 1
    assert outcome.out.splitlines()[-3:-1] == ["after: A has error, B has hold", "total_steps: A has 30, B has 40"]
    assert outcome.out.endswith("\nverdict: equal bit for bit, apart from the lines above\n")


def test_a_spec_is_read_from_a_file_and_from_standard_input(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file's name may have spaces in it, and '-' is standard input."""
    path = tmp_path / "my spec.json"
    path.write_text(SPEC % 50, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO(SPEC % 50))
    assert run(str(path), "-").code == 0


def test_a_picture_is_saved(run: Run, tmp_path: Path) -> None:
    """The picture is written beside the text."""
    path = tmp_path / "difference.png"
    assert run(LINEAR, COSINE, "--output", str(path)).code == 1
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["LinearWarmup -1 100", LINEAR], "base_lr must be greater than or equal to 0", id="field"),
        pytest.param(["LinearWarmpu 1 100", LINEAR], "there is no kind of schedule called 'LinearWarmpu'", id="kind"),
        pytest.param([LINEAR, ""], "this names no kind and no file: ''", id="empty"),
        pytest.param([LINEAR, "LinearWarmup '1"], "No closing quotation", id="quotes"),
        pytest.param([LINEAR, "no.safetensors"], "No such file or directory", id="file"),
        pytest.param([LINEAR, "{"], "this is no JSON", id="json"),
        pytest.param([LINEAR, COSINE, "--steps", "0"], "--steps must be a whole number from 1", id="steps"),
        pytest.param([LINEAR, f"Literal digest={'a' * 64}"], "has not been looked up", id="unresolved"),
        pytest.param([LINEAR, COSINE, "--output", "x.doc"], "must end in .png or .svg, got 'x.doc'", id="suffix"),
    ],
)
def test_bad_input_ends_with_2(run: Run, words: list[str], message: str) -> None:
    """Operands that cannot be compared give one line on stderr, and nothing on stdout."""
    outcome = run(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("lrtables compare: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_damaged_table_is_named(run: Run, tmp_path: Path) -> None:
    """The error names the file that is not a table."""
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"none")
    outcome = run(LINEAR, str(path))
    assert outcome.code == 2
    assert outcome.err.startswith(f"lrtables compare: {path}: not a table: ")


def test_a_table_is_not_made_longer(run: Run, saved: str) -> None:
    """More steps than a table has are bad input."""
    outcome = run(saved, LINEAR, "--steps", "31")
    assert outcome.code == 2
    assert "total_steps must be at most 30, the length of the table, got 31" in outcome.err


def test_a_table_of_a_spec_is_as_long_as_asked(run: Run) -> None:
    """The number of steps asked for replaces the one in a spec."""
    assert "in all 20 steps" in run(SPEC % 30, SPEC % 40, "--steps", "20").out
    spec = Spec(schedule=LinearWarmup(1e-3, 100), total_steps=20)
    assert run(SPEC % 30, spec.canonical(), "--steps", "20").code == 0
