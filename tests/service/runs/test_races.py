"""Many processes that create or move one run at the same moment: exactly one does."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess
from tests.support.servers.racers import Attempt, Outcome, race

RACERS = 64
PATH = "/v1/runs/team-a/bert"


def spec(number: int) -> dict[str, Any]:
    """A small spec."""
    return {"schedule": {"kind": "Constant", "value": number / 1000}, "total_steps": 4}


def together(servers: Sequence[ServerProcess], bodies: Iterator[dict[str, Any]], **headers: str) -> list[Outcome]:
    """Send a PUT from each of 64 processes at once, to one server after the other."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return race(
        [
            Attempt(server.url + PATH, "PUT", body, sent)
            for server, body in zip(islice(cycle(servers), RACERS), bodies, strict=False)
        ]
    )


def check_races(servers: Sequence[ServerProcess]) -> None:
    """Race for the creation with one spec, for moves to one table, and for moves to a table each."""
    created = together(servers, cycle([{"spec": spec(1)}]), if_none_match="*")
    assert Counter(outcome.status for outcome in created) == {201: 1, 200: RACERS - 1}
    assert {outcome.document["version"] for outcome in created} == {1}
    assert len({outcome.document["created_at"] for outcome in created}) == 1

    bodies = ({"spec": spec(2), "reason": f"racer {number}"} for number in range(RACERS))
    moved = together(servers, bodies, if_match='"v1"')
    assert Counter(outcome.status for outcome in moved) == {200: 1, 412: RACERS - 1}
    [winner] = [outcome.document for outcome in moved if outcome.status == 200]
    assert all(outcome.document["current"] == winner for outcome in moved if outcome.status == 412)

    bodies = ({"spec": spec(3 + number)} for number in range(RACERS))
    spread = together(servers, bodies, if_match='"v2"')
    assert Counter(outcome.status for outcome in spread) == {200: 1, 412: RACERS - 1}
    [last] = [outcome.document for outcome in spread if outcome.status == 200]
    for outcome in spread:
        if outcome.status == 412:
            assert outcome.document["difference"]["first_step"] == 0

    for server in servers:
        history = urllib3.request("GET", f"{server.url}{PATH}/versions").json()["versions"]
        assert [version["version"] for version in history] == [1, 2, 3]
        assert (history[1]["reason"], history[2]["digest"]) == (winner["reason"], last["digest"])
        feed = urllib3.request("GET", f"{server.url}/v1/changes").json()["changes"]
        assert [(change["sequence"], change["version"], change["action"]) for change in feed] == [
            (1, 1, "create"),
            (2, 2, "move"),
            (3, 3, "move"),
        ]


def test_of_64_processes_one_creates_and_one_moves(server: ServerProcess) -> None:
    """All with If-None-Match succeed, and one creates; with the same If-Match one moves, and the others are told."""
    check_races([server])


@pytest.mark.slow
def test_the_same_with_three_servers(postgres: PostgresServer, tmp_path: Path) -> None:
    """Three servers over one PostgreSQL are one: exactly one creates, exactly one moves."""
    url = postgres.url()
    with ExitStack() as stack:  # each has files of its own, and computes what another one has computed
        folders = [tmp_path / f"data-{number}" for number in range(3)]
        check_races(
            [stack.enter_context(ServerProcess(each, database_url=url, database_seconds=60)) for each in folders]
        )
