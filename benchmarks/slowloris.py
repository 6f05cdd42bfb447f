"""Clients that hold connections with next to nothing, and one that works. Run: python benchmarks/slowloris.py

200 attackers of each of four kinds (silent; headers, or a body, a byte at a time; a response taken a few bytes at a
time) hold a server on one core, while wrk asks it for a manifest from the other core. Shown is how much longer the
responses take than without attackers, and how long each attacker lived beside its deadline.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from benchmarks.wrk import Load, load
from service.server.deadlines import MIN_BYTES_PER_SECOND
from tests.support.servers.attackers import BODY, HEADERS, SILENT, WINDOW, Attacker, Life, live, reader
from tests.support.servers.herd import SPEC
from tests.support.servers.process import ServerProcess, post

DEADLINES: dict[str, float] = {"idle_seconds": 10, "header_seconds": 8, "body_seconds": 9, "send_seconds": 9}
_KINDS = dict(zip(("silent", "dripped headers", "dripped body", "slow reader"), DEADLINES.values(), strict=True))
# Linux takes twice as much, and what it takes extends the deadline
_KINDS["slow reader"] += 2 * WINDOW / MIN_BYTES_PER_SECOND
_SETTLING = 3  # seconds until every attacker holds on: slow readers' responses fill the system's buffers first
_SECONDS = 4  # that wrk asks then, while all attackers live
_BEAT = 0.5  # seconds between two signs of life, on average
_TURNS = 0.6  # seconds that a sweep waits in all for its turns while the readers' first responses are sent
_SWEEP = min(DEADLINES.values()) / 20


class Round(NamedTuple):
    """Measurements of wrk without and with attackers, and the lifetimes of each kind of attacker."""

    quiet: Load
    attacked: Load
    lives: Sequence[Sequence[Life]]


async def attack(url: str, attackers: Sequence[Attacker], count: int, seconds: int) -> Round:
    """Measure without attackers, then while `count` of each live, and wait until the last is gone."""
    port = urlsplit(url).port or 80
    quiet = await asyncio.to_thread(load, url, 1, seconds, {})
    lives = [[asyncio.create_task(live(one, port, _BEAT)) for _ in range(count)] for one in attackers]
    await asyncio.sleep(_SETTLING)
    attacked = await asyncio.to_thread(load, url, 1, seconds, {})
    return Round(quiet, attacked, [await asyncio.gather(*kind) for kind in lives])


def main() -> None:
    """Measure, round by round, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attackers", type=int, default=200, help="of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), cores={cores[0]}, **DEADLINES) as server:
        table = f"/v1/tables/{post(server, SPEC)}"
        attackers = (SILENT, HEADERS, BODY, reader(f"{table}.npy", takes=16))
        url = f"{server.url}{table}/manifest"
        rounds = [uvloop.run(attack(url, attackers, options.attackers, _SECONDS)) for _ in range(options.rounds)]
    print(
        f"{len(attackers)} x {options.attackers} attackers, {options.rounds} rounds; one connection asks for a manifest"
    )
    _show_latencies(rounds)
    _show_lives(rounds)


def _show_latencies(rounds: Sequence[Round]) -> None:
    for name in ("p50", "p99"):
        quiet, attacked = (
            [getattr(load, name) for load in loads] for loads in zip(*(r[:2] for r in rounds), strict=True)
        )
        ratio = statistics.median(b / a for a, b in zip(quiet, attacked, strict=True))
        print(
            f"  {name}: {1e6 * statistics.median(quiet):.0f} us without attackers, "
            f"{1e6 * statistics.median(attacked):.0f} us with them, ratio {ratio:.2f}"
        )


def _show_lives(rounds: Sequence[Round]) -> None:
    late = 2 * (_SWEEP + _TURNS)  # a connection ends at most two sweeps late
    print(f"  seconds until each end, seen between two beats; up to {late:.1f} are the server's own")
    for kind, (name, deadline) in enumerate(_KINDS.items()):
        lives = [life for one in rounds for life in one.lives[kind]]
        first, last = min(life.seconds for life in lives), max(life.alive for life in lives)
        met = "met" if last <= deadline + late else "EXCEEDED"
        print(
            f"  {name:16} deadline {deadline:5.1f}: the first ended before {first:5.2f}, "
            f"the last after {last:5.2f}, {len(lives)} ended  {met}"
        )


if __name__ == "__main__":
    main()
