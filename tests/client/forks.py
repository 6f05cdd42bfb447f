"""Forks that share a client: python -m tests.client.forks --forks 1000

A client is used in the parent and then in its children, while threads of the parent go on with it. What is counted is
how many of all fetches gave another table than was asked for, or failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import count

from client import Client
from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay

FETCHES = 2  # in each child
AT_ONCE = 8  # children
LIMIT = 120  # seconds until a child that is stuck is lost
THREADS = 2  # of the parent, in the middle of a request when it forks


def spec_of(number: int) -> Spec:
    """A spec of its own for every number, so that no two fetches ask for one table."""
    return Spec(schedule=WarmupWithDecay(1e-3 + 1e-6 * number, 10, 100), total_steps=100)


def fetch(client: Client, number: int) -> str:
    """Fetch the table of a number; what came of it."""
    try:
        return "right" if client.fetch(spec_of(number)) == Table.compute(spec_of(number)) else "wrong"
    except Exception as error:
        return f"failed: {type(error).__name__}"


def child(client: Client, numbers: list[int], writes: int) -> None:
    """Fetch, report and end, whatever the parent's threads held when they were left behind."""
    signal.alarm(LIMIT)
    report = "\n".join(fetch(client, number) for number in numbers)
    os.write(writes, report.encode())
    os._exit(0)


def run(url: str, forks: int) -> Counter[str]:
    """Fork so many times; what came of every fetch, and "lost" for a child that did not report.

    In half of the forks the client is idle, so that its children inherit the connection that it would use next; in the
    others it is in the middle of requests.
    """
    ends: Counter[str] = Counter()
    numbers = count()
    with Client(url, timeout=60.0, deadline=120.0) as client:  # none of which is at stake on a busy machine
        _fork_often(client, forks - forks // 2, numbers, ends)
        done = threading.Event()
        threads = [threading.Thread(target=_go_on, args=(client, done, numbers, ends)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        _fork_often(client, forks // 2, numbers, ends)
        done.set()
        for thread in threads:
            thread.join()
    return ends


def _go_on(client: Client, done: threading.Event, numbers: Iterator[int], ends: Counter[str]) -> None:
    while not done.is_set():
        ends[fetch(client, next(numbers))] += 1


def _fork_often(client: Client, forks: int, numbers: Iterator[int], ends: Counter[str]) -> None:
    for begin in range(0, forks, AT_ONCE):
        ends[fetch(client, next(numbers))] += 1
        at_once = min(AT_ONCE, forks - begin)
        children = [_fork(client, [next(numbers) for _ in range(FETCHES)]) for _ in range(at_once)]
        ends[fetch(client, next(numbers))] += 1
        for process, reads in children:
            with os.fdopen(reads) as report:
                lines = report.read().splitlines()
            os.waitpid(process, 0)
            ends.update(lines if len(lines) == FETCHES else ["lost"])


def _fork(client: Client, numbers: list[int]) -> tuple[int, int]:
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reads)
        child(client, numbers, writes)
    os.close(writes)
    return process, reads


def main() -> None:
    """Start a server, fork, and print what came of every fetch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forks", type=int, default=1000)
    forks = parser.parse_args().forks
    warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks beside threads, which are the point
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "service", "serve", "--port", "0", "--data-dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            for end, number in run(server.stdout.readline().strip(), forks).most_common():
                print(f"{number:8} {end}")
            server.terminate()


if __name__ == "__main__":
    main()
