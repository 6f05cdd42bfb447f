"""Processes that send a request each at the same moment.

Run: python -m tests.support.servers.racers < requests.json
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.synchronize import Barrier
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Attempt(NamedTuple):
    """A request that a process sends."""

    url: str
    method: str
    body: Any
    headers: Mapping[str, str]


class Outcome(NamedTuple):
    """The status and the JSON of a response."""

    status: int
    document: Any


def race(attempts: Sequence[Attempt]) -> list[Outcome]:
    """Send each request from a process of its own, all at the same moment; what they were answered, in order."""
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(command, input=json.dumps(attempts), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Outcome(*found) for found in json.loads(done.stdout)]


def _send(number: int, attempt: Attempt, barrier: Barrier, outcomes: Any) -> None:
    """Connect, wait for the others, then send."""
    address = urlsplit(attempt.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.connect()
    body = json.dumps(attempt.body)
    barrier.wait()
    connection.request(attempt.method, address.path, body, {"Content-Type": "application/json", **attempt.headers})
    response = connection.getresponse()
    outcomes.put((number, response.status, json.loads(response.read())))
    connection.close()


def main() -> None:
    """Run a race; print the outcomes as JSON."""
    attempts = [Attempt(*each) for each in json.load(sys.stdin)]
    context = multiprocessing.get_context("fork")  # this process has no other thread, and 64 fresh ones take a minute
    barrier, outcomes = context.Barrier(len(attempts)), context.Queue()
    processes = [
        context.Process(target=_send, args=(number, attempt, barrier, outcomes))
        for number, attempt in enumerate(attempts)
    ]
    for process in processes:
        process.start()
    found = sorted(outcomes.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    print(json.dumps([(status, document) for _, status, document in found]))


if __name__ == "__main__":
    main()
