"""Runs through the client, on a real server: read, created, moved, rolled back, locked, deleted, followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from client import Client, OfflineError, Run, RunChangedError, RunLockedError, RunNotFoundError
from scheduler import Spec, Table
from scheduler.compose import Constant
from scheduler.custom import LinearWarmup, WarmupWithDecay

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000)
OTHER = Spec(schedule=WarmupWithDecay(6e-4, 100, 1000), total_steps=1000)


@pytest.fixture
def client(service_url: str) -> Iterator[Client]:
    with Client(service_url) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"test-{uuid4().hex}/bert"


def test_a_run_is_created_and_read(client: Client, name: str) -> None:
    """The run has what it was given, points at the schedule's table, and is read as it was created."""
    created = client.create_run(
        name, SPEC, reason="first", link="https://example.com/1", labels={"model": "bert"}, rules={"max_lr": 0.5}
    )
    assert (created.full_name, created.version, created.action) == (name, 1, "create")
    assert (created.digest, created.spec_id, created.total_steps) == (SPEC.table().digest, SPEC.id, 1000)
    assert (created.reason, created.link, dict(created.labels)) == ("first", "https://example.com/1", {"model": "bert"})
    assert created.rules["max_lr"] == 0.5
    read = client.run(name)
    assert (read.digest, read.version, read.labels, read.stale) == (created.digest, 1, created.labels, False)
    assert client.get(read) == SPEC.table()


def test_a_run_that_was_read_is_known_offline(service_url: str, name: str, tmp_path: Path) -> None:
    """What the service said of a run is remembered on this machine, for a client that is offline."""
    with Client(service_url, cache=tmp_path) as client:
        created = client.create_run(name, SPEC)
        client.get(created)
    with Client(offline=True, cache=tmp_path) as offline:
        known = offline.run(name)
        assert (known.version, known.digest, known.stale) == (1, created.digest, True)
        assert offline.get(known) == SPEC.table()
        with pytest.raises(OfflineError, match=f"version 2 of the run {name} was looked for: it is not in the cache"):
            offline.run(name, 2)
        with pytest.raises(OfflineError, match=r"was not sent"):
            offline.move_run(known, OTHER)
    with Client(offline=True, cache=False) as nothing, pytest.raises(OfflineError, match="there is no cache"):
        nothing.run(name)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(LinearWarmup(1e-3, 10), id="schedule"),
        pytest.param([LinearWarmup(1e-3, 10), Constant(1e-4)], id="groups"),
        pytest.param(Spec(schedule=Constant(0.1), total_steps=64, axis="token", stride=10), id="spec"),
        pytest.param(Table({"lr": np.linspace(0.1, 0.0, 64)}), id="table"),
        pytest.param(Spec(schedule=Constant(0.2), total_steps=64).table(), id="computed-table"),
    ],
)
def test_a_run_takes_whatever_gives_a_table(client: Client, name: str, target: Any) -> None:
    """A schedule, one per group, a spec, a table by its values or its spec: the run has that very table."""
    is_table, is_spec = isinstance(target, Table), isinstance(target, Spec)
    run = client.create_run(name, target, None if is_table or is_spec else 64)
    expected = target if is_table else target.table() if is_spec else Spec(schedule=target, total_steps=64).table()
    assert client.get(run) == expected
    again = client.create_run(f"{name}-again", run)
    by_digest = client.create_run(f"{name}-digest", run.digest)
    assert run.digest == again.digest == by_digest.digest
    assert (run.spec is None) == (is_table and target.spec is None)


def test_what_contradicts_itself_is_refused_before_anything_is_sent() -> None:
    """A length beside a table, a name without a namespace and text that is no digest are errors of the call."""
    nowhere = Client("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="total_steps is that of the table, got 7"):
        nowhere.create_run("a/b", "0" * 64, 7)
    with pytest.raises(ValueError, match="digest must be 64 hexadecimal digits, got 'bert'"):
        nowhere.create_run("a/b", "bert")
    with pytest.raises(ValueError, match=r"a run's name must be like team-a/bert-base: .*, got 'bert'"):
        nowhere.run("bert")
    with pytest.raises(TypeError, match="schedule must be a schedule, a sequence of them, or a Spec, got 3"):
        nowhere.create_run("a/b", 3)  # type: ignore[arg-type]  # on purpose


def test_creating_it_again_is_a_success(client: Client, name: str) -> None:
    """All launchers of a job may create the run; with another schedule it is refused, and the difference told."""
    first = client.create_run(name, SPEC)
    assert client.create_run(name, SPEC).version == first.version
    with pytest.raises(RunChangedError, match="exists, with another table") as caught:
        client.create_run(name, OTHER)
    assert caught.value.current["version"] == 1
    assert caught.value.difference["first_step"] == 0
    assert "it is at version 1 (create)" in str(caught.value)


def test_a_move_is_made_for_the_version_that_was_looked_at(client: Client, name: str) -> None:
    """Of two who looked at version 1, one moves the run; the other is told what it is now."""
    seen = client.create_run(name, SPEC)
    moved = client.move_run(seen, OTHER, reason="higher")
    assert (moved.version, moved.action, moved.digest) == (2, "move", OTHER.table().digest)
    with pytest.raises(RunChangedError, match=r"is at version 2, not at 1"):
        client.move_run(seen, SPEC)
    assert client.move_run(name, SPEC).version == 3  # of a name: whatever it is at now


def test_an_outdated_head_is_no_obstacle_to_a_change_by_name(client: Client, service_url: str, name: str) -> None:
    """What a service says of a run may be 2 seconds old: a change by its name goes on from the version it is at."""
    old = client.create_run(name, SPEC)
    client.move_run(old, OTHER)
    reads = iter([old])

    class Behind(Client):
        def run(self, name: str, version: int | None = None) -> Run:
            return next(reads, None) or super().run(name, version)

    with Behind(service_url) as behind:
        assert behind.move_run(name, SPEC).version == 3


def test_every_version_stays(client: Client, name: str) -> None:
    """A rollback is a new version, and all of them can be read, of a deleted run too."""
    client.create_run(name, SPEC)
    client.move_run(name, OTHER)
    rolled_back = client.rollback(name, 1, reason="it diverged")
    assert (rolled_back.version, rolled_back.action, rolled_back.digest) == (3, "rollback", SPEC.table().digest)
    deleted = client.delete_run(name, reason="done")
    assert (deleted.version, deleted.action) == (4, "delete")
    with pytest.raises(RunNotFoundError, match="its versions can still be read"):
        client.run(name)
    assert [run.action for run in client.run_versions(name)] == ["create", "move", "rollback", "delete"]
    assert client.run(name, 2).digest == OTHER.table().digest
    assert client.create_run(name, OTHER).version == 5


def test_a_locked_run_refuses(client: Client, name: str) -> None:
    """A lock refuses every change until it is taken away; labels and rules can be replaced."""
    client.create_run(name, SPEC, labels={"a": "1"})
    assert client.set_run(name, locked=True, reason="paper").locked
    with pytest.raises(RunLockedError, match="lrtables run unlock NAME"):
        client.move_run(name, OTHER)
    assert not client.set_run(name, locked=False).locked
    run = client.set_run(name, labels={"b": "2"}, rules={"max_factor": 2.0})
    assert (dict(run.labels), run.rules["max_factor"], run.version) == ({"b": "2"}, 2.0, 1)


def test_an_unknown_run_is_told_apart(client: Client, name: str) -> None:
    """A run, and a version, that there is not are errors which say what to do; so is a run of another namespace."""
    with pytest.raises(RunNotFoundError, match="'lrtables run list' shows the runs"):
        client.run(name)
    client.create_run(name, SPEC)
    with pytest.raises(RunNotFoundError, match="has no version 2"):
        client.run(name, 2)
    assert isinstance(RunNotFoundError("u", 404, b""), LookupError)


def test_the_feed_tells_each_change_once(client: Client, name: str) -> None:
    """A reader of the feed sees the changes of the run in order, and asks for the next ones by a number."""
    client.create_run(name, SPEC)
    first = client.changes(0, run=name)
    assert [(change.full_name, change.action, change.version) for change in first.changes] == [(name, "create", 1)]
    client.set_run(name, locked=True)
    client.set_run(name, locked=False)
    then = client.changes(first.next, run=name, wait=5.0)
    assert [change.action for change in then.changes] == ["lock", "unlock"]
    assert client.changes(then.next, run=name, wait=0.1) == ([], client.changes(then.next, run=name).next)


def test_a_run_is_watched(client: Client, name: str) -> None:
    """One who watches sees the changes from now on, or from a number on."""
    client.create_run(name, SPEC)
    found: list[str] = []
    watching = threading.Thread(target=lambda: found.extend(change.action for change in islice(client.watch(name), 2)))
    watching.start()
    for locked in cycle([True, False]):
        client.set_run(name, locked=locked)
        watching.join(0.05)
        if not watching.is_alive():
            break
    assert sorted(found) == ["lock", "unlock"]
    assert [change.action for change in islice(client.watch(name, since=0), 2)] == ["create", "lock"]
