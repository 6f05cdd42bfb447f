"""1,000 clients ask at once for one table of 1M steps, cold and then warm. Run: python benchmarks/herd.py

`--clients 4096` is a large cluster. Every round starts a new server with an empty data directory on one core, the
clients on another. Each client posts the spec and fetches the table, 8 MB; a herd that is not served whole within five
minutes is an error. Memory is the server's peak above what it held when idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from service.server.file_limit import raise_file_limit
from tests.support.servers.herd import SPEC, STEPS, TABLE, herd, memory_bound
from tests.support.servers.process import ServerProcess


class Round(NamedTuple):
    """The figures of one round: seconds, requests that were answered, computations, and bytes of memory."""

    cold: float
    warm: float
    cold_cpu: float
    warm_cpu: float
    served: int
    computations: int
    cold_memory: int
    warm_memory: int


def measure(clients: int, cores: list[int]) -> Round:
    """One server, one cold herd, one warm herd."""
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), cores={cores[0]}) as server:
        server.get("/readyz")
        idle = server.memory()
        server.reset_peak()
        spent = [server.cpu_seconds()]
        peaks, herds = [], []
        for _ in ("cold", "warm"):
            herds.append(herd(server.port, SPEC, clients))
            spent.append(server.cpu_seconds())
            peaks.append(server.memory("VmHWM") - idle)
        computations = server.counters()["computations"]
    cold, warm = (one.seconds for one in herds)
    served = sum(len(one.statuses) for one in herds)
    return Round(cold, warm, spent[1] - spent[0], spent[2] - spent[1], served, computations, *peaks)


def main() -> None:
    """Measure, round by round, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    raise_file_limit(options.clients)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    rounds = [measure(options.clients, cores) for _ in range(options.rounds)]
    cold, warm = statistics.median(r.cold for r in rounds), statistics.median(r.warm for r in rounds)
    ratio = statistics.median(r.cold / r.warm for r in rounds)
    print(f"{options.clients} clients, a table of {STEPS} steps, medians of {options.rounds} rounds")
    print(f"  cold {cold:.2f} s, warm {warm:.2f} s, cold/warm {ratio:.2f}  (goal: at most 1.30)")
    cpu = statistics.median(r.cold_cpu / r.warm_cpu for r in rounds)
    print(f"  server's processor time, cold/warm {cpu:.2f}  (steadier than the clock when others use the machine)")
    print(f"  served {min(r.served for r in rounds)} of {2 * options.clients}")
    print(f"  computations {max(r.computations for r in rounds)}  (goal: 1)")
    bound = memory_bound(options.clients) / TABLE
    for name in ("cold", "warm"):
        most = max(getattr(r, f"{name}_memory") for r in rounds) / TABLE
        print(f"  memory above idle until {name} is over {most:.1f} tables  (goal: at most {bound:.1f})")


if __name__ == "__main__":
    main()
