"""How a table of 8 MB gets to a client, side by side: `python benchmarks/client_fetch.py [--rounds N]`.

A real server on one core, this process on another, one connection that stays open. The ways take turns, round after
round; the median time is printed, and the median of the ratios to the raw socket of the same round. "Received" is what
the client's transport does: request, framing and limits checked, the body straight into memory. "and verified" adds the
SHA-256 of the values, "and cached" the synced file. The bytes that each way moves: `benchmarks/transfer.py`.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from client import Client
from client.cache.folders import DEFAULT_BYTES
from client.cache.node_cache import NodeCache
from client.http.responses import Download
from client.http.transport import Transport
from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay
from tests.support.servers.process import ServerProcess

STEPS = 1_000_000
SPEC = Spec(schedule=WarmupWithDecay(5e-4, 10_000, STEPS, min_lr=1e-6), total_steps=STEPS)
GOAL = 1.25
Way = Callable[[], object]


class Raw:
    """The yardstick: one socket, the body received into memory that was there before."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._head = bytearray(2**16)
        self._body = memoryview(bytearray(0))

    def fetch(self) -> memoryview:
        """The body."""
        self._socket.sendall(self._request)
        had = self._socket.recv_into(self._head)
        end = self._head.find(b"\r\n\r\n", 0, had) + 4
        length = int(self._head[:end].lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._body) != length:
            self._body = memoryview(bytearray(length))
        body, done = self._body, had - end
        body[:done] = self._head[end:had]
        while done < length:
            done += self._socket.recv_into(body[done:])
        return body


class Reused:
    """The client's transport, receiving into the same memory each time, as the raw socket does."""

    def __init__(self, url: str, path: str, *, fresh: bool) -> None:
        self._transport, self._path, self._fresh = Transport(url, timeout=10.0), path, fresh
        self._memory = np.empty(0, dtype=np.uint8)

    def fetch(self) -> memoryview | bytearray:
        """The body."""
        response = self._transport.send(
            "GET",
            self._path,
            deadline=time.monotonic() + 60.0,
            max_bytes=2**24,
            download=Download(self._allocate),
        )
        return response.body

    def _allocate(self, nbytes: int) -> memoryview:
        if self._fresh or len(self._memory) != nbytes:
            self._memory = np.empty(nbytes, dtype=np.uint8)
        return self._memory.data


def timed(way: Way) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


def compare(server: ServerProcess, folder: Path, digest: str, rounds: int) -> None:
    """Print the times of every way."""
    path = f"/v1/tables/{digest}.safetensors"
    raw = Raw(server.port, path)
    reused, fresh = (Reused(server.url, path, fresh=is_fresh) for is_fresh in (False, True))
    right = bytes(raw.fetch())
    assert right == bytes(reused.fetch()) == bytes(fresh.fetch()) == Table.compute(SPEC).to_bytes()

    def cached() -> Table:
        cache = NodeCache(folder / "cache", DEFAULT_BYTES)
        cache.prune(0)
        return cache.keep(Table.from_bytes(memoryview(fresh.fetch()).toreadonly()))

    ways: dict[str, Way] = {
        "raw socket, into the same memory": raw.fetch,
        "received, into the same memory": reused.fetch,
        "received, into new memory": fresh.fetch,
        "received and verified": lambda: Table.from_bytes(memoryview(fresh.fetch()).toreadonly()),
        "received, verified and cached": cached,
        "computed here, with its digest": lambda: Table.compute(SPEC).digest,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    first = next(iter(seconds.values()))
    print(f"{len(right)} bytes, median of {rounds} rounds")
    for name, times in seconds.items():
        ratio = statistics.median(mine / raw for mine, raw in zip(times, first, strict=True))
        print(f"  {name:36} {1000 * statistics.median(times):7.2f} ms {ratio:6.2f} x raw")
    print(f"  goal: received at most {GOAL} x raw")


def main() -> None:
    """Start a server and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=41, help="times that each way is timed (41)")
    rounds = parser.parse_args().rounds
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ServerProcess(folder / "data", cores={cores[0]}) as server, Client(server.url, cache=False) as client:
            digest = client.fetch(SPEC).digest
            compare(server, folder, digest, rounds)


if __name__ == "__main__":
    main()
