"""The entity tag of a run: its version, and how often its lock, labels or rules were set anew since."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.runs import PATH, amend, create, problem

HOLD = {"template": "hold", "from_step": 600}


def patch(client: TestClient, if_match: str, **settings: Any) -> Any:
    """The response to a change of settings."""
    return client.patch(PATH, json=settings, headers={"if-match": if_match})


def test_the_tag_changes_with_what_is_set(client: TestClient) -> None:
    """Each PATCH that changes something makes another tag, so that no 304 hides a lock; a new version begins anew."""
    assert create(client)["revision"] == 0
    tags = [client.get(PATH).headers["etag"]]
    for settings in ({"locked": True}, {"labels": {"a": "b"}, "rules": {"max_lr": 2}}, {"labels": {"a": "b"}}):
        patched = patch(client, '"v1"', **settings)
        assert patched.headers["etag"] == client.get(PATH).headers["etag"]
        tags.append(patched.headers["etag"])
    assert tags == ['"v1"', '"v1.1"', '"v1.2"', '"v1.2"']
    stale = client.get(PATH, headers={"if-none-match": '"v1"'})
    assert (stale.status_code, stale.json()["locked"], stale.json()["revision"]) == (200, True, 2)
    assert client.get(PATH, headers={"if-none-match": '"v1.2"'}).status_code == 304
    assert patch(client, '"v1.2"', locked=False).headers["etag"] == '"v1.3"'
    amended = amend(client, 1, HOLD)
    assert (amended.headers["etag"], amended.json()["revision"], amended.json()["labels"]) == ('"v2"', 0, {"a": "b"})


def test_a_change_may_expect_the_revision_too(client: TestClient) -> None:
    """With a revision in If-Match, what was set in between refuses the change; without one it does not."""
    create(client)
    assert patch(client, '"v1.0"', labels={"by": "anna"}).headers["etag"] == '"v1.1"'
    for tag in ('"v1.0"', '"v1.2"', '"v2.1"', '"v1.01"'):
        refused = problem(patch(client, tag, labels={"by": "ben"}), 412, "precondition-failed")
        assert refused["current"]["labels"] == {"by": "anna"}
    said = problem(patch(client, '"v1.0"', labels={}), 412, "precondition-failed")["detail"]
    assert "were set again: it is at revision 1 of version 1, not at 0" in said
    body = {**HOLD, "reason": "flat"}
    for tag, status in (('"v1.0"', 412), ('"v1.1"', 201)):
        response = client.post(f"{PATH}/amendments", json=body, headers={"if-match": tag})
        assert response.status_code == status, response.text


@pytest.mark.parametrize("tag", ['"v1"', '"v1.1"'])
def test_every_change_takes_either_tag(client: TestClient, tag: str) -> None:
    """A proposal, a rollback and a deletion are made for the version, or for its revision too."""
    create(client)
    patch(client, '"v1"', labels={"a": "b"})
    match = {"if-match": tag}
    assert client.post(f"{PATH}/proposals", json=HOLD, headers=match).json()["base_version"] == 1
    assert client.post(f"{PATH}/rollback", json={"version": 1}, headers=match).status_code == 200
    assert client.delete(PATH, headers=match).json()["version"] == 2


def test_the_feed_tells_what_was_set(client: TestClient) -> None:
    """Labels and rules of each change, the proposal that was approved and who made it, the version rolled back to."""
    create(client, labels={"a": "b"}, rules={"margin_steps": 5})
    patch(client, '"v1"', locked=True)
    patch(client, '"v1"', locked=False, rules={"margin_steps": 7})
    client.post(f"{PATH}/proposals", json=HOLD, headers={"if-match": '"v1"'})
    client.post(f"{PATH}/proposals/1/approve")
    client.post(f"{PATH}/rollback", json={"version": 1}, headers={"if-match": '"v2"'})
    changes = client.get("/v1/changes", params={"run": "team-a/bert"}).json()["changes"]
    assert [(each["action"], each["details"]) for each in changes] == [
        ("create", {"labels": {"a": "b"}, "rules": {"margin_steps": 5}}),
        ("lock", None),
        ("unlock", None),
        ("rules", {"rules": {"margin_steps": 7}}),
        ("propose", {"proposal": 1}),
        ("amend", {"proposal": 1, "proposed_by": ""}),
        ("rollback", {"version": 1}),
    ]
