"""`lrtables completion`: a real bash completes commands, options, files, and the names of kinds and recipes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lrtables.__main__ import main
from scheduler import KINDS
from scheduler.commands.completion import SHELLS, typed_names
from scheduler.commands.typed import typed_name
from scheduler.recipes import RECIPES

_COMPLETE = """
source {script}
while IFS= read -r line; do
    eval "COMP_WORDS=($line)"
    COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
    _shtab_lrtables
    echo "${{COMPREPLY[*]}}"
done
"""


def script_of(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def test_every_name_that_is_completed_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name that is offered leads to one kind or recipe, and every kind and recipe is offered, in each shell."""
    names = typed_names()
    assert {*map(typed_name, names)} == {*KINDS, *RECIPES} <= {*names}
    for shell in SHELLS:
        script = script_of(shell, capsys)
        assert [name for name in names if f" {name}" not in script] == []


@pytest.mark.needs("bash")
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options, kinds with and without a prefix, recipes, aliases and files are completed, in any case."""
    (tmp_path / "script.bash").write_text(script_of("bash", capsys))
    (tmp_path / "wished.json").write_text("{}")
    expected = {
        "lrtables comp": "compare completion",
        "lrtables completion f": "fish",
        "lrtables show ber": "bert-base",
        "lrtables show warmup": "WarmupCosineLR WarmupDecayLR WarmupLR WarmupWithDecay warmup_stable_decay",
        "lrtables show TORCH.one": "torch.OneCycleLR",
        "lrtables show w": None,
        "lrtables show --ste": "--steps",
        "lrtables compare Constant noa": "noam",
        "lrtables run create a/b llama": "llama-2-7b llama-3-405b",
        "lrtables run amend a/b --tail ram": "Ramp",
        "lrtables run list --kind step": "StepLR step",
        "lrtables fetch 1c": "1cycle",
        "lrtables publish wished": "wished.json",
        "lrtables audit wished": "wished.json",
    }
    program = _COMPLETE.format(script=shlex.quote(str(tmp_path / "script.bash")))
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        input="".join(f"{words}\n" for words in expected),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = dict(zip(expected, done.stdout.splitlines(), strict=True))
    with_files = found.pop("lrtables show w").split()
    assert {"wsd", "warm_restarts", "wav2vec2-large-960h", "wished.json"} <= {*with_files}
    assert found == {words: names for words, names in expected.items() if names is not None}
    assert done.stderr == ""


def test_without_the_extra_one_line_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where shtab is not installed, the command says what to install, and exits with 2."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err.endswith("pip install 'lrtables[completion]'\n")
