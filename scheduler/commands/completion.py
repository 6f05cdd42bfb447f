"""`lrtables completion`: what lets a shell complete commands, options, files, and the names of kinds and recipes."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.names.aliases import ALIASES
from scheduler.names.lookup import meant_by
from scheduler.recipes import RECIPES
from scheduler.registry import KINDS

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

SHELLS = ("bash", "zsh", "fish")

_DESCRIPTION = """
Print a script that lets a shell complete commands, options, files, and the names of kinds and recipes, in any case.
It needs the extra 'completion': pip install 'lrtables[completion]'.

  bash   eval "$(lrtables completion bash)"                                   in ~/.bashrc
  zsh    eval "$(lrtables completion zsh)"                                    in ~/.zshrc, below compinit
  fish   lrtables completion fish > ~/.config/fish/completions/lrtables.fish  once
"""
_SCHEDULES = {"words", "a", "b", "tail", "kind"}  # arguments that take the name of a kind or a recipe
_FILES = {"FILE", "FOLDER", "DIRECTORY", "LOG", "PATH"}  # what arguments that take a file are called
_FUNCTION = "_lrtables_names"
_PREAMBLES = {
    "bash": """
# the names that begin with $1, in any case, and the files
{function}() {{
  local name
  for name in {names}; do
    if [[ "${{name,,}}" == "${{1,,}}"* ]]; then printf '%s\\n' "$name"; fi
  done
  compgen -f -- "$1"
}}
""",
    "zsh": """
{function}() {{
  compadd -M 'm:{{[:lower:][:upper:]}}={{[:upper:][:lower:]}}' -- {names}
  _files
}}
""",
    "fish": """
function {function}
  printf '%s\\n' {names}
  __fish_complete_path (commandline -ct)
end
""",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add the command. `run` of the parsed arguments, whose `root` is the whole parser, returns the exit status."""
    parser = subparsers.add_parser(
        "completion",
        help="print the script that lets a shell complete commands and names",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script of a shell. Returns 0, or 2 where the extra is missing, after a line on stderr."""
    try:
        import shtab  # noqa: PLC0415  # an extra
    except ImportError:
        needs = "lrtables completion: it needs the extra 'completion': pip install 'lrtables[completion]'"
        print(needs, file=sys.stderr)
        return 2
    for action in _actions(arguments.root):
        if action.dest in _SCHEDULES:
            vars(action)["complete"] = {"bash": _FUNCTION, "zsh": _FUNCTION, "fish": f"({_FUNCTION})"}
        elif action.type is Path or action.metavar in _FILES:
            vars(action)["complete"] = shtab.FILE
    names = " ".join(map(shlex.quote, typed_names()))
    preamble = _PREAMBLES[arguments.shell].format(function=_FUNCTION, names=names)
    print(shtab.complete(arguments.root, arguments.shell, preamble=preamble))
    return 0


def typed_names() -> list[str]:
    """Every name that people type: kinds, without their library's prefix where one has it, recipes and aliases."""
    known = (*RECIPES, *KINDS)
    short = {name.rpartition(".")[2] for name in KINDS}
    return sorted({*known, *ALIASES, *(name for name in short if len(meant_by(name, known)) == 1)})


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
