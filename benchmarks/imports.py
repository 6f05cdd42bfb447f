"""The cost of `import client`, beside that of what it depends on: `python benchmarks/imports.py [--rounds N]`.

Processor time of fresh interpreters, the least of the rounds: what a job pays once, at its start. "What it depends on"
is NumPy, urllib3, and the parts of pydantic that every model loads.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

DEPENDENCIES = """
import numpy, typing_extensions, urllib3
from pydantic import BaseModel, TypeAdapter
from pydantic.dataclasses import dataclass
class Smallest(BaseModel):
    value: int = 0
"""
GOAL = 1.15


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="interpreters started for each (15)")
    rounds = parser.parse_args().rounds
    seconds = {code: [_seconds(code) for _ in range(rounds)] for code in ("import client", DEPENDENCIES)}
    ours, theirs = (min(each) for each in seconds.values())
    print(f"import client: {1000 * ours:.0f} ms, its dependencies: {1000 * theirs:.0f} ms of processor time")
    print(f"  ratio {ours / theirs:.2f}  (goal: at most {GOAL})")


def _seconds(code: str) -> float:
    """Processor time of an interpreter that runs this, bytecode cached."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
