"""The scripts of this folder, run by Node."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from service.explorer.reading import reading
from tests.support.node import KERNEL, run_script


def run(script: str, *arguments: str, text: str = "") -> str:
    """What a script of this folder prints, given a text to read."""
    return run_script(Path(__file__).with_name(script), *arguments, text=text)


def compute(specs: Iterable[Any], kernel: Path = KERNEL) -> list[dict[str, Any]]:
    """What the kernel says of each spec, in one process: digest, id, canonical JSON and more, or its error."""
    lines = "".join(json.dumps(spec) + "\n" for spec in specs)
    return [json.loads(line) for line in run("compute.mjs", str(kernel), text=lines).splitlines()]


def pasted(requests: Sequence[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What the page makes of each text that is pasted, with what its reader gave; a file is left in the folder."""
    facts = folder / "facts.json"
    facts.write_text(json.dumps(reading()))
    lines = "".join(json.dumps(each) + "\n" for each in requests)
    found: list[dict[str, Any]] = json.loads(run("paste.mjs", str(facts), text=lines))
    return found
