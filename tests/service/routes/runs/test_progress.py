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
        ({"worker": "rank-0", "step": 2**53}, "/step"),
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


def test_the_largest_step_is_kept(client: TestClient) -> None:
    """A report may be as large as the integers that every reader of JSON keeps."""
    create(client)
    assert report(client, "rank-0", 2**53 - 1)["highest"] == 2**53 - 1


def test_a_run_that_is_created_anew_has_no_reports(client: TestClient) -> None:
    """What the workers of a deleted run reported does not hold for the next run of that name."""
    create(client)
    report(client, "rank-0", 900)
    client.delete(PATH, headers={"if-match": '"v1"'})
    create(client)
    assert client.get(f"{PATH}/progress").json() == {"workers": {}, "highest": None}
    assert amend(client, 3, {"template": "hold", "from_step": 600}).status_code == 201


def test_a_rewind_to_the_table_in_force_forgets_the_reports(client: TestClient) -> None:
    """Workers go back although the table stays: it is a version of its own, and they report anew."""
    create(client)
    report(client, "rank-0", 900)
    body = {"version": 1, "rewind": True}
    rewound = client.post(f"{PATH}/rollback", json=body, headers={"if-match": '"v1"'})
    assert (rewound.status_code, rewound.json()["version"]) == (200, 2)
    assert client.get(f"{PATH}/progress").json()["highest"] is None
