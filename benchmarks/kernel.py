"""Tables computed in Python and in JavaScript, as the explorer does, side by side. Run: python benchmarks/kernel.py

Both compute the same specs, with what they remember of lengths from one round to the next, and the shortest time of
each is printed. Node must be there: `make explorer` installs it. Python's hash is OpenSSL's, the page's is JavaScript.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scheduler import Schedule, Spec, Table
from scheduler.compose import Power, Ramp
from scheduler.custom import CyclicLR, ExponentialWarmup, OneCycleLR, WarmupWithDecay
from tests.support.node import KERNEL, run_script


def cases(n: int) -> list[Schedule]:
    """A schedule of each way of computing, n steps long."""
    return [
        WarmupWithDecay(5e-4, n // 10, n, min_lr=1e-6),
        OneCycleLR(0.1, n, anneal_strategy="linear"),
        ExponentialWarmup(1e-3, n),
        CyclicLR(1e-4, 1e-1, 2000, mode="triangular2"),
        Ramp(0.1, 1e-4, n, "tanh"),
        Ramp(0.1, 1e-4, n, "log"),
        Power(1e-3, -0.51, 100.0),
    ]


def shortest(rounds: int, work: Callable[[], object]) -> float:
    """The shortest wall time of several calls, in milliseconds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return 1000 * min(times)


def digest(spec: Spec) -> str:
    """The digest of the table of a spec, computed anew."""
    return Table.compute(spec).digest


def main() -> None:
    """Print a row per schedule: milliseconds in each language, and how many times Python's JavaScript takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    specs = [Spec(schedule=schedule, total_steps=options.steps) for schedule in cases(options.steps)]
    asked = {"specs": [json.loads(spec.canonical()) for spec in specs], "rounds": options.rounds}
    script = Path(__file__).with_suffix(".mjs")
    found = json.loads(run_script(script, str(KERNEL), text=json.dumps(asked)))
    heads = "Python  JavaScript  ratio"
    print(f"{options.steps:,} steps, milliseconds{'':12}{heads}{'':9}with digest: {heads}")
    for spec, (alone, hashed) in zip(specs, found, strict=True):
        ours = shortest(options.rounds, spec.table)
        ours_hashed = shortest(options.rounds, partial(digest, spec))
        (schedule,) = spec.schedules
        mode = getattr(schedule, "shape", getattr(schedule, "mode", ""))
        print(
            f"  {schedule.kind + ' ' + mode:32}{ours:10.1f}{alone:12.1f}{alone / ours:6.1f}x"
            f"{ours_hashed:25.1f}{hashed:12.1f}{hashed / ours_hashed:6.1f}x"
        )


if __name__ == "__main__":
    main()
