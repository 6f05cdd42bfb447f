"""Clients that hold connections with next to nothing, and one that works. Run: python benchmarks/slowloris.py

200 attackers of each of four kinds (silent; headers, or a body, a byte at a time; an answer taken a few bytes at a
time) hold a server on one core, while wrk asks it for a manifest from the other core. Shown is how much longer the
answers take than without attackers, and how long each attacker lived beside its deadline. Tests use the attackers too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from benchmarks.herd import SPEC
from benchmarks.http_common import ServerProcess
from benchmarks.http_servers import post
from benchmarks.wrk import Load, load
from service.server.connection import SLOWEST

DEADLINES: dict[str, float] = {"idle_seconds": 10, "header_seconds": 8, "body_seconds": 9, "send_seconds": 9}
_KINDS = dict(zip(("silent", "dripped headers", "dripped body", "slow reader"), DEADLINES.values(), strict=True))
_WINDOW = 4096  # bytes that a reader's system takes for it
_KINDS["slow reader"] += 2 * _WINDOW / SLOWEST  # Linux takes twice as much, and what it takes prolongs the deadline
_SETTLING = 3  # seconds until every attacker holds on: slow readers' answers fill the system's buffers first
_SECONDS = 4  # that wrk asks then, while all attackers live
_BEAT = 0.5  # seconds between two signs of life, on average
_TURNS = 0.6  # seconds that a sweep waits in all for its turns while the readers' first answers are sent
_SWEEP = min(DEADLINES.values()) / 20
_HEAD = b"%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@dataclass(frozen=True)
class Attacker:
    """What a client sends at once, what it sends with every beat, and how many bytes it takes then: None is all."""

    opening: bytes = b""
    drip: bytes = b""
    takes: int | None = None


class Life(NamedTuple):
    """How long a connection lived, in seconds, and what came over it.

    It was seen alive after `alive` seconds, and not any more after `seconds`.
    """

    alive: float
    seconds: float
    received: bytes


SILENT = Attacker()
HEADERS = Attacker(_HEAD % b"GET /livez" + b"X-Slow: ", b"a")
BODY = Attacker(
    _HEAD % b"POST /v1/tables" + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n", drip=b" "
)


def reader(path: str, takes: int) -> Attacker:
    """A client that asks for what is there and takes so many bytes of it with every beat."""
    return Attacker(_HEAD % f"GET {path}".encode() + b"\r\n", takes=takes)


async def live(attacker: Attacker, port: int, beat: float) -> Life:
    """Attack with one connection until the server ends it, with a beat every so many seconds."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        started = alive = time.monotonic()
        await loop.sock_sendall(connection, attacker.opening)
        while _beat(attacker, connection, received):
            alive = time.monotonic()
            await asyncio.sleep(random.uniform(0, 2 * beat))  # not all at once
        return Life(alive - started, time.monotonic() - started, bytes(received))


def _beat(attacker: Attacker, connection: socket.socket, received: bytearray) -> bool:
    """Take and send a little; whether the connection is still there."""
    if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return False
    try:
        connection.send(attacker.drip)
        return _take(attacker.takes, connection, received)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def _take(most: int | None, connection: socket.socket, received: bytearray) -> bool:
    while most != 0:
        taken = connection.recv(2**16 if most is None else most)
        received += taken
        if most is not None or not taken:
            return bool(taken)
    return True


class Round(NamedTuple):
    """What wrk saw without attackers and with them, and the lives of each kind of attacker."""

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
