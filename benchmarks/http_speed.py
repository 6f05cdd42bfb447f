"""HTTP side by side: nginx, the least that an ASGI server does, and ours. Run: python benchmarks/http_speed.py

nginx sends files with sendfile; benchmarks/bare.py and our server send from memory; all hold the same bytes. Servers
have one core, wrk has another. Each round asks every server in turn; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from benchmarks.goals import Goal
from benchmarks.http_servers import Servers, proxies, servers
from benchmarks.in_process import post_costs
from benchmarks.wrk import Load, load
from tests.support.servers.herd import SPEC
from tests.support.servers.process import ServerProcess, post

CONNECTIONS = (1, 8, 64)
LARGE, SMALL = (1.3, 0.9), (0.30, 0.85)  # of nginx's rate, and of the bare function's
STALLED = 64  # readers
LONG = 10_000_000  # steps of a computation
MEBIBYTE = 2**20

Rounds = dict[str, list[Load]]
"""Measurements of each server, round by round."""


@dataclass(frozen=True)
class Options:
    """How long to measure: seconds for each server, each round."""

    rounds: int
    seconds: int


@dataclass(frozen=True)
class Case:
    """Something to ask for: where each server has it, with which headers, and what shares of others' rates we owe."""

    name: str
    urls: Mapping[str, str]
    shares: tuple[float, float] | None
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


# -- rates ------------------------------------------------------------------------------------------------------------


def speed(servers: Servers, options: Options) -> Iterator[Goal]:
    """The rate at each server of a table in two formats, its manifest and its 304."""
    for case in _cases(servers, "ours", servers.ours.url):
        for connections in CONNECTIONS:
            what = f"{case.name}, {connections} connections"
            rounds = _measure(what, case, connections, options)
            for name, share in zip(("nginx", "bare"), case.shares or (), strict=False):
                yield Goal(f"{what}: rate to {name}'s", _ratio(rounds, "ours", name, _rate), share)
            if case.shares == LARGE and connections == max(CONNECTIONS):
                yield Goal(f"{what}: p99 to nginx's", _ratio(rounds, "ours", "nginx", _p99), 1.5, at_least=False)


def _cases(servers: Servers, name: str, address: str) -> list[Case]:
    """The files that nginx and the bare function serve, and our paths to the same bytes."""
    safetensors, npy, manifest, lr = (
        Case(file, {"nginx": f"{servers.nginx}/{file}", "bare": f"{servers.bare}/{file}", name: address + path}, shares)
        for (file, path), shares in zip(servers.paths.items(), (LARGE, LARGE, SMALL, None), strict=True)
    )
    return [safetensors, npy, _unchanged(npy), manifest, lr]


def _unchanged(case: Case) -> Case:
    """The same case for clients that have it all."""
    headers = {name: {"If-None-Match": _etag(url)} for name, url in case.urls.items()}
    return replace(case, name="304", shares=SMALL, headers=headers)


def _etag(url: str) -> str:
    """The entity tag at this address, with which the response is 304."""
    with urllib.request.urlopen(url) as response:
        tag: str = response.headers["etag"]
    try:
        urllib.request.urlopen(urllib.request.Request(url, headers={"If-None-Match": tag})).close()
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return tag
        raise
    raise RuntimeError(f"{url} sends all of it to who has it")


def _measure(what: str, case: Case, connections: int, options: Options) -> Rounds:
    """Measure each server and print the results."""
    rounds: Rounds = {name: [] for name in case.urls}
    for _ in range(options.rounds):
        for name, url in case.urls.items():
            rounds[name].append(load(url, connections, options.seconds, case.headers.get(name, {})))
    print(f"\n{what:48}responses/s   to nginx     p50 ms     p99 ms")
    for name, seen in rounds.items():
        rate, p50, p99 = map(statistics.median, zip(*seen, strict=True))
        print(
            f"  {name:48}{rate:9.0f}{_ratio(rounds, name, 'nginx', _rate):11.2f}{1e3 * p50:11.2f}{1e3 * p99:11.2f}",
            flush=True,
        )
    return rounds


def _ratio(rounds: Rounds, over: str, under: str, figure: Callable[[Load], float]) -> float:
    return statistics.median(figure(a) / figure(b) for a, b in zip(rounds[over], rounds[under], strict=True))


def _rate(seen: Load) -> float:
    return seen.rate


def _p99(seen: Load) -> float:
    return seen.p99


# -- through the nginx of deploy/ -------------------------------------------------------------------------------------


def proxied(servers: Servers, options: Options) -> Iterator[Goal]:
    """The rate of what the nginx of deploy/ has kept, beside nginx that has it in files, or in its cache.

    Beyond its cache, that of deploy/ asks for each request whether its token may read, gives it an id, and logs it.
    """
    with proxies(servers) as found:
        caching = _cases(servers, "cache", found.caching)
        deployed = _cases(servers, "deployed", found.deployed)
        for case in (_side_by_side(*pair) for pair in zip(caching, deployed, strict=True) if pair[0].shares):
            for connections in CONNECTIONS:
                what = f"{case.name} through deploy/, {connections} connections"
                rounds = _measure(what, case, connections, options)
                yield Goal(f"{what}: rate to nginx's files'", _ratio(rounds, "deployed", "nginx", _rate), 0.9)
                yield Goal(f"{what}: rate to nginx's cache's", _ratio(rounds, "deployed", "cache", _rate), 0.9)


def _side_by_side(one: Case, other: Case) -> Case:
    """One case at the servers of both."""
    return replace(one, urls={**one.urls, **other.urls}, headers={**one.headers, **other.headers})


# -- memory -----------------------------------------------------------------------------------------------------------


def stalled(servers: Servers, options: Options) -> Iterator[Goal]:
    """Memory taken by clients that ask for a table and read nothing of it."""
    servers.ours.get(servers.paths["npy"])
    before = servers.ours.memory()
    with ExitStack() as stack:
        for _ in range(STALLED):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", servers.ours.port)))
            reader.sendall(f"GET {servers.paths['npy']} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        most = max(_memory_later(servers.ours) for _ in range(20))
    yield Goal(f"{STALLED} stalled readers: MiB", (most - before) / MEBIBYTE, 8, at_least=False)


def _memory_later(server: ServerProcess) -> int:
    time.sleep(0.1)
    return server.memory()


# -- processor time of a POST -----------------------------------------------------------------------------------------


def known(servers: Servers, options: Options) -> Iterator[Goal]:
    """Cost of the POST of a stored spec in process, compared with its validation alone."""
    rounds = post_costs(json.dumps(SPEC).encode(), 3 * options.rounds)
    ours, through_fastapi, validation = (
        1e6 * statistics.median(getattr(one, name) for one in rounds) for name in rounds[0]._fields
    )
    print(f"\nPOST of a known spec in process: {ours:.1f} us, a bare function that validates it {validation:.1f} us;")
    print(f"  through FastAPI's router, without the shortcut: {through_fastapi:.1f} us")
    ratio = statistics.median(one.ours / one.validation for one in rounds)
    yield Goal("POST of a known spec: time to bare validation's", ratio, 3, at_least=False)


# -- while the server computes ----------------------------------------------------------------------------------------


def computing(servers: Servers, options: Options) -> Iterator[Goal]:
    """Slowdown of cached requests while the server, on its one core, computes tables of 10M steps."""
    url = servers.ours.url + servers.paths["manifest"]
    rounds: Rounds = {"quiet": [], "computing": []}
    for _ in range(options.rounds):
        rounds["quiet"].append(load(url, 8, options.seconds, {}))
        with _computations(servers.ours):
            rounds["computing"].append(load(url, 8, options.seconds, {}))
    ratio = _ratio(rounds, "computing", "quiet", _p99)
    yield Goal("manifest while 10M steps are computed: p99 to quiet p99", ratio, 2, at_least=False)


@contextmanager
def _computations(server: ServerProcess) -> Iterator[None]:
    """One computation of 10M steps after the other, no two of one table."""
    done = threading.Event()

    def compute() -> None:
        while not done.is_set():
            schedule = {"kind": "custom.CosineWarmup", "base_lr": random.random(), "warmup_steps": LONG}
            post(server, {"schedule": schedule, "total_steps": LONG})

    with ThreadPoolExecutor(1) as pool:
        computed = pool.submit(compute)
        try:
            yield
        finally:
            done.set()
    computed.result()


PARTS = {"speed": speed, "proxied": proxied, "stalled": stalled, "known": known, "computing": computing}


def main() -> None:
    """Measure, and print each goal beside its figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="for each server in each round")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part, several times for several")
    parsed = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with servers(cores[0], SPEC) as found:
        options = Options(parsed.rounds, parsed.seconds)
        goals = [goal for name in parsed.only or PARTS for goal in PARTS[name](found, options)]
    print("\ngoals", *goals, sep="\n")


if __name__ == "__main__":
    main()
