"""A change whose answer was lost is looked for, and never made twice: a real server behind a proxy that drops it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from client import Client, OutcomeUnknownError, Run, RunChangedError
from scheduler import Spec
from scheduler.compose import Constant
from tests.support.servers.fault_profiles import reset
from tests.support.servers.fault_proxy import FaultProxy, Profile, Visit
from tests.support.servers.process import ServerProcess

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer, Seen

HALVED = {"template": "scale", "from_step": 60, "factor": 0.5}
SPEC = Spec(schedule=Constant(0.1), total_steps=100)
OTHER = Spec(schedule=Constant(0.2), total_steps=100)


@pytest.fixture
def proxy(shared_server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(shared_server.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Client]:
    with Client(proxy.url, deadline=30.0) as client:
        yield client


@pytest.fixture
def run(service_url: str) -> Run:
    """A run that no other test uses, at its second version."""
    with Client(service_url) as direct:
        created = direct.create_run(f"test-{uuid4().hex}/bert", SPEC)
        return direct.move_run(created, OTHER)


CHANGES: dict[str, Callable[[Client, Run], Run]] = {
    "move": lambda client, run: client.move_run(run, SPEC, reason="r", link="https://example.com"),
    "move-by-digest": lambda client, run: client.move_run(run, SPEC.table().digest),
    "amend": lambda client, run: client.amend(run, HALVED, reason="r"),
    "rollback": lambda client, run: client.rollback(run, 1, reason="r"),
    "delete": lambda client, run: client.delete_run(run, reason="r"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_lost_answer_is_found(
    proxy: FaultProxy, client: Client, run: Run, change: Callable[[Client, Run], Run]
) -> None:
    """The server makes the change and its answer is lost: the client returns the version that it made, made once."""
    with proxy.faulty(reset(0), first=1):
        made = change(client, run)
    assert made.version == 3
    assert [version.version for version in client.run_versions(run.full_name)] == [1, 2, 3]
    assert client.run(run.full_name, 3).digest == made.digest


def swallow(then: Callable[[], Any]) -> Profile:
    """A request never arrives at the server; what is done instead is `then`."""

    async def serve(visit: Visit) -> None:
        async for _ in visit.requests():
            await asyncio.get_running_loop().run_in_executor(None, then)
            await visit.reset()
            return

    return Profile("swallow", serve)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_did_not_arrive_is_sent_again(
    proxy: FaultProxy, client: Client, run: Run, change: Callable[[Client, Run], Run]
) -> None:
    """Where there is no next version, the same compare-and-set is sent again: at most one of both takes effect."""
    client.run(run.full_name, 1)  # a connection that is kept, for what is read
    with proxy.faulty(swallow(lambda: None), first=1):
        made = change(client, run)
    assert made.version == 3
    assert len(client.run_versions(run.full_name)) == 3


def test_anothers_change_is_not_taken_for_ones_own(
    proxy: FaultProxy, client: Client, service_url: str, run: Run
) -> None:
    """Somebody else moved the run while the request was lost: it is refused, with the version that there is."""
    with Client(service_url) as other:
        theirs = Spec(schedule=Constant(0.3), total_steps=100)
        with (
            proxy.faulty(swallow(lambda: other.move_run(run, theirs)), first=1),
            pytest.raises(RunChangedError, match="is at version 3, not at 2"),
        ):
            client.move_run(run, SPEC)
    assert [version.version for version in client.run_versions(run.full_name)] == [1, 2, 3]


def test_the_same_change_of_another_is_not_ones_own(
    scripted: ScriptedServer, response: type[Response], run: Run
) -> None:
    """The next version is compared by its author too: the token's name."""
    document = {**run.to_dict(), "version": run.version + 1, "action": "move", "author": "ada", "digest": "0" * 64}

    def script(seen: Seen) -> Response:
        if seen.method == "GET":
            return response(
                body=json.dumps({"name": "bob", "token_id": "1"} if seen.path == "/v1/token" else document).encode()
            )
        if len(scripted.seen) == 1:
            return response(hang_up=True)
        body = {"code": "precondition-failed", "current": document, "request_id": seen.headers["X-Request-ID"]}
        return response(status=412, body=json.dumps(body).encode())

    scripted.script = script
    with Client(scripted.url) as client, pytest.raises(RunChangedError, match=r"version 3 \(move by ada\)"):
        client.move_run(run, "0" * 64)


def test_a_creation_is_repeated(proxy: FaultProxy, client: Client) -> None:
    """Creating a run with the same schedule twice is a success, so that it may be sent again."""
    name = f"test-{uuid4().hex}/bert"
    with proxy.faulty(reset(0), first=1):
        assert client.create_run(name, SPEC).version == 1
    assert len(client.run_versions(name)) == 1


def test_a_proposal_is_made_once(proxy: FaultProxy, client: Client, run: Run) -> None:
    """A proposal whose answer was lost is found among those of the run; approving and rejecting are looked up too."""
    client.run(run.full_name)
    for number in (1, 2):  # the second of the same words is found, not the first
        with proxy.faulty(reset(0), first=1):
            assert client.propose(run, HALVED, reason="r").proposal == number
    assert len(client.proposals(run.full_name)) == 2
    with proxy.faulty(reset(0), first=1):
        assert client.reject(run.full_name, 1, reason="no").state == "rejected"
    with proxy.faulty(reset(0), first=1):
        assert client.approve(run.full_name, 2).version == 3
    assert [proposal.state for proposal in client.proposals(run.full_name)] == ["rejected", "approved"]


def test_a_proposal_that_did_not_arrive_is_an_error(proxy: FaultProxy, client: Client, run: Run) -> None:
    """It is not sent again, since it might arrive late: the error says that the outcome is not known."""
    calls: list[Callable[[], Any]] = [
        lambda: client.propose(run, HALVED),
        lambda: client.approve(run.full_name, 1),
        lambda: client.reject(run.full_name, 1),
    ]
    client.propose(run, {**HALVED, "from_step": 70})
    for call in calls:
        with (
            proxy.faulty(swallow(lambda: None), first=1),
            pytest.raises(OutcomeUnknownError, match="may or may not have taken effect"),
        ):
            call()
    assert [proposal.state for proposal in client.proposals(run.full_name)] == ["open"]
