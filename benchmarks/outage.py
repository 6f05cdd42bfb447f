"""500 clients through an outage of 30 s: all succeed, and come back gently. Run: python benchmarks/outage.py

Each client gets a small table every 10 s on average, through a proxy that counts the requests and, for a while, refuses
every connection (`--profile "black hole"`: takes them and never answers). Shown are how the calls ended, and the
requests of the busiest second after the outage beside those of an average one before it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from client import Client
from scheduler.custom import WarmupWithDecay
from service.server.file_limit import raise_file_limit
from tests.support.client.outage import RIGHT, Habits, Outage, outage
from tests.support.servers.fault_profiles import PROFILES
from tests.support.servers.fault_proxy import FaultProxy
from tests.support.servers.process import ServerProcess


def measure(options: argparse.Namespace) -> Outage:
    """One server, one proxy, one outage."""
    raise_file_limit(2 * options.clients)
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        with Client(server.url, cache=False) as client:
            digest = client.fetch(WarmupWithDecay(5e-4, 100, 1000)).digest
        with FaultProxy(server.port) as proxy:
            return outage(
                proxy,
                Habits(digest, options.period),
                clients=options.clients,
                profile=PROFILES[options.profile],
                before=3 * options.period,
                lasts=options.seconds,
            )


def main() -> None:
    """Measure, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the outage")
    parser.add_argument("--period", type=float, default=10.0, help="seconds between the calls of a client, on average")
    parser.add_argument("--profile", choices=["refused", "black hole", "half-open", "reset"], default="refused")
    options = parser.parse_args()
    seen = measure(options)
    failed = {name: number for name, number in seen.calls.items() if name != RIGHT}
    print(f"{options.clients} clients, an outage of {options.seconds:g} s ({options.profile})")
    print(f"  {seen.calls[RIGHT]} calls ended with the table, {failed or 'none'} failed  (goal: none)")
    print(f"  longest call {seen.longest:.1f} s, every client served {seen.recovered:.1f} s after the outage")
    print(f"  requests per second before {seen.steady:.0f}, after {' '.join(map(str, seen.after[:20]))} ...")
    print(f"  busiest second after it / before it {seen.ratio:.2f}  (goal: below 2)")


if __name__ == "__main__":
    main()
