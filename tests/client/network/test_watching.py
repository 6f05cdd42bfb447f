"""A run watched behind a proxy that fails: every change comes once, in its order, or there is a named error."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from client import Client, ClientError
from client.runs.documents import Run
from scheduler.custom import WarmupWithDecay
from tests.support.client.watchdog import ending
from tests.support.servers import fault_profiles as faults
from tests.support.servers.fault_proxy import FaultProxy
from tests.support.servers.process import ServerProcess

HOLD = {"template": "hold", "from_step": 600}
ACTIONS = ["create", "lock", "unlock", "labels", "amend"]
FAILING = (
    "slow", "lossy", "reset", "black hole", "half-open", "truncated", "wrong length", "corrupt byte", "refused"
)  # fmt: skip
"""The profiles that a next attempt overcomes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this file's own."""
    with ServerProcess(tmp_path_factory.mktemp("watched") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def run(server: ServerProcess) -> Run:
    """A run with a few changes, between those of another."""
    with Client(server.url, cache=False) as client:
        run = client.create_run("team/watched", WarmupWithDecay(5e-4, 100, 1000))
        client.create_run("team/other", WarmupWithDecay(5e-4, 100, 1000))
        client.set_run(run.full_name, locked=True)
        client.set_run(run.full_name, locked=False)
        client.set_run("team/other", locked=True)
        client.set_run(run.full_name, labels={"a": "b"})
        return client.amend(run.full_name, HOLD)


@pytest.mark.parametrize("name", FAILING)
def test_a_watch_goes_on_through_a_failing_network(server: ServerProcess, run: Run, name: str) -> None:
    """Where the first connections fail, every change is yielded once, in the order in which it was made."""

    def watched() -> list[tuple[str, int]]:
        with Client(proxy.url, timeout=1.0, deadline=30.0, cache=False) as client:
            return [(change.action, change.version) for change in islice(client.watch(run.full_name, 0), len(ACTIONS))]

    first = None if name in ("slow", "lossy") else 2
    with FaultProxy(server.port) as proxy, ThreadPoolExecutor(1) as pool:
        if name == "refused":
            with proxy.faulty(faults.PROFILES[name]):
                found = pool.submit(watched)
                with pytest.raises(TimeoutError, match=r"^$"):
                    found.result(0.5)
            end = found.result(60)
        else:
            with proxy.faulty(faults.PROFILES[name], first):
                end = ending(watched)
    assert end == [(action, 2 if action == "amend" else 1) for action in ACTIONS]


@pytest.mark.parametrize("name", ["reset", "truncated", "corrupt byte", "HTML 200", "black hole"])
def test_a_watch_that_cannot_begin_ends_in_a_named_error(server: ServerProcess, run: Run, name: str) -> None:
    """While every connection fails, to learn the newest number is an error, by the feed and by its stream of events."""

    def begun() -> object:
        with Client(proxy.url, timeout=0.5, deadline=1.5, cache=False) as client:
            try:
                return next(client.watch(run.full_name))
            except ClientError as error:
                return error

    with FaultProxy(server.port) as proxy, proxy.faulty(faults.PROFILES[name]):
        assert isinstance(ending(begun), ClientError)
