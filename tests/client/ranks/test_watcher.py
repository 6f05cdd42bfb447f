"""The thread of rank 0, against a real server: it hears of changes by the feed, and ends when it should."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from client import Client, RequestRefusedError
from client.ranks.watcher import Watcher
from scheduler import Spec
from scheduler.custom import WarmupWithDecay

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000)
HOLD = {"template": "hold", "from_step": 600}
NEVER = 3600.0  # seconds: a poll that no test waits for
PATIENCE = 60.0


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition, and return what it gave."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.fixture
def client(service_url: str, tmp_path: Path) -> Iterator[Client]:
    with Client(service_url, cache=tmp_path / "cache") as client:
        yield client


@pytest.fixture
def name(client: Client) -> str:
    """A run of `SPEC` that no other test uses."""
    name = f"test-{uuid4().hex}/bert"
    client.create_run(name, SPEC)
    return name


def test_a_change_is_heard_of_by_the_feed(client: Client, name: str) -> None:
    """A version is offered soon after it was made, however long the poll is, and again the one after it."""
    watcher = Watcher(client, name, 1, position=0, worker=None, poll=NEVER)
    for version in (2, 3):
        client.amend(name, {**HOLD, "from_step": 1100 - 200 * version})
        offer = until(lambda: watcher.offer(0, 1))
        assert (offer.run.version, offer.table) == (version, client.get(client.run(name, version)))
        watcher.settle(version, is_taken_up=True)
    watcher.stop()
    watcher.join(PATIENCE)
    assert not watcher._thread.is_alive()


def test_without_a_feed_the_run_is_asked_for(client: Client, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the feed is not to be had, for instance because too many wait, a change is found by the next poll."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise RequestRefusedError("/v1/changes", 503, b"{}")

    monkeypatch.setattr(client, "changes", refuse)
    watcher = Watcher(client, name, 1, position=0, worker=None, poll=0.05)
    client.amend(name, HOLD)
    assert until(lambda: watcher.offer(0, 1)).run.version == 2
    watcher.stop()
    watcher.join(PATIENCE)


def test_reports_name_the_version_in_force(client: Client, name: str) -> None:
    """A worker that has not taken up a rewind does not count; once it has, it does."""
    watcher = Watcher(client, name, 1, position=5, worker="rank-0", poll=0.05)

    def reported() -> list[tuple[int, int | None]]:
        return [(each.step, each.version) for each in client.run_progress(name).workers.values()]

    until(lambda: reported() == [(5, 1)])
    client.rollback(name, 1, rewind=True)
    until(lambda: watcher.offer(7, 1))
    watcher.finish(8)
    watcher.join(PATIENCE)
    assert reported() == []
    later = Watcher(client, name, 1, position=5, worker="rank-0", poll=0.05)
    until(lambda: later.offer(9, 1))
    later.settle(2, is_taken_up=True)
    until(lambda: reported() == [(9, 2)])
    later.stop()
    later.join(PATIENCE)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_no_watcher(client: Client, name: str) -> None:
    """In a child nothing is offered, reported or waited for, and it ends: whatever the thread held when it forked."""
    watcher = Watcher(client, name, 1, position=0, worker=None, poll=NEVER)
    client.amend(name, HOLD)
    until(lambda: watcher.offer(0, 1))
    with watcher._lock:
        child = os.fork()
        if child == 0:  # the lock is held for ever here
            found = watcher.offer(0, 1)
            watcher.finish(3)
            watcher.join(PATIENCE)
            os._exit(0 if found is None else 1)
    end = time.monotonic() + PATIENCE
    while (waited := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
        time.sleep(0.01)
    if waited[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert waited == (child, 0)
    watcher.stop()
    watcher.join(PATIENCE)


@pytest.mark.slow
def test_a_process_ends_while_its_watcher_waits(service_url: str, client: Client, name: str) -> None:
    """A thread in the middle of a long request keeps no process alive."""
    code = f"""
import time
from client import Client
from client.ranks.watcher import Watcher
watcher = Watcher(Client({service_url!r}, cache=False), {name!r}, 1, position=0, worker=None, poll={NEVER})
time.sleep(1.5)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
