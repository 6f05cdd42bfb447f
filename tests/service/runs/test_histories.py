"""Histories recorded under load, on three servers over one PostgreSQL that are stopped and killed meanwhile."""

import itertools
import math
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess

pytestmark = [pytest.mark.slow(25), pytest.mark.timeout(600)]

RUNS = ("team-a/one", "team-a/two", "team-b/three")
WRITERS, READERS = 6, 3
ACTIONS = ("create", "move", "move", "move", "rollback", "delete")


@dataclass(frozen=True)
class Operation:
    """A change that a writer asked for. `status` is None if no answer came; times are of the monotonic clock."""

    run: str
    action: str
    expected: int | None
    reason: str
    began: float
    ended: float
    status: int | None
    document: dict[str, Any]

    @property
    def is_done(self) -> bool:
        """Whether the answer says that this very operation made a version."""
        return self.status in (200, 201) and self.document["reason"] == self.reason

    @property
    def is_refused(self) -> bool:
        """Whether the answer says that it made none."""
        return self.status in (200, 201, 404, 410, 412, 423) and not self.is_done


@dataclass
class Cluster:
    """Three servers over one database; each may be replaced at any time."""

    folder: Path
    url: str
    stack: ExitStack
    servers: list[ServerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(3):
            self.servers.append(self._start(number))

    def _start(self, number: int) -> ServerProcess:
        settings = {"database_url": self.url, "database_seconds": 5, "drain_seconds": 5}
        return self.stack.enter_context(ServerProcess(self.folder / f"data-{number}", cores=None, **settings))

    def restart(self, number: int, end: Callable[[ServerProcess], object]) -> None:
        """End a server in this way, and start another one in its place."""
        end(self.servers[number])
        self.servers[number] = self._start(number)

    def ask(self, chosen: random.Random, method: str, path: str, **options: Any) -> tuple[int | None, dict[str, Any]]:
        """The answer of a server that is chosen at random; None if there is none, or an error that says nothing."""
        server = chosen.choice(self.servers)
        try:
            response = urllib3.request(method, server.url + path, retries=False, timeout=30, **options)
        except urllib3.exceptions.HTTPError:
            return None, {}
        return (response.status, response.json()) if response.status < 500 else (None, {})


def write(cluster: Cluster, number: int, stopped: threading.Event, operations: list[Operation]) -> None:
    """Change runs at random until it is stopped: mostly with the version that was seen last, which others have seen."""
    chosen, seen = random.Random(number), dict.fromkeys(RUNS, 0)
    for count in itertools.count():
        if stopped.is_set():
            return
        run, action, reason = chosen.choice(RUNS), chosen.choice(ACTIONS), f"{number}-{count}"
        expected = None if action == "create" else max(seen[run] - (chosen.random() < 0.1), 1)
        body: dict[str, Any] = {"reason": reason}
        if action in ("create", "move"):
            body["spec"] = {"schedule": {"kind": "Constant", "value": chosen.randint(1, 5) / 10}, "total_steps": 4}
        elif action == "rollback":
            body["version"] = chosen.randint(1, max(seen[run], 1))
        method = {"rollback": "POST", "delete": "DELETE"}.get(action, "PUT")
        path = f"/v1/runs/{run}" + ("/rollback" if action == "rollback" else "")
        headers = {"If-None-Match": "*"} if expected is None else {"If-Match": f'"v{expected}"'}
        began = time.monotonic()
        status, document = cluster.ask(chosen, method, path, json=body, headers=headers)
        ended = math.inf if status is None else time.monotonic()  # without an answer it may be made later
        operations.append(Operation(run, action, expected, reason, began, ended, status, document))
        current = document.get("current", document)
        seen[run] = current.get("version", seen[run])


def follow(cluster: Cluster, number: int, stopped: threading.Event) -> list[dict[str, Any]]:
    """Read the feed as it grows, from whatever server answers, until it is stopped and there is nothing more."""
    chosen, since = random.Random(100 + number), 0
    found: list[dict[str, Any]] = []
    while True:
        last = stopped.is_set()
        query = f"/v1/changes?since={since}&wait={0 if last else 1}&limit={chosen.choice((1, 7, 1000))}"
        status, document = cluster.ask(chosen, "GET", query)
        if status is not None:
            assert status == 200, document
            found += document["changes"]
            since = document["next"]
            if last and not document["changes"]:
                return found


@contextmanager
def load(cluster: Cluster) -> Iterator[tuple[list[Operation], list[list[dict[str, Any]]]]]:
    """Writers and readers for a `with` block: the operations so far, and after the block what the readers have seen."""
    writing, reading = threading.Event(), threading.Event()
    operations: list[Operation] = []
    feeds: list[list[dict[str, Any]]] = []
    with ThreadPoolExecutor(WRITERS + READERS) as threads:
        writers = [threads.submit(write, cluster, number, writing, operations) for number in range(WRITERS)]
        readers = [threads.submit(follow, cluster, number, reading) for number in range(READERS)]
        try:
            yield operations, feeds
        finally:
            writing.set()
            for writer in writers:
                writer.result()
            reading.set()
            feeds += [reader.result() for reader in readers]


def histories(cluster: Cluster) -> dict[str, list[dict[str, Any]]]:
    """Every version of every run."""
    chosen = random.Random(0)
    found: dict[str, list[dict[str, Any]]] = {}
    for run in RUNS:
        versions: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            status, page = cluster.ask(chosen, "GET", f"/v1/runs/{run}/versions?after={after}&limit=1000")
            assert status == 200, page
            versions += page["versions"]
            after = page["next"]
        found[run] = versions
    return found


def check_history(versions: list[dict[str, Any]], operations: list[Operation]) -> None:
    """Check one run: each version was made by one operation that expected the one before it, in real time's order."""
    assert [version["version"] for version in versions] == list(range(1, len(versions) + 1))
    by_reason = {operation.reason: operation for operation in operations}
    made = [by_reason[version["reason"]] for version in versions]
    assert len({operation.reason for operation in made}) == len(made), "a change was made twice"
    assert {each.reason for each in operations if each.is_done} <= {each.reason for each in made}, "a change was lost"
    assert not any(operation.is_refused for operation in made), "a change was made that was refused"
    before: dict[str, Any] | None = None
    for version, operation in zip(versions, made, strict=True):
        assert (version["action"], version["parent"]) == (operation.action, before and before["version"])
        absent = before is None or before["action"] == "delete"
        assert operation.expected == (None if absent or before is None else before["version"])
        if operation.is_done:
            same = {name: value for name, value in operation.document.items() if name in version}
            assert same == version
        before = version
    latest_start = 0.0
    for operation in made:
        assert operation.ended >= latest_start, "a change that was begun later comes first"
        latest_start = max(latest_start, operation.began)


def check(cluster: Cluster, operations: list[Operation], feeds: list[list[dict[str, Any]]]) -> None:
    """Check every run, the feed against the histories, and what each reader saw against the feed."""
    found = histories(cluster)
    by_run: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for change in feeds[0]:
        by_run[f"{change['namespace']}/{change['name']}"].append(change)
    assert [change["sequence"] for change in feeds[0]] == list(range(1, len(feeds[0]) + 1))
    for run, versions in found.items():
        check_history(versions, [operation for operation in operations if operation.run == run])
        names = ("version", "action", "digest", "author", "created_at")
        assert [[change[name] for name in names] for change in by_run[run]] == [
            [version[name] for name in names] for version in versions
        ]
    assert set(by_run) <= set(RUNS)
    for feed in feeds[1:]:
        assert feed == feeds[0]
    made = sum(map(len, found.values()))
    lost = sum(operation.status is None for operation in operations)
    print(f"{len(operations)} operations, {lost} without an answer, {made} versions")
    assert made > 50


def await_changes(operations: list[Operation], count: int) -> None:
    """Wait until so many more changes were made."""

    def made() -> int:
        return sum(operation.is_done for operation in operations)

    enough, patience = made() + count, time.monotonic() + 90
    while made() < enough:
        assert time.monotonic() < patience, f"not {count} changes in 90 s"
        time.sleep(0.05)


def test_no_change_is_lost_doubled_or_reordered(fragile_postgres: PostgresServer, tmp_path: Path) -> None:
    """While servers and PostgreSQL are killed, every version has one cause, and every reader sees each change once."""
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, fragile_postgres.url(), stack)
        with load(cluster) as (operations, feeds):
            await_changes(operations, 40)
            cluster.restart(0, ServerProcess.stop)
            await_changes(operations, 40)
            fragile_postgres.stop()
            fragile_postgres.start()
            await_changes(operations, 40)
            cluster.restart(1, ServerProcess.kill)
            fragile_postgres.kill()
            fragile_postgres.start()
            await_changes(operations, 40)
            fragile_postgres.pause()
            time.sleep(1)
            fragile_postgres.resume()
            await_changes(operations, 40)
        check(cluster, operations, feeds)
        assert any(operation.status is None for operation in operations)
