"""`lrtables run set`, `workers`, `create --or-use` and `propose --dry-run`, and what every command forgives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client import Client

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

SCHEDULE = ("WarmupWithDecay", "5e-4", "100", "1000")
HOLD = ("--from-step", "600", "--hold")


@pytest.fixture
def run(lrtables: CommandLine, name: str) -> str:
    """A run, by its name."""
    lrtables.ok("run", "create", name, *SCHEDULE, "--rule", "max_lr=0.5")
    return name


def test_rules_are_set_one_by_one(lrtables: CommandLine, run: str) -> None:
    """The other rules stay, one is removed by its name, and all by --clear-rules."""
    assert lrtables.json("run", "set", run, "--rule", "margin_steps=5")["rules"] == {"max_lr": 0.5, "margin_steps": 5}
    found = lrtables.json("run", "set", run, "--no-rule", "max_lr", "--rule", "min_lr=0", "--label", "a=b")
    assert (found["rules"], found["labels"]) == ({"margin_steps": 5, "min_lr": 0}, {"a": "b"})
    assert lrtables.json("run", "set", run, "--clear-rules", "--rule", "max_lr=1")["rules"] == {"max_lr": 1}
    assert lrtables.json("run", "set", run, "--clear-rules")["rules"] == {}
    assert "contradict each other: max_lr" in lrtables.refused(
        2, "run", "set", run, "--rule", "max_lr=1", "--no-rule", "max_lr"
    )
    assert "a rule must be one of min_lr, max_lr" in lrtables.refused(2, "run", "set", run, "--no-rule", "max")
    assert "--no-rule or --clear-rules" in lrtables.refused(2, "run", "set", run)


def test_workers_are_shown_and_forgotten(lrtables: CommandLine, run: str, service_url: str) -> None:
    """A position that keeps an amendment off is found by the worker's name, and forgotten."""
    assert lrtables.ok("run", "workers", run) == "no worker has reported\n"
    with Client(service_url, cache=False) as client:
        client.report_progress(run, "rank-0", 50, version=1)
        client.report_progress(run, "x", 10**12)
    header, first, second = lrtables.ok("run", "workers", run).splitlines()
    assert header.split() == ["worker", "step", "version", "reported", "at"]
    assert (first.split()[:2], second.split()[:3]) == (["x", "1,000,000,000,000"], ["rank-0", "50", "1"])
    assert lrtables.json("run", "workers", run)["highest"] == 10**12
    refused = lrtables.refused(1, "run", "amend", run, *HOLD)
    assert "the worker x has reported step 1000000000000" in refused
    assert "lrtables run workers NAME" in refused
    assert "has no worker y; it has rank-0, x" in lrtables.refused(2, "run", "workers", run, "--forget", "y")
    assert lrtables.ok("run", "workers", run, "--forget", "x") == "forgotten: x\n"
    lrtables.ok("run", "amend", run, *HOLD)
    assert lrtables.json("run", "workers", run, "--forget-all") == ["rank-0"]


def test_a_job_that_is_started_again_uses_its_run(lrtables: CommandLine, run: str) -> None:
    """A run that was amended since it was created is taken as it is, by --or-use."""
    lrtables.ok("run", "amend", run, *HOLD)
    assert "exists, with another table" in lrtables.refused(1, "run", "create", run, *SCHEDULE)
    assert lrtables.json("run", "create", run, *SCHEDULE, "--or-use")["version"] == 2
    other = ("WarmupWithDecay", "6e-4", "100", "1000")
    assert "was created with another table" in lrtables.refused(1, "run", "create", run, *other, "--or-use")
    assert "no sense for a move" in lrtables.refused(2, "run", "move", run, *SCHEDULE, "--or-use")


def test_a_proposal_is_tried_first(lrtables: CommandLine, run: str, tmp_path: Path) -> None:
    """A dry run of a proposal shows what an amendment would give, and proposes nothing."""
    words = ("run", "propose", run, *HOLD, "--dry-run", "--picture", str(tmp_path / "dry.svg"))
    assert "nothing was changed\nfrom step 600 on: hold the rate\n" in lrtables.ok(*words)
    assert (tmp_path / "dry.svg").read_text().startswith("<svg")
    assert lrtables.json("run", "proposals", run) == []
    assert "needs --dry-run" in lrtables.refused(2, "run", "propose", run, *HOLD, "--picture", "x.svg")


def test_a_name_that_is_spelt_wrong_is_hinted_at(lrtables: CommandLine, run: str) -> None:
    """The error has the names of the namespace that are alike, and how a run is made."""
    line = lrtables.refused(1, "run", "show", run.replace("bert", "brt"))
    assert f"near: {run};" in line
    assert "'lrtables run create'" in line
    namespace, _, own = run.partition("/")
    assert f"near: {run};" in lrtables.refused(1, "run", "history", f"{namespace[:-1]}/{own}")


@pytest.mark.filterwarnings("default")
def test_a_warning_is_a_sentence(lrtables: CommandLine, run: str) -> None:
    """A warning of a schedule is printed without the line of the source that gave it."""
    result = lrtables("run", "amend", run, "--from-step", "600", "--tail", "LinearWarmup 1e-3 400", "--dry-run")
    assert result.code == 0
    assert result.err.startswith("lrtables run amend: warning: ")
    assert ".py" not in result.err


@pytest.mark.parametrize(
    "words", [("run", "list"), ("run", "--help"), ("run", "list", "--json"), ("cache", "ls"), ("show", "bert-base")]
)
def test_a_reader_that_has_gone_is_no_error(lrtables: CommandLine, run: str, words: tuple[str, ...]) -> None:
    """Output into a pipe that nobody reads any more, as `| head` leaves it, ends a command without a word."""
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "lrtables", *words], stdout=writes, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_service_that_is_down_is_said_soon(lrtables: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is tried again for a few seconds only."""
    monkeypatch.setenv("LRTABLES_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    assert "refused for the 3 s of refused_patience" in lrtables("run", "list").err
    assert time.monotonic() - began < 30  # of 45 without it
