"""The server's commands, run to their end in forks of a process that has imported what they need."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.support.preloaded import Preloaded

MODULES = (
    "alembic.command",
    "scheduler.builtin",
    "scheduler.compose",
    "scheduler.custom",
    "scheduler.libraries",
    "service.app",
    "service.commands.serve",
    "service.observability.logs",
    "service.operations.doctor",
    "service.server.connection",
    "service.server.file_limit",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
)


def run_command(*arguments: object, **environment: str) -> tuple[int, str, str]:
    """A command's exit status, and what it wrote to stdout and stderr. Every warning is an error."""
    words = ["-m", "service", *map(str, arguments)]
    given = {**os.environ, **environment}
    if preloaded_commands().suits(given):
        ended = preloaded_commands().run(words, folder=Path.cwd(), environment=given, warnings="error")
        return ended.returncode, ended.stdout, ended.stderr
    command = [sys.executable, "-W", "error", *words]
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


@cache
def preloaded_commands() -> Preloaded:
    """The process that has imported what commands need."""
    preloaded = Preloaded(*MODULES, path=str(Path(__file__).parents[3]))
    atexit.register(preloaded.close)
    return preloaded
