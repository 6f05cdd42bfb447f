"""`lrtables run`: the commands of named runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from client.commands import run_amending, run_changing, run_export, run_reading

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_DESCRIPTION = """
A run names the schedule of a training: namespace/name points at a table, and each change is a new version.

The service's address comes from --url or LRTABLES_URL, the token from LRTABLES_TOKEN.
"""

_EXAMPLES = """
examples:
  lrtables run create team-a/bert WarmupWithDecay 5e-4 10000 100000 --reason "first run"
  lrtables run amend team-a/bert --from-step 60000 --cooldown 10000 --shape 1-sqrt --dry-run
  lrtables run history team-a/bert
  lrtables run export team-a/bert --output log-book

The exit code is 0; 1 where the service refuses or cannot be reached; 2 for bad input.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `run` and its commands; `run` of the parsed arguments is a function that returns the exit status."""
    parser = subparsers.add_parser(
        "run",
        help="create, read and change named runs of a service",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (run_changing, run_reading, run_amending, run_export):
        module.add_parsers(commands)
