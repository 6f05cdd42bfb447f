"""`lrtables run` creates, shows, lists, compares, moves, locks, deletes and watches runs; errors are one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scheduler import Spec, Table
from scheduler.compose import Constant
from scheduler.custom import WarmupWithDecay

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

SCHEDULE = ("WarmupWithDecay", "5e-4", "100", "1000")
TABLE = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000).table()


def test_a_run_is_created_as_it_is_typed(lrtables: CommandLine, name: str) -> None:
    """A kind with its parameters, and options before or behind them; the line says version and digest."""
    out = lrtables.ok("run", "create", name, *SCHEDULE, "--reason", "first run", "--label", "model=bert")
    assert out == f"{name} version 1 (create) digest {TABLE.digest}\n"
    run = lrtables.json("run", "show", name)
    assert (run["reason"], run["labels"], run["total_steps"]) == ("first run", {"model": "bert"}, 1000)
    assert lrtables.ok("run", "create", name, *SCHEDULE) == out
    refused = lrtables.refused(1, "run", "create", name, "Constant", "0.1", "--steps", "10")
    assert "--or-use takes the run as it is now, if it was created with this" in refused
    assert lrtables.ok("run", "proposals", name) == f"{name} has no proposal\n"


@pytest.mark.parametrize("form", ["json", "file", "table", "digest", "recipe"])
def test_a_schedule_is_typed_in_every_form(lrtables: CommandLine, name: str, tmp_path: Path, form: str) -> None:
    """JSON, a file of it, a table's file, the digest of a stored table, a recipe with a length."""
    spec = Spec(schedule=Constant(0.1), total_steps=50)
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    table = Table({"lr": np.linspace(0.1, 0.0, 50)})
    table.save(tmp_path / "table.safetensors")
    lrtables.ok("run", "create", f"{name}-0", spec.model_dump_json())
    words, digest = {
        "json": ([spec.model_dump_json()], spec.table().digest),
        "file": ([str(tmp_path / "spec.json")], spec.table().digest),
        "table": ([str(tmp_path / "table.safetensors")], table.digest),
        "digest": ([spec.table().digest], spec.table().digest),
        "recipe": (["bert-base", "--steps", "64"], None),
    }[form]
    run = lrtables.json("run", "create", name, *words)
    assert run["digest"] == digest or (form == "recipe" and run["total_steps"] == 64)


def test_a_run_is_shown(lrtables: CommandLine, name: str) -> None:
    """Version, digest, length, schedule, who, why, and a chart."""
    lrtables.ok("run", "create", name, *SCHEDULE, "--reason", "first run", "--rule", "max_lr=0.5")
    out = lrtables.ok("run", "show", name)
    assert f"{name}  version 1  (create)\ndigest {TABLE.digest}\n1,000 steps\n" in out
    assert "schedule custom.WarmupWithDecay(base_lr=0.0005, warmup_steps=100, total_steps=1000, min_lr=0.0)" in out
    assert "by anybody at 20" in out
    assert ": first run\n" in out
    assert "max_lr=0.5" in out
    assert "0.0005 ┤" in out


def test_versions_are_listed_and_compared(lrtables: CommandLine, name: str) -> None:
    """`history` has a line for each version; `diff` says where two differ, by how much, and draws both."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    lrtables.ok("run", "move", name, "WarmupWithDecay", "1e-3", "100", "1000", "--reason", "higher")
    header, first, second = lrtables.ok("run", "history", name).splitlines()
    assert header.split() == ["version", "action", "from", "length", "author", "at", "digest", "reason"]
    assert first.split()[:3] == ["1", "create", "1,000"]
    assert second.endswith("higher")
    out = lrtables.ok("run", "diff", name)
    assert "lr: different in 1,000 of 1,000 steps, first in step 0" in out
    assert "step 0: lr is 5e-06 in A, 1e-05 in B" in out
    assert "largest factor of the rate: 2\n" in out
    found = lrtables.json("run", "diff", name, "1", "2")
    assert (found["first_step"], found["largest_factor"], found["equal"]) == (0, 2.0, False)
    assert lrtables.json("run", "diff", name, "1", "1")["equal"]
    assert "has one version only" not in lrtables.ok("run", "diff", name, "1", "2")


def test_runs_are_listed_and_searched(lrtables: CommandLine, name: str) -> None:
    """A line for each run, by begin of the name, label, kind and digest; the newest first where asked."""
    namespace = name.partition("/")[0]
    for number in (1, 2, 3):
        own = f"{namespace}/run-{number}"
        lrtables.ok("run", "create", own, "Constant", f"0.{number}", "--steps", "10", "--label", f"n={number}")
    header, *rows = lrtables.ok("run", "list", f"{namespace}/").splitlines()
    assert header.split() == ["run", "version", "action", "length", "digest", "at", "labels"]
    assert [row.split()[0] for row in rows] == [f"{namespace}/run-{number}" for number in (1, 2, 3)]
    for words, numbers in (
        (["--label", "n:2"], [2]),
        (["--kind", "Constant"], [1, 2, 3]),
        (["--kind", "Ramp"], []),
        (["--contains", "N-2"], [2]),
        (["--newest", "--limit", "2"], [3, 2]),
    ):
        found = lrtables.json("run", "list", f"{namespace}/", *words)
        assert [run["name"] for run in found] == [f"run-{number}" for number in numbers]
    digest = lrtables.json("run", "show", f"{namespace}/run-3")["digest"]
    assert [run["name"] for run in lrtables.json("run", "list", f"{namespace}/", "--digest", digest[:10])] == ["run-3"]
    assert lrtables.ok("run", "list", "nobody/") == ""


def test_one_version_has_nothing_to_be_compared_with(lrtables: CommandLine, name: str) -> None:
    """A run of one version is told so."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    assert "has one version only: there is nothing to compare it with" in lrtables.refused(2, "run", "diff", name)


def test_a_run_is_changed_as_a_whole(lrtables: CommandLine, name: str) -> None:
    """Lock, unlock, set, rollback, delete: each is one line; a locked run refuses with status 1."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    lrtables.ok("run", "lock", name, "--reason", "paper")
    assert "answered 423" in lrtables.refused(1, "run", "move", name, "Constant", "0.1", "--steps", "10")
    assert "locked: it refuses every change" in lrtables.ok("run", "show", name)
    lrtables.ok("run", "unlock", name)
    assert "labels a=1" in lrtables.ok("run", "set", name, "--label", "a=1", "--rule", "margin_steps=50")
    lrtables.ok("run", "move", name, "Constant", "0.1", "--steps", "10", "--if-version", "1")
    assert "version 3 (rollback)" in lrtables.ok("run", "rollback", name, "1")
    assert "is at version 3, not at 2" in lrtables.refused(1, "run", "delete", name, "--if-version", "2")
    assert "version 4 (delete)" in lrtables.ok("run", "delete", name)
    assert "answered 410" in lrtables.refused(1, "run", "show", name)


def test_words_of_others_do_not_control_the_terminal(lrtables: CommandLine, name: str) -> None:
    """Control characters and line ends of a reason are escaped, in a line of `show` as in a cell of `history`."""
    lrtables.ok("run", "create", name, *SCHEDULE, "--reason", "a\x1b[2J\x9b\u202e\nb\tc\rd", "--label", "k=x\x07y")
    shown, history, listed = (
        lrtables.ok("run", *words) for words in (["show", name], ["history", name], ["list", name.partition("/")[0]])
    )
    assert len(history.splitlines()) == 2
    assert history.endswith("  a\\x1b[2J\\x9b\\u202e\\nb\\tc\\rd\n")
    assert ": a\\x1b[2J\\x9b\\u202e\\nb\\tc\\rd\n" in shown
    for out in (shown, listed):
        assert "k=x\\x07y" in out
        assert all(line.isprintable() for line in out.split("\n"))


def test_changes_are_watched(lrtables: CommandLine, name: str) -> None:
    """A line for each change, or JSON lines for programs."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    lrtables.ok("run", "lock", name)
    first, second = lrtables.ok("run", "watch", name, "--since", "0", "--count", "2").splitlines()
    assert f"{name} version 1  create by anybody  {TABLE.digest[:12]}" in first
    assert "lock by anybody" in second
    lines = lrtables.ok("run", "watch", name, "--since", "0", "--count", "2", "--json").splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["create", "lock"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["create", "bert", "Constant", "0.1", "--steps", "9"], "a run's name must be like team-a/bert-base"),
        (["create", "a/b"], "a schedule is needed behind the name"),
        (["create", "a/b", "Constant", "0.1"], "--steps is needed: Constant has no end of its own"),
        (["create", "a/b", "Constnt", "0.1"], "did you mean Constant or "),
        (["create", "a/b", "Constant", "0.1", "--steps", "0"], "--steps must be a whole number"),
        (["create", "a/b", "0" * 64, "--steps", "3"], "--steps makes no sense beside a table"),
        (["create", "a/b", "Constant", "0.1", "--steps", "3", "--label", "x"], "--label must be like key=value"),
        (["create", "a/b", "Constant", "0.1", "--steps", "3", "--rule", "max_lr=x"], "--rule max_lr must be a number"),
        (["create", "a/b", "Constant", "0.1", "--steps", "3", "--if-version", "1"], "--if-version makes no sense"),
        (["set", "a/b"], "nothing is to be set: give --label, --rule, --no-rule or --clear-rules"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(lrtables: CommandLine, words: list[str], message: str) -> None:
    """Exit status 2, one line on standard error, nothing on standard output, and nothing is sent."""
    line = lrtables.refused(2, "run", *words)
    assert line.startswith(f"lrtables run {words[0]}: ")
    assert message in line


def test_an_address_is_needed(lrtables: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --url and LRTABLES_URL the line says what to do."""
    monkeypatch.delenv("LRTABLES_URL")
    assert "--url http://127.0.0.1:8000, or the environment variable LRTABLES_URL" in lrtables.refused(2, "run", "list")


def test_every_command_has_a_help(lrtables: CommandLine) -> None:
    """`--help` explains each command and exits with 0."""
    assert "lrtables run amend team-a/bert --from-step" in lrtables("run", "--help").out
    for command in ("create", "move", "show", "list", "history", "diff", "amend", "propose", "watch", "export"):
        result = lrtables("run", command, "--help")
        assert (result.code, result.err) == (0, "")
        assert f"usage: lrtables run {command}" in result.out
