"""Every command and every option is completed, in each shell."""

from __future__ import annotations

import argparse
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrtables.__main__ import main
from scheduler.commands import completion

_BASH = """
source {script}
while IFS= read -r line; do
    COMP_WORDS=($line "$TYPED")
    COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
    _shtab_lrtables
    echo "${{COMPREPLY[*]}}"
done
"""
_FISH = 'source {script}; while read -l line; echo (complete -C "$line $TYPED" | string split -f1 \\t); end'


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, of its own commands and of `lrtables` itself, by the words that lead to it."""
    found: list[argparse.Namespace] = []
    with monkeypatch.context() as patched:
        patched.setattr(completion, "run", found.append)
        main(["completion", "bash"])
    return dict(_parsers("lrtables", found[0].root))


def _parsers(words: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield words, parser
    for name, command in _commands(parser).items():
        yield from _parsers(f"{words} {name}", command)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    choices = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: command for each in choices for name, command in each.items()}


def _options(parser: argparse.ArgumentParser) -> set[str]:
    return {text for action in parser._actions for text in action.option_strings if text.startswith("--")}


@pytest.mark.parametrize(
    ("program", "script"),
    [
        pytest.param(["bash", "--norc", "-c"], _BASH, marks=pytest.mark.needs("bash"), id="bash"),
        pytest.param(["fish", "--no-config", "-c"], _FISH, marks=pytest.mark.needs("fish"), id="fish"),
    ],
)
def test_every_command_and_option_is_completed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    commands: dict[str, argparse.ArgumentParser],
    program: list[str],
    script: str,
) -> None:
    """Behind each command its options are offered, and behind one that has commands those."""
    file = tmp_path / "script"
    assert main(["completion", program[0]]) == 0
    file.write_text(capsys.readouterr().out)

    def offered(typed: str) -> dict[str, set[str]]:
        done = subprocess.run(
            [*program, script.format(script=shlex.quote(str(file)))],
            input="".join(f"{words}\n" for words in commands),
            env={"TYPED": typed, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        return {words: {*line.split()} for words, line in zip(commands, lines, strict=True)}

    missing = {words: _options(commands[words]) - found for words, found in offered("--").items()}
    assert {words: names for words, names in missing.items() if names} == {}
    missing = {words: {*_commands(commands[words])} - found for words, found in offered("").items()}
    assert {words: names for words, names in missing.items() if names} == {}


@pytest.mark.needs("zsh")
def test_zsh_takes_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real zsh reads the script below compinit, and completes `lrtables` by its function."""
    assert main(["completion", "zsh"]) == 0
    (tmp_path / "script.zsh").write_text(capsys.readouterr().out)
    named = "print $_comps[lrtables]; whence -w $_comps[lrtables]"
    program = f'autoload -U compinit; compinit -D -u; eval "$(< script.zsh)"; {named}'
    done = subprocess.run(["zsh", "-f", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("_shtab_lrtables\n_shtab_lrtables: function\n", "")
