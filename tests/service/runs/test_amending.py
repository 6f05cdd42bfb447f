"""Amendments through a real server, on both kinds of database: races, reports that come at the same time, many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

from scheduler import Spec
from scheduler.amendments import parse_amendment
from scheduler.views.difference import first_difference
from tests.support.runs import PATH, amend, create, report, spec
from tests.support.schedules.amended_arrays import amended_arrays, arrays
from tests.support.schedules.bits import assert_same_columns
from tests.support.servers.process import ServerProcess

AtOnce = Callable[[int, Callable[[int], str]], list[str]]


class Response:
    """A response, as `tests.support.runs` reads it."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status_code = response.status
        self.text = response.data.decode()

    def json(self) -> Any:
        """The body as JSON data."""
        return json.loads(self.text)


class Connection:
    """A client of a real server, for several threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=60.0)

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Send a request; return the response."""
        return Response(self._pool.request(method, self._url + url, **options))

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()


@pytest.fixture
def connection(database_url: str, tmp_path: Path) -> Iterator[Connection]:
    """A client of a real server: in turn on either kind of database."""
    with ServerProcess(tmp_path / "data", database_url=database_url) as server:
        client = Connection(server.url)
        yield client
        client.close()


def test_of_16_amendments_of_one_version_one_is_made(connection: Connection, at_once: AtOnce) -> None:
    """Of amendments at the same moment exactly one makes the next version; the others are told of it."""
    create(connection)

    def change(number: int) -> str:
        answer = amend(connection, 1, {"template": "scale", "from_step": 600 + number, "factor": 0.5})
        return f"{answer.status_code}"

    assert Counter(at_once(16, change)) == {"201": 1, "412": 15}
    assert connection.request("GET", PATH).json()["version"] == 2
    changes = connection.request("GET", "/v1/changes").json()["changes"]
    assert [each["action"] for each in changes] == ["create", "amend"]


def test_of_16_approvals_one_is_made(connection: Connection, at_once: AtOnce) -> None:
    """Of approvals of two proposals at the same moment exactly one is made; the rest are decided or outdated."""
    create(connection)
    for step in (600, 700):
        body = {"template": "hold", "from_step": step}
        answer = connection.request("POST", f"{PATH}/proposals", json=body, headers={"if-match": '"v1"'})
        assert answer.status_code == 201

    def approve(number: int) -> str:
        answer = connection.request("POST", f"{PATH}/proposals/{1 + number % 2}/approve")
        return f"{answer.status_code}"

    assert Counter(at_once(16, approve)) == {"201": 1, "409": 15}
    proposals = connection.request("GET", f"{PATH}/proposals").json()["proposals"]
    assert sorted((each["state"], each["version"]) for each in proposals) == [("approved", 2), ("open", None)]


def test_a_report_is_seen_by_an_amendment_or_comes_after_it(connection: Connection, at_once: AtOnce) -> None:
    """Whatever the order of a report and an amendment: it is refused if the report is there, and no report is lost."""
    for turn in range(6):
        path = f"/v1/runs/team-a/turn-{turn}"
        create(connection, path)

        def act(number: int, path: str = path) -> str:
            if number == 0:
                return str(amend(connection, 1, {"template": "hold", "from_step": 600}, path).status_code)
            return str(report(connection, f"rank-{number}", 550 + number, path)["version"])

        first, *rest = at_once(8, act)
        assert first in ("201", "409")
        assert set(rest) <= {"1", "2"}
        assert connection.request("GET", f"{path}/progress").json()["highest"] == 557
        again = amend(connection, 2 if first == "201" else 1, {"template": "hold", "from_step": 610}, path)
        assert again.status_code == 409


@pytest.mark.slow
def test_200_amendments_of_one_run(connection: Connection, database_url: str) -> None:
    """Each keeps the rows before its step; the last table is that of arrays spliced as often, and the spec small.

    PostgreSQL, to which the number makes no difference, has 40.
    """
    count = 200 if database_url.startswith("sqlite:") else 40
    run = create(connection, spec=spec(4000))
    known = Spec.model_validate_json(json.dumps(run["spec"]))
    expected = arrays(known)
    for number in range(count):
        step = 200 + 15 * number
        ramp = {"kind": "Ramp", "start": "previous", "stop": 0.25 + number / 1024, "length": 90}
        changes: list[dict[str, Any]] = [
            {"template": "scale", "from_step": step, "factor": 0.5},
            {"from_step": step, "tail": ramp, "total_steps": run["total_steps"]},
            {"template": "scale", "from_step": step, "factor": 2.0},
            {"template": "extend", "from_step": step, "total_steps": run["total_steps"] + 5},
        ]
        answer = amend(connection, number + 1, changes[number % 4])
        assert answer.status_code == 201, answer.text
        run = answer.json()
        expected = amended_arrays(known, expected, parse_amendment(changes[number % 4]))
        before, known = known, Spec.model_validate_json(json.dumps(run["spec"]))
        assert first_difference(before.table(), known.table()) >= step
    assert_same_columns(arrays(known), expected)
    assert known.table().digest == run["digest"]
    assert len(known.canonical()) < count * 400
    stored = connection.request("GET", f"{run['table']}.json").json()["columns"]["lr"]
    assert np.array(stored).tobytes() == expected["lr"].tobytes()
