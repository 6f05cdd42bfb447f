"""`lrtables fetch` and `lrtables publish`: a service's tables as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay
from scheduler.recipes import recipe

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 10, 100), total_steps=100)
TYPED = ("warmupwithdecay", "5e-4", "10", "100")
DIGEST = Table.compute(SPEC).digest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_schedule_is_fetched_into_a_file(lrtables: CommandLine, folder: Path) -> None:
    """A typed schedule is fetched from the service, and its table written beside; digest, length and file are told."""
    lines = lrtables.ok("fetch", *TYPED).splitlines()
    assert lines[:2] == [f"digest {DIGEST}", "100 steps"]
    assert lines[-1] == f"file {DIGEST[:12]}.safetensors"
    assert Table.load(folder / f"{DIGEST[:12]}.safetensors").digest == DIGEST


def test_a_recipe_with_parameters_is_fetched(lrtables: CommandLine, folder: Path) -> None:
    """A recipe's parameters, options between them, and a file of one's own."""
    made = lrtables.json("fetch", "BERT-base", "base_lr=3e-4", "--output", "bert.safetensors", "--total-steps=1e3")
    expected = Table.compute(recipe("bert-base", base_lr=3e-4, total_steps=1000).spec)
    assert (made["digest"], made["total_steps"], made["file"]) == (expected.digest, 1000, "bert.safetensors")
    assert Table.load(folder / "bert.safetensors").digest == expected.digest


def test_what_was_published_is_fetched_by_every_name(
    lrtables: CommandLine, service_url: str, name: str, folder: Path
) -> None:
    """A published file is fetched by digest, by URL, and through a run by name, version and URL."""
    values = Table({"lr": np.linspace(0.5, 0.25, 7)})
    values.save(folder / "own.safetensors")
    assert lrtables.ok("publish", "own.safetensors") == f"digest {values.digest}\n7 steps\n"
    assert lrtables.json("publish", "own.safetensors")["digest"] == values.digest
    lrtables.ok("run", "create", name, "own.safetensors")
    lrtables.ok("run", "move", name, "Constant", "0.1", "--steps", "3")
    for words in (
        [values.digest],
        [f"{service_url}/v1/tables/{values.digest}"],
        [f"{service_url}/v1/tables/{values.digest}.safetensors"],
        [name, "--version", "1"],
        [f"{service_url}/v1/runs/{name}/versions/1"],
    ):
        assert lrtables.json("fetch", *words)["digest"] == values.digest
    assert lrtables.json("fetch", f"{service_url}/v1/runs/{name}")["total_steps"] == 3


def test_a_schedule_is_published_by_its_values(lrtables: CommandLine) -> None:
    """`publish` takes a schedule, too: its table is computed here."""
    assert lrtables.json("publish", *TYPED)["digest"] == DIGEST


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (2, "fetch", "lrtables fetch: what to fetch is needed"),
        (2, "fetch Constant 0.1", "lrtables fetch: --steps is needed: Constant has no end of its own"),
        (2, "fetch warmupwithdecai 1 2 3", "there is no kind of schedule called 'warmupwithdecai', nor a recipe: did"),
        (2, "fetch Constant 0.1 --steps 3 --output x.csv", "--output must end in .safetensors, got x.csv"),
        (2, "fetch Constant 0.1 --steps 3 --version 2", "--version 2 is for the name of a run, got 'Constant'"),
        (2, "fetch http://127.0.0.1:1/v1/server", "a URL must be that of a table or a run, .../v1/tables/DIGEST"),
        (2, f"fetch http://h/v1/tables/{DIGEST} --url http://g", "--url http://g makes no sense beside a URL"),
        (2, f"fetch {DIGEST} --steps 3", "--steps makes no sense beside a table, which has its own, got 3"),
        (2, "fetch here.safetensors", "here.safetensors is a table's file already"),
        (2, "fetch team/bert --version 0", "lrtables fetch: --version must be at least 1, got 0"),
        (2, "publish none.safetensors", "lrtables publish: No such file or directory: 'none.safetensors'"),
        (1, f"fetch {'0' * 64}", "lrtables fetch: "),
        (1, "fetch nobody/none", "lrtables fetch: "),
    ],
    ids=[
        *("nothing", "no-end", "unknown-kind", "suffix", "version-of-a-kind", "other-url", "two-addresses"),
        *("steps-of-a-digest", "own-file", "version-0", "no-file", "unknown-digest", "unknown-run"),
    ],
)
def test_what_cannot_be_is_one_line(lrtables: CommandLine, code: int, words: str, message: str) -> None:
    """Bad input exits with 2, a service's refusal with 1, and nothing is written."""
    assert message in lrtables.refused(code, *words.split())
    assert list(Path.cwd().glob("*.safetensors")) == []


def test_a_token_is_not_sent_to_the_service_of_a_pasted_url(
    lrtables: CommandLine, service_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's token is for its service: a URL of another one needs --url to be sent it."""
    monkeypatch.setenv("LRTABLES_TOKEN", "secret")
    url = f"http://127.0.0.1:1/v1/tables/{DIGEST}"
    line = lrtables.refused(2, "fetch", url)
    assert f"the token in the environment is for {service_url}" in line
    assert line.endswith(f"say {DIGEST} --url http://127.0.0.1:1\n")


def test_the_rates_of_a_file_are_a_tail(lrtables: CommandLine, name: str, folder: Path) -> None:
    """`run amend --tail` takes a table's file: its rates are in force from the step on; other columns are refused."""
    lrtables.ok("run", "create", name, "Constant", "0.5", "--steps", "10")
    Table({"lr": np.linspace(0.4, 0.1, 4)}).save(folder / "tail.safetensors")
    lrtables.ok("run", "amend", name, "--from-step", "6", "--tail", "tail.safetensors")
    lrtables.ok("fetch", name, "--output", "amended.safetensors")
    assert Table.load(folder / "amended.safetensors").lr.tolist() == [0.5] * 6 + np.linspace(0.4, 0.1, 4).tolist()
    Table({"lr": np.ones(2), "momentum": np.ones(2)}).save(folder / "tail.safetensors")
    line = lrtables.refused(2, "run", "amend", name, "--from-step", "6", "--tail", "tail.safetensors")
    assert "--tail takes a table of rates alone, and tail.safetensors has momentum" in line


def test_a_damaged_file_is_not_published(lrtables: CommandLine, folder: Path) -> None:
    """A file that is no table, or one whose values changed, is refused with its name."""
    Table.compute(SPEC).save(folder / "own.safetensors")
    data = bytearray((folder / "own.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "own.safetensors").write_bytes(data)
    assert lrtables.refused(2, "publish", "own.safetensors").startswith("lrtables publish: own.safetensors: ")


def test_runs_are_listed_by_a_kind_in_any_case(lrtables: CommandLine, name: str) -> None:
    """`run list --kind` takes a kind as it is typed, and an unknown one gets advice."""
    lrtables.ok("run", "create", name, *TYPED)
    found = lrtables.json("run", "list", name, "--kind", "WARMUPWITHDECAY")
    assert [run["name"] for run in found] == [name.partition("/")[2]]
    assert "did you mean custom.WarmupWithDecay" in lrtables.refused(2, "run", "list", "--kind", "warmupwithdecai")


def test_the_help_has_every_option(lrtables: CommandLine) -> None:
    """`--help` behind the words is the command's help."""
    for words in (("fetch", "--help"), ("fetch", "noam", "--help")):
        assert "--output FILE" in lrtables.ok(*words)
