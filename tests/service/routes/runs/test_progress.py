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
    assert report(client, "rank-0", 10) == {
        "version": 1,
        "digest": run["digest"],
        "highest": 10,
        "counted": True,
    }
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
        ({"worker": "rank-0", "step": 1, "version": 0}, "/version"),
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


def rewind(client: TestClient, version: int, to: int = 1) -> None:
    """Let the workers of a run go back."""
    body, match = {"version": to, "rewind": True}, {"if-match": f'"v{version}"'}
    assert client.post(f"{PATH}/rollback", json=body, headers=match).status_code == 200


def test_a_late_report_of_the_branch_that_was_left_blocks_nothing(client: TestClient) -> None:
    """A worker that has not heard of a rewind is told the new version; its position keeps no amendment off."""
    create(client)
    report(client, "rank-0", 900, version=1)
    rewind(client, 1)
    late = report(client, "rank-0", 901, version=1)
    assert (late["version"], late["highest"], late["counted"]) == (2, None, False)
    assert client.get(f"{PATH}/progress").json() == {"workers": {}, "highest": None}
    assert report(client, "rank-1", 50, version=2)["counted"] is True
    assert report(client, "rank-0", 902, version=1)["highest"] == 50
    assert amend(client, 2, {"template": "hold", "from_step": 600}).status_code == 201
    workers = client.get(f"{PATH}/progress").json()["workers"]
    assert {name: (each["step"], each["version"]) for name, each in workers.items()} == {"rank-1": (50, 2)}


def test_a_wrong_report_is_named_and_can_be_forgotten(client: TestClient) -> None:
    """A position past the table's end keeps amendments off until the worker reports again, or is forgotten."""
    create(client)
    for worker in ("x/y:0", "rank-1"):
        report(client, worker, 10**12)
    hold = {"template": "hold", "from_step": 600}
    refused = problem(amend(client, 1, hold), 409, "amendment-refused")
    assert "the worker rank-1 has reported step 1000000000000, row 1000000000000, " in refused["detail"]
    assert "can be forgotten" in refused["detail"]
    assert datetime.fromisoformat(refused["reported_at"]).tzinfo is not None
    assert client.delete(f"{PATH}/progress/x/y:0").json() == {"forgotten": ["x/y:0"]}
    assert client.delete(f"{PATH}/progress/x/y:0").json() == {"forgotten": []}
    assert set(client.get(f"{PATH}/progress").json()["workers"]) == {"rank-1"}
    assert client.delete(f"{PATH}/progress").json() == {"forgotten": ["rank-1"]}
    assert amend(client, 1, hold).status_code == 201
    problem(client.delete("/v1/runs/team-a/gpt/progress"), 404, "run-not-found")
