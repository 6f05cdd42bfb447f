"""The commands of `lrtables`. Each is a module with a function `add_parser`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Protocol

from scheduler.commands import compare, completion, show
from service.commands import data, db, doctor, explorer, serve, token


class Command(Protocol):
    """A module of one command or several."""

    def add_parser(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> Any:
        """Add the parser; `run` of the parsed arguments is a function that returns the exit status."""


COMMANDS: Sequence[Command] = (serve, show, compare, completion, explorer, token, data, db, doctor)
"""The commands that need no client."""
