"""Every example runs, in small, and says what it should; so does the demo."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from scheduler import Table

EXAMPLES = Path(__file__).parents[1] / "examples"
EXPECTED = {  # arguments, and what the output then has: rates that follow from the formulas by hand
    "pattern_1_warmup_then_torch.py": (["--steps", "50"], ["epoch 0: lr 0.050000", "epoch 1: lr 0.100000", "epoch 9"]),
    "pattern_2_all_in_one.py": (["--steps", "50"], ["step 0: lr 0.000100000", "step 4: lr 0.000500000", "step 49"]),
    "pattern_3_compare.py": (["--steps", "50"], ["0    4.000e-03    4.000e-03", "1.000e-01"]),
    "pattern_4_hybrid.py": (["--steps", "80"], ["epoch 4: lr 1.000e-01", "epoch 19"]),
    "example_1_resnet50.py": (
        ["--steps", "1"],
        ["epoch 29: lr 0.100000", "epoch 30: lr 0.010000", "epoch 60: lr 0.001000", "epoch 90: lr 0.000100"],
    ),
    "example_2_bert.py": (["--steps", "5"], ["1,000,000 rates, 8 MB", "step   10000: lr 1.000e-04", "lr 5.000e-08"]),
    "example_3_small_dataset.py": (["--steps", "2"], ["epoch 3: next lr 0.10000", "epoch 7: next lr 0.00010"]),
    "example_4_one_cycle.py": (["--steps", "20", "--option", "torch"], ["torch: 20 updates, last lr 4.000e-07"]),
    "example_5_restarts.py": (
        ["--steps", "1"],
        ["epoch 0: lr 0.10000", "epoch 50: lr 0.10000", "epoch 150: lr 0.10000"],
    ),
}


def run_example(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_run() -> None:
    """No example is forgotten here; those of the trainers are run by tests/trainers, which has their packages."""
    names = {path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("trainer_")}
    assert names == EXPECTED.keys() | {"demo.py", "demo_worker.py"}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_is_short(name: str) -> None:
    """An example fits a screen."""
    assert len((EXAMPLES / name).read_text().splitlines()) <= 60


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_runs(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The example runs in small and prints the rates that its schedule has at the boundaries."""
    arguments, expected = EXPECTED[name]
    run_example(name, arguments, monkeypatch)
    output = capsys.readouterr().out
    for text in expected:
        assert text in output


def test_one_cycle_by_our_schedule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The other option of the 1cycle example ends with the rate of step 499 of our schedule."""
    run_example("example_4_one_cycle.py", [], monkeypatch)
    assert "custom: 500 updates, last lr 1.201e-05" in capsys.readouterr().out


def test_plateau_owns_the_rate_after_the_warmup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the hybrid example the rate rises to the warmup's end and after that is only ever halved."""
    run_example("pattern_4_hybrid.py", ["--steps", "400"], monkeypatch)
    rates = [float(text) for text in re.findall(r"lr (\S+),", capsys.readouterr().out)]
    assert rates[:5] == sorted(rates[:5])
    assert all(
        after in (pytest.approx(before, rel=1e-3), pytest.approx(before / 2, rel=1e-3))
        for before, after in pairwise(rates[4:])
    )


def test_bert_s_rates_from_a_server_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With and without a server the example prints the same: the table is the same."""
    demo = runpy.run_path(str(EXAMPLES / "demo.py"))
    outputs = []
    with demo["server"](tmp_path) as (url, _):
        for arguments in ([], ["--url", url]):
            run_example("example_2_bert.py", ["--steps", "3", *arguments], monkeypatch)
            outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("rates", "accuracy", "expected"),
    [
        pytest.param(["0.1", "0.2"], 0.97, [], id="all-well"),
        pytest.param(["0.1", "0.2"], 0.5, ["the accuracy is 50.0%: below 90 % something is broken"], id="accuracy"),
        pytest.param(
            ["0.1", "0.20000000000000004"],
            0.97,
            ["rank 1 applied 0.20000000000000004 in update 1, and the table has 0.2"],
            id="one-bit",
        ),
        pytest.param(["0.1"], 0.97, ["rank 1 applied None in update 1, and the table has 0.2"], id="too-few"),
    ],
)
def test_the_demo_notices_what_differs(tmp_path: Path, rates: list[str], accuracy: float, expected: list[str]) -> None:
    """One bit in one rate of one rank is enough for the demo to fail, and to say where; so is a missing update."""
    demo = runpy.run_path(str(EXAMPLES / "demo.py"))
    for rank, each in enumerate((["0.1", "0.2"], rates)):
        (tmp_path / f"applied-{rank}").write_text("".join(f"{step} {rate} 0.5\n" for step, rate in enumerate(each)))
    (tmp_path / "accuracy").write_text(str(accuracy))
    assert demo["differences"](Table({"lr": [0.1, 0.2]}), tmp_path) == expected


@pytest.mark.slow(22)
def test_the_demo_runs(tmp_path: Path) -> None:
    """The demo exits 0, tells the story and leaves a picture."""
    picture = tmp_path / "demo.png"
    command = [sys.executable, str(EXAMPLES / "demo.py"), "--picture", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert re.search(r"All 2 x \d+ are those of the run's table, bit for bit", done.stdout)
    assert "cool down to 0 over 200 steps (1-sqrt)" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
