"""Runs over HTTP against a model: whatever is asked, in whatever order, server and model agree."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from starlette.testclient import TestClient

from scheduler import Table
from service.app import create_app, open_server
from service.settings import Settings
from service.workers.pool import Workers
from tests.support.campaign import cases

TABLES = [Table({"lr": [0.5, value]}) for value in (0.5, 0.25, 0.125)]
NAMES = st.sampled_from(["a/x", "a/y", "b/x"])
TABLE = st.sampled_from(TABLES)
BESIDE = st.sampled_from([0, 0, 0, 0, -1, 1])  # how far the expected version is from the one that the run has


@dataclass
class ModelRun:
    """A run as the model has it: its versions, each with action, digest and parent."""

    versions: list[tuple[str, str, int | None]] = field(default_factory=list)
    locked: bool = False
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether there is such a run, not deleted."""
        return bool(self.versions) and self.versions[-1][0] != "delete"

    @property
    def digest(self) -> str:
        """The table of the newest version."""
        return self.versions[-1][1]

    def refusal(self, expected: int | None, *, if_locked: int = 423) -> int | None:
        """The status of the error that a change with this expectation gets; None if it is allowed."""
        if expected is None:
            return 412 if self.exists else None
        if not self.versions:
            return 404
        if not self.exists:
            return 410
        return 412 if expected != len(self.versions) else (if_locked if self.locked and if_locked else None)


class Machine(RuleBasedStateMachine):
    """A server and a model of it."""

    def __init__(self, workers: Workers) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._workers = workers
        self._runs: dict[str, ModelRun] = {name: ModelRun() for name in ("a/x", "a/y", "b/x")}
        self._feed: list[tuple[str, int, str, str]] = []
        self._seen: list[tuple[str, int, str, str]] = []
        self._next = 0
        self._open()
        for table in TABLES:
            headers = {"content-type": "application/octet-stream"}
            assert self._client.put("/v1/tables", content=table.to_bytes(), headers=headers).status_code == 201

    def _open(self) -> None:
        server = open_server(Settings(data_dir=self._folder), self._workers)
        self._client = TestClient(create_app(server)).__enter__()

    def _ask(self, method: str, name: str, expected: int | None, body: dict[str, Any], rest: str = "") -> Any:
        headers = {"if-none-match": "*"} if expected is None else {"if-match": f'"v{expected}"'}
        return self._client.request(method, f"/v1/runs/{name}{rest}", json=body, headers=headers)

    def _append(self, name: str, action: str, digest: str) -> None:
        run = self._runs[name]
        run.versions.append((action, digest, len(run.versions) or None))
        self._feed.append((name, len(run.versions), action, digest))

    @rule(name=NAMES, table=TABLE, label=st.sampled_from(["", "one", "two"]))
    def create(self, name: str, table: Table, label: str) -> None:
        """Create a run."""
        run, labels = self._runs[name], {"a": label} if label else {}
        response = self._ask("PUT", name, None, {"digest": table.digest, "labels": labels})
        if run.exists:
            assert response.status_code == (200 if run.digest == table.digest else 412)
            return
        assert response.status_code == 201
        run.labels = labels
        self._append(name, "create", table.digest)

    @rule(name=NAMES, table=TABLE, beside=BESIDE)
    def move(self, name: str, table: Table, beside: int) -> None:
        """Move a run."""
        run = self._runs[name]
        expected = max(len(run.versions) + beside, 1)
        response = self._ask("PUT", name, expected, {"digest": table.digest})
        same = run.exists and run.digest == table.digest
        refusal = run.refusal(expected, if_locked=0 if same else 423)
        assert response.status_code == (refusal or 200)
        if refusal is None and not same:
            self._append(name, "move", table.digest)

    @rule(name=NAMES, version=st.integers(1, 6), beside=BESIDE)
    def roll_back(self, name: str, version: int, beside: int) -> None:
        """Roll a run back."""
        run = self._runs[name]
        expected = max(len(run.versions) + beside, 1)
        response = self._ask("POST", name, expected, {"version": version}, "/rollback")
        if run.exists and version > len(run.versions):
            assert response.status_code == 404
            return
        same = run.exists and run.digest == run.versions[version - 1][1]
        refusal = run.refusal(expected, if_locked=0 if same else 423)
        assert response.status_code == (refusal or 200)
        if refusal is None and not same:
            self._append(name, "rollback", run.versions[version - 1][1])

    @rule(name=NAMES, beside=BESIDE)
    def delete(self, name: str, beside: int) -> None:
        """Delete a run."""
        run = self._runs[name]
        expected = max(len(run.versions) + beside, 1)
        response = self._ask("DELETE", name, expected, {})
        refusal = run.refusal(expected)
        assert response.status_code == (refusal or 200)
        if refusal is None:
            self._append(name, "delete", run.digest)

    @rule(name=NAMES, beside=BESIDE, locked=st.none() | st.booleans(), label=st.sampled_from([None, "", "one"]))
    def set(self, name: str, beside: int, locked: bool | None, label: str | None) -> None:
        """Lock, unlock and label a run."""
        run = self._runs[name]
        expected = max(len(run.versions) + beside, 1)
        labels = None if label is None else {"a": label}
        body = {key: value for key, value in {"locked": locked, "labels": labels}.items() if value is not None}
        response = self._ask("PATCH", name, expected, body)
        refusal = run.refusal(expected, if_locked=0)
        assert response.status_code == (refusal or 200)
        if refusal is not None:
            return
        if locked is not None and locked != run.locked:
            run.locked = locked
            self._feed.append((name, len(run.versions), "lock" if locked else "unlock", run.digest))
        if labels is not None and labels != run.labels:
            run.labels = labels
            self._feed.append((name, len(run.versions), "labels", run.digest))

    @rule()
    def restart(self) -> None:
        """Stop the server, and start another one with its data."""
        self._client.__exit__(None, None, None)
        self._open()

    @invariant()
    def heads_agree(self) -> None:
        """Each run is as the model has it."""
        for name, run in self._runs.items():
            response = self._client.get(f"/v1/runs/{name}")
            assert response.status_code == (200 if run.exists else 410 if run.versions else 404)
            if run.exists:
                found, (action, digest, parent) = response.json(), run.versions[-1]
                assert (found["version"], found["action"]) == (len(run.versions), action)
                assert (found["digest"], found["parent"]) == (digest, parent)
                assert (found["locked"], found["labels"], found["stale"]) == (run.locked, run.labels, False)

    @invariant()
    def the_feed_agrees(self) -> None:
        """A reader that asks for what is new sees each change once, in the order in which they were made."""
        page = self._client.get("/v1/changes", params={"since": self._next, "limit": 2}).json()
        for change in page["changes"]:
            name = f"{change['namespace']}/{change['name']}"
            self._seen.append((name, change["version"], change["action"], change["digest"]))
            assert change["sequence"] == len(self._seen)
        self._next = page["next"]
        assert self._seen == self._feed[: len(self._seen)]

    def teardown(self) -> None:
        """Compare all histories and lists, then stop the server."""
        for name, run in self._runs.items():
            listed = [*self._history(name)] if run.versions else []
            assert [(each["action"], each["digest"], each["parent"]) for each in listed] == run.versions
            assert [each["version"] for each in listed] == list(range(1, len(listed) + 1))
        runs = self._client.get("/v1/runs").json()["runs"]
        assert [f"{run['namespace']}/{run['name']}" for run in runs] == [
            name for name, run in self._runs.items() if run.exists
        ]
        changes = self._client.get("/v1/changes").json()["changes"]
        assert len(changes) == len(self._feed)
        self._client.__exit__(None, None, None)
        self._stack.close()

    def _history(self, name: str) -> Iterator[dict[str, Any]]:
        after: int | None = 0
        while after is not None:
            page = self._client.get(f"/v1/runs/{name}/versions", params={"after": str(after), "limit": 3}).json()
            yield from page["versions"]
            after = page["next"]


@pytest.mark.slow(15)
def test_server_and_model_agree(workers: Workers) -> None:
    """No sequence of requests and restarts makes heads, histories, lists or the feed differ from the model's."""

    class WithWorkers(Machine):
        def __init__(self) -> None:
            super().__init__(workers)

    steps = settings(
        max_examples=cases(10), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(WithWorkers, settings=steps)
