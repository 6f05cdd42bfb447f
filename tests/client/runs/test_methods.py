"""Runs through the client, on a real server: read, created, moved, rolled back, locked, deleted, followed."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pytest

from client import (
    AmendmentRefusedError,
    Client,
    OfflineError,
    Run,
    RunChangedError,
    RunLockedError,
    RunNotFoundError,
    UnexpectedResponseError,
)
from client.runs.documents import ProgressReport, RunProgress
from scheduler import Spec, Table
from scheduler.compose import Constant
from scheduler.custom import LinearWarmup, WarmupWithDecay

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer

HALVED = {"template": "scale", "factor": 0.5}
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


def test_an_offline_head_is_as_new_as_what_the_client_knew(service_url: str, name: str, tmp_path: Path) -> None:
    """After each change the head offline is the one that the change made; after a deletion there is none."""
    with Client(service_url, cache=tmp_path) as client, Client(offline=True, cache=tmp_path) as offline:
        run = client.create_run(name, SPEC)
        changes: list[Callable[[Run], Run]] = [
            lambda run: client.amend(run, {**HALVED, "from_step": 500}),
            lambda run: client.move_run(run, OTHER),
            lambda run: client.rollback(run, 1),
            lambda run: client.set_run(run, labels={"a": "1"}),
        ]
        for change in changes:
            run = change(run)
            assert dataclasses.replace(offline.run(name), stale=False, age_seconds=0.0) == run
        client.delete_run(run)
        with pytest.raises(OfflineError, match=f"the run {name} was deleted"):
            offline.run(name)
        assert offline.run(name, 1).version == 1


def test_an_offline_head_goes_when_the_service_has_none(service_url: str, name: str, tmp_path: Path) -> None:
    """A run that somebody else deleted is not known offline, once the service has said so."""
    with Client(service_url, cache=tmp_path) as client, Client(offline=True, cache=tmp_path) as offline:
        run = client.create_run(name, SPEC)
        with Client(service_url, cache=False) as other:
            other.delete_run(run)
        with pytest.raises(RunNotFoundError, match="410"):
            client.run(name)
        with pytest.raises(OfflineError, match=f"the run {name} was looked for"):
            offline.run(name)


def test_a_run_is_not_computed_beyond_the_limit(client: Client, name: str) -> None:
    """The largest file that is taken holds for a table that would be computed, too."""
    run = client.create_run(name, SPEC)
    with pytest.raises(UnexpectedResponseError, match="at most 1000"):
        client.get(run, max_bytes=1000)


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


def test_of_many_at_once_one_wins(service_url: str, name: str) -> None:
    """All who create the same run succeed; of all who move it from the same version one does, the others are told."""
    with Client(service_url) as client, ThreadPoolExecutor(16) as pool:
        created = list(pool.map(lambda _: client.create_run(name, SPEC), range(16)))
        assert {run.version for run in created} == {1}

        def move(number: int) -> str:
            try:
                return client.move_run(created[0], Constant(0.01 * (number + 1)), 100).action
            except RunChangedError as error:
                return f"told {error.current['version']}"

        assert sorted(pool.map(move, range(16))) == ["move", *["told 2"] * 15]
        assert len(client.run_versions(name)) == 2
        by_name = pool.map(lambda number: client.amend(name, {**HALVED, "from_step": 10 * number}), range(3))
        assert sorted(run.version for run in by_name) == [3, 4, 5]  # of a name: each after the others


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


def test_workers_report_where_they_are(client: Client, name: str) -> None:
    """The last report of a worker wins; the answer says what the run is now; no amendment lands behind the furthest."""
    created = client.create_run(name, SPEC)
    assert client.run_progress(name) == RunProgress({}, None)
    assert client.report_progress(name, "rank-0", 300) == ProgressReport(1, created.digest, 300)
    assert client.report_progress(name, "rank-1", 250).highest == 300
    assert client.report_progress(name, "rank-0", 280).highest == 280
    progress = client.run_progress(name)
    assert progress.highest == 280
    assert {worker: found.step for worker, found in progress.workers.items()} == {"rank-0": 280, "rank-1": 250}
    with pytest.raises(AmendmentRefusedError, match="rank-0"):
        client.amend(name, {"template": "hold", "from_step": 290})
    found = client.amend(name, {"template": "hold", "from_step": 290}, dry_run=True)
    assert [refusal["code"] for refusal in found.refusals] == ["amendment-refused"]
    amended = client.amend(name, {"template": "hold", "from_step": 600})
    client.rollback(client.rollback(name, 1, rewind=True), 2, rewind=True)
    assert client.report_progress(name, "rank-0", 310, version=3) == ProgressReport(4, amended.digest, None, False)
    assert client.report_progress(name, "rank-0/e", 310, version=4).highest == 310
    assert client.forget_progress(name, "nobody") == []
    assert client.forget_progress(name, "rank-0/e") == ["rank-0/e"]
    client.report_progress(name, "rank-1", 10**12)
    with pytest.raises(AmendmentRefusedError, match="lrtables run workers NAME"):
        client.amend(name, {"template": "hold", "from_step": 290})
    assert client.forget_progress(name) == ["rank-1"]
    assert client.run_progress(name) == RunProgress({}, None)
    client.delete_run(name)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"workers": {"a": 1}}', b'{"workers": {}, "highest": "x"}'], ids=repr)
def test_malformed_answers_are_named(scripted: ScriptedServer, response: type[Response], body: bytes) -> None:
    """An answer of something else than the service is an UnexpectedResponseError, never a KeyError."""
    scripted.script = lambda seen: response(body=body, headers={"X-Request-ID": seen.headers["X-Request-ID"]})
    with Client(scripted.url) as client:
        for call in (
            lambda: client.run("a/b"),
            lambda: client.run_versions("a/b"),
            lambda: list(client.runs()),
            lambda: client.proposals("a/b"),
            lambda: client.run_progress("a/b"),
            lambda: client.report_progress("a/b", "w", 1),
            lambda: client.changes(0),
            lambda: next(client.watch("a/b")),
        ):
            with pytest.raises(UnexpectedResponseError, match=f"^{scripted.url} "):
                call()


def test_another_run_than_asked_for_is_refused(scripted: ScriptedServer, response: type[Response]) -> None:
    """A cache or proxy may answer with another run's document: it is not taken for the one."""
    other = {
        "namespace": "team-a",
        "name": "gpt",
        "version": 1,
        "action": "create",
        "digest": "0" * 64,
        "total_steps": 1,
        "axis": "step",
        "stride": 1,
        "created_at": "2026-11-30T16:50:04Z",
    }
    scripted.script = lambda _: response(body=json.dumps(other).encode())
    with Client(scripted.url) as client:
        with pytest.raises(UnexpectedResponseError, match="team-a/gpt at version 1, which was not asked for"):
            client.run("team-a/bert")
        with pytest.raises(UnexpectedResponseError, match="team-a/gpt at version 1, which was not asked for"):
            client.run("team-a/gpt", 2)
        assert client.run("team-a/gpt").version == 1
