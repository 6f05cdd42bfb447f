"""From a cached table to its first rate, side by side: `python benchmarks/client_start.py [--rounds N] [--steps N]`.

What a rank pays at each start after the first one on its machine. The clock starts with everything imported and a
client made, and stops when the first rate is a Python float. The median of the rounds is printed, in microseconds; for
the first call of a new process, that of 21 processes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from client import Client
from client.cache.folders import DEFAULT_BYTES
from client.cache.node_cache import NodeCache
from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay

GOAL, PROCESSES = 300.0, 21


def median(work: Callable[[], object], rounds: int) -> float:
    """Microseconds of one call."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(times)


FIRST = """
import sys, time
from pathlib import Path
from client import Client
from client.cache.node_cache import NodeCache
from scheduler.custom import WarmupWithDecay
way, folder, steps, digest = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
client, cache = Client(offline=True, cache=folder), NodeCache(Path(folder), 2**31)
begin = time.perf_counter()
if way == "open":
    table = cache.open(digest)
elif way == "get":
    table = client.get(digest)
else:
    table = client.fetch(WarmupWithDecay(5e-4, steps // 100, steps, min_lr=1e-6))
table.get_lr(0)
print(time.perf_counter() - begin)
"""


def first_call(way: str, folder: str, steps: int, digest: str) -> float:
    """Microseconds of the first call of a new process."""
    command = [sys.executable, "-c", FIRST, way, folder, str(steps), digest]
    return 1e6 * statistics.median(
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(PROCESSES)
    )


def main() -> None:
    """Fill a cache and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=501, help="times that each way is timed (501)")
    parser.add_argument("--steps", type=int, default=1_000_000, help="rows of the table (1,000,000)")
    options = parser.parse_args()

    def spec() -> Spec:
        schedule = WarmupWithDecay(5e-4, options.steps // 100, options.steps, min_lr=1e-6)
        return Spec(schedule=schedule, total_steps=options.steps)

    table = Table.compute(spec())
    with tempfile.TemporaryDirectory() as name:
        cache = NodeCache(Path(name), DEFAULT_BYTES)
        cache.keep(table)
        cache.remember(table.spec.id, table.digest)  # type: ignore[union-attr]  # computed from one
        with Client(offline=True, cache=Path(name)) as client:
            ways: dict[str, Callable[[], float]] = {
                "get by digest": lambda: client.get(table.digest).get_lr(0),
                "fetch of a new spec": lambda: client.fetch(spec()).get_lr(0),
                "fetch with a pinned digest": lambda: client.fetch(spec(), digest=table.digest).get_lr(0),
                "get, every byte verified": lambda: cache.open(table.digest, verify=True).get_lr(0),  # type: ignore[union-attr]  # it is there
                "compute and hash": lambda: _first(Table.compute(spec())),
            }
            print(f"{table.nbytes} bytes, median of {options.rounds} rounds, in microseconds")
            for label, way in ways.items():
                is_slow = label in ("get, every byte verified", "compute and hash")
                print(f"  {label:28} {median(way, options.rounds // 20 + 1 if is_slow else options.rounds):10.1f}")
            assert client.stats().requests == 0
        for call in ("open", "get", "fetch"):
            label = f"{call}, first of a process"
            print(f"  {label:28} {first_call(call, name, options.steps, table.digest):10.1f}")
    print(f"  goal: from opening the cached table at most {GOAL:.0f}")


def _first(table: Table) -> float:
    """The first rate of a table whose digest was computed."""
    assert table.digest
    return table.get_lr(0)


if __name__ == "__main__":
    main()
