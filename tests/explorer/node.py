"""The scripts of this folder, run by Node."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.node import KERNEL, run_script


def run(script: str, *arguments: str, text: str = "") -> str:
    """What a script of this folder prints, given a text to read."""
    return run_script(Path(__file__).with_name(script), *arguments, text=text)


def compute(specs: Iterable[Any], kernel: Path = KERNEL) -> list[dict[str, Any]]:
    """What the kernel says of each spec, in one process: digest, id, canonical JSON and more, or its error."""
    lines = "".join(json.dumps(spec) + "\n" for spec in specs)
    return [json.loads(line) for line in run("compute.mjs", str(kernel), text=lines).splitlines()]
