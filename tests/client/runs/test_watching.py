"""A watch goes on through what the network and the service do to it; what will not pass ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from uuid import uuid4

import pytest

from client import Client, NotAllowedError, ServiceUnreachableError
from client.runs.calls import Changes
from client.runs.documents import Change
from client.runs.watching import watch
from scheduler import Spec
from scheduler.compose import Constant
from tests.support.servers.fault_profiles import REFUSED, reset
from tests.support.servers.fault_proxy import FaultProxy
from tests.support.servers.process import ServerProcess

SPEC = Spec(schedule=Constant(0.1), total_steps=100)


@pytest.fixture
def proxy(shared_server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(shared_server.port) as proxy:
        yield proxy


def test_a_watch_outlives_an_outage(proxy: FaultProxy, service_url: str) -> None:
    """Connections are reset, then refused, while changes are made: each is seen once, in order, when it is over."""
    name = f"test-{uuid4().hex}/bert"
    found: list[str] = []
    with Client(service_url) as direct, Client(proxy.url, deadline=1.0, refused_patience=0.1) as client:
        direct.create_run(name, SPEC)

        def follow() -> None:
            for change in islice(client.watch(name, since=0), 5):
                found.append(change.action)

        watching = threading.Thread(target=follow)
        watching.start()
        while not found:
            watching.join(0.02)
        for profile in (reset(0), REFUSED):
            with proxy.faulty(profile):
                direct.set_run(name, locked=True)
                watching.join(1.0)  # long enough for failures
                direct.set_run(name, locked=False)
        watching.join(120)
    assert found == ["create", "lock", "unlock", "lock", "unlock"]


def test_a_watch_that_cannot_begin_is_an_error(free_port: int) -> None:
    """A wrong address is told at once, not waited for."""
    with (
        Client(f"http://127.0.0.1:{free_port}", deadline=5.0, refused_patience=0.1) as client,
        pytest.raises(ServiceUnreachableError, match=str(free_port)),
    ):
        next(client.watch("a/b"))


def test_what_will_not_pass_ends_a_watch() -> None:
    """A token that was taken away in the middle ends the watch with its error."""
    change = Change(1, "a", "b", 1, "create", "0" * 64, "2026-11-30T16:50:04Z")
    answers = iter([Changes([change], 1)])

    def read(since: int, *, wait: float, run: str) -> Changes:
        for answer in answers:
            return answer
        raise NotAllowedError("u", 401, b"", True)

    watching = watch(read, lambda: 0, "a/b", None)
    assert next(watching) == change
    with pytest.raises(NotAllowedError, match="401"):
        next(watching)
