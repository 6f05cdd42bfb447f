"""Bytes that 1,000 workers move for one table of 1M steps, by each way to it. Run: python benchmarks/transfer.py

Every worker is a client of its own, and a proxy before the server counts what passes, heads included. Of the workers
that receive the bytes only some are run (`--received`): each moves the same, give or take a digit in a head.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from client import Client
from scheduler import Table
from scheduler.custom import WarmupWithDecay
from tests.support.servers.fault_proxy import FaultProxy
from tests.support.servers.process import ServerProcess

STEPS = 1_000_000
SCHEDULE = WarmupWithDecay(5e-4, STEPS // 10, STEPS, min_lr=1e-6)
GOAL = 500  # the raw bytes of the tables are so many times those that are moved by computing


def moved(proxy: FaultProxy, workers: int, make: Callable[[], Client], right: Table) -> int:
    """Bytes that pass while each of so many workers fetches the table."""
    before = proxy.counts.sent + proxy.counts.received
    for _ in range(workers):
        with make() as client:
            assert client.fetch(SCHEDULE, on_unreachable="error") == right
    return proxy.counts.sent + proxy.counts.received - before


def main() -> None:
    """Measure each way, and print the bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--received", type=int, default=20, help="workers that are run of those that receive the bytes")
    options = parser.parse_args()
    right = SCHEDULE.table(STEPS)
    raw = options.workers * right.layout.nbytes
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(Path(folder, "data")) as server,
        FaultProxy(server.port) as proxy,
    ):
        cache = Path(folder, "cache")
        some = moved(proxy, options.received, lambda: Client(proxy.url, cache=False, compute=False), right)
        shares = {
            "received": some * options.workers / options.received,
            "computed": moved(proxy, options.workers, lambda: Client(proxy.url, cache=False), right),
            "one machine": moved(proxy, options.workers, lambda: Client(proxy.url, cache=cache), right),
        }
    print(f"{options.workers} workers, a table of {STEPS} steps: {raw:,} bytes of values")
    notes = {
        "received": f"of {options.received} workers, times {options.workers / options.received:g}",
        "computed": f"goal: at most 1/{GOAL} of the values",
        "one machine": "the first computes, the others find it in their cache",
    }
    for name, nbytes in shares.items():
        print(f"  {name:12} {nbytes:13,.0f} bytes, 1/{raw / nbytes:,.2f} of the values  ({notes[name]})")


if __name__ == "__main__":
    main()
