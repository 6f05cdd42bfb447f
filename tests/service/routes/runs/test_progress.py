"""Progress over HTTP: the last report of each worker counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.runs import PATH, amend, create, problem, report


def test_the_last_report_of_each_worker_counts(client: TestClient) -> None:
    """A worker may go back: its last report replaces the one before; the response has the run and the highest one."""
    run = create(client)
    assert report(client, "rank-0", 10) == {"version": 1, "digest": run["digest"], "highest": 10}
    assert report(client, "rank-1", 12)["highest"] == 12
    assert report(client, "rank-1", 7)["highest"] == 10
    found = client.get(f"{PATH}/progress").json()
    assert found["highest"] == 10
    assert {name: each["step"] for name, each in found["workers"].items()} == {"rank-0": 10, "rank-1": 7}
    assert datetime.fromisoformat(found["workers"]["rank-0"]["reported_at"]).tzinfo is not None


def test_a_report_tells_of_a_new_version(client: TestClient) -> None:
    """A worker that reports learns which version the run has."""
    create(client)
    new = amend(client, 1, {"template": "hold", "from_step": 600}).json()
    assert report(client, "rank-0", 10)["digest"] == new["digest"]


def test_a_run_that_is_not_there_takes_no_report(client: TestClient) -> None:
    """An unknown run is 404, a deleted one 410."""
    body = {"worker": "rank-0", "step": 1}
    problem(client.post(f"{PATH}/progress", json=body), 404, "run-not-found")
    problem(client.get(f"{PATH}/progress"), 404, "run-not-found")
    create(client)
    client.delete(PATH, headers={"if-match": '"v1"'})
    problem(client.post(f"{PATH}/progress", json=body), 410, "run-deleted")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"worker": "rank-0"}, "/step"),
        ({"worker": "rank-0", "step": -1}, "/step"),
        ({"worker": "rank-0", "step": 1.5}, "/step"),
        ({"worker": "", "step": 1}, "/worker"),
        ({"worker": "rank 0", "step": 1}, "/worker"),
        ({"worker": "rank-0", "step": 1, "rate": 1}, "/rate"),
    ],
)
def test_a_bad_report_is_refused_with_its_place(client: TestClient, body: dict[str, Any], pointer: str) -> None:
    """Each error points to the value."""
    create(client)
    found = problem(client.post(f"{PATH}/progress", json=body), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == pointer
