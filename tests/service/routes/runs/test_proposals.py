"""Proposals over HTTP: proposed, approved once, rejected, outdated."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.database.metadata import open_metadata
from service.security.tokens import new_token
from service.settings import Settings
from tests.service.conftest import MakeClient
from tests.support.runs import PATH, amend, create, problem, report, spec

HOLD = {"template": "hold", "from_step": 600}


def propose(client: TestClient, version: int = 1, amendment: dict[str, Any] = HOLD, **more: Any) -> Any:
    """The response to a proposal."""
    headers = {"if-match": f'"v{version}"', **more.pop("headers", {})}
    return client.post(f"{PATH}/proposals", json={**amendment, **more}, headers=headers)


def test_a_proposal_is_approved(client: TestClient) -> None:
    """What was proposed becomes a version, with the proposal's reason; the proposal says which."""
    create(client)
    response = propose(client, reason="flat", link="https://example.com")
    assert (response.status_code, response.headers["location"]) == (201, f"{PATH}/proposals/1")
    proposal = response.json()
    assert (proposal["proposal"], proposal["base_version"], proposal["state"]) == (1, 1, "open")
    assert (proposal["reason"], proposal["link"], proposal["version"]) == ("flat", "https://example.com", None)
    assert proposal["refusals"] == []
    assert client.get(PATH).json()["version"] == 1
    approved = client.post(f"{PATH}/proposals/1/approve")
    assert (approved.status_code, approved.headers["etag"]) == (201, '"v2"')
    run = approved.json()
    assert (run["action"], run["reason"], run["from_step"]) == ("amend", "flat", 600)
    assert run["amendment"] == proposal["amendment"]
    found = client.get(f"{PATH}/proposals/1").json()
    assert (found["state"], found["version"], found["decided_by"]) == ("approved", 2, "")
    changes = client.get("/v1/changes").json()["changes"]
    assert [(each["version"], each["action"]) for each in changes] == [(1, "create"), (1, "propose"), (2, "amend")]
    problem(client.post(f"{PATH}/proposals/1/approve"), 409, "proposal-decided")
    problem(client.post(f"{PATH}/proposals/1/reject"), 409, "proposal-decided")


def test_a_proposal_is_rejected(client: TestClient) -> None:
    """A rejected proposal changes nothing, and cannot be approved any more; the feed has the reason."""
    create(client)
    propose(client)
    rejected = client.post(f"{PATH}/proposals/1/reject", json={"reason": "wait"})
    assert (rejected.status_code, rejected.json()["state"]) == (200, "rejected")
    problem(client.post(f"{PATH}/proposals/1/approve"), 409, "proposal-decided")
    assert client.get("/v1/changes").json()["changes"][-1]["action"] == "reject"
    assert client.get(PATH).json()["version"] == 1


def test_a_proposal_is_outdated_by_a_change(client: TestClient) -> None:
    """A proposal is for one version: after another change it must be made anew."""
    create(client)
    propose(client)
    assert amend(client, 1, {**HOLD, "from_step": 700}).status_code == 201
    assert "propose it anew" in problem(client.post(f"{PATH}/proposals/1/approve"), 409, "proposal-outdated")["detail"]
    problem(propose(client), 412, "precondition-failed")


def test_guard_rails_and_reports_hold_for_an_approval(client: TestClient) -> None:
    """They are looked at when it is approved, and the proposal stays open."""
    create(client, rules={"max_factor": 2.0})
    made = propose(client, amendment={"template": "scale", "from_step": 600, "factor": 0.1}).json()
    assert [(each["code"], each["rule"], each["limit"]) for each in made["refusals"]] == [
        ("guard-rail", "max_factor", 2.0)
    ]
    assert "refusals" not in client.get(f"{PATH}/proposals/1").json()
    assert problem(client.post(f"{PATH}/proposals/1/approve"), 422, "guard-rail")["rule"] == "max_factor"
    propose(client)
    report(client, "rank-0", 590)
    problem(client.post(f"{PATH}/proposals/2/approve"), 409, "amendment-refused")
    proposals = client.get(f"{PATH}/proposals").json()
    assert [(each["proposal"], each["state"]) for each in proposals["proposals"]] == [(1, "open"), (2, "open")]
    assert proposals["next"] is None


def test_proposals_come_in_pages(client: TestClient) -> None:
    """A page has the next ones after a number."""
    create(client)
    for _ in range(3):
        assert propose(client).status_code == 201
    page = client.get(f"{PATH}/proposals?limit=2").json()
    assert ([each["proposal"] for each in page["proposals"]], page["next"]) == ([1, 2], 2)
    page = client.get(f"{PATH}/proposals?limit=2&after=2").json()
    assert ([each["proposal"] for each in page["proposals"]], page["next"]) == ([3], None)


def test_what_is_not_there_is_404(client: TestClient) -> None:
    """A proposal, or a run, that is not there is named."""
    problem(client.get(f"{PATH}/proposals"), 404, "run-not-found")
    problem(client.get(f"{PATH}/proposals/1"), 404, "run-not-found")
    create(client)
    for response in (
        client.get(f"{PATH}/proposals/1"),
        client.post(f"{PATH}/proposals/1/approve"),
        client.post(f"{PATH}/proposals/1/reject"),
    ):
        problem(response, 404, "proposal-not-found")


def test_what_cannot_be_is_not_proposed(client: TestClient) -> None:
    """An impossible amendment is refused when it is proposed; so is one without a version, and of a locked run."""
    create(client)
    problem(propose(client, amendment={**HOLD, "from_step": 5000}), 422, "invalid-request")
    nothing = {"template": "scale", "from_step": 600, "factor": 1.0}
    assert "changes no row" in problem(propose(client, amendment=nothing), 409, "amendment-refused")["detail"]
    problem(client.post(f"{PATH}/proposals", json=HOLD), 428, "precondition-required")
    client.patch(PATH, json={"locked": True}, headers={"if-match": '"v1"'})
    problem(propose(client), 423, "run-locked")


@pytest.fixture
def tokens(make_client: MakeClient, tmp_path: Path) -> tuple[TestClient, dict[str, dict[str, str]]]:
    """A server that asks for tokens, and headers by the name of a token: what it allows."""
    headers: dict[str, dict[str, str]] = {}
    with closing(open_metadata(Settings(data_dir=tmp_path / "data"))) as metadata:
        for scopes in (("propose",), ("publish",), ("publish", "read"), ("compute",), ("read",)):
            text, row = new_token("+".join(scopes), scopes, ["team-a/*"], expires_in=3600.0)
            metadata.tokens.add(row)
            headers["+".join(scopes)] = {"authorization": f"Bearer {text}"}
    return make_client(require_tokens=True), headers


def test_who_may_propose_cannot_change(tokens: tuple[TestClient, dict[str, dict[str, str]]]) -> None:
    """`propose` allows no amendment and no approval; authors are the tokens' names."""
    client, headers = tokens
    new = {"if-none-match": "*", **headers["publish"]}
    assert client.put(PATH, json={"spec": spec()}, headers=new).status_code == 201
    first = {"if-match": '"v1"'}
    problem(client.post(f"{PATH}/amendments", json=HOLD, headers={**first, **headers["propose"]}), 403, "forbidden")
    proposal = propose(client, headers=headers["propose"]).json()
    assert proposal["author"] == "propose"
    problem(client.post(f"{PATH}/proposals/1/approve", headers=headers["propose"]), 403, "forbidden")
    problem(client.get(f"{PATH}/proposals", headers=headers["propose"]), 403, "forbidden")
    assert client.post(f"{PATH}/proposals/1/approve", headers=headers["publish"]).json()["author"] == "publish"
    assert client.get(f"{PATH}/proposals/1", headers=headers["read"]).json()["decided_by"] == "publish"
    dry = {**HOLD, "from_step": 700, "dry_run": True}
    second = {"if-match": '"v2"'}
    problem(client.post(f"{PATH}/amendments", json=dry, headers={**second, **headers["publish"]}), 403, "forbidden")
    shown = client.post(f"{PATH}/amendments", json=dry, headers={**second, **headers["publish+read"]})
    assert shown.status_code == 200
    other = client.post("/v1/runs/team-b/bert/progress", json={}, headers=headers["compute"])
    problem(other, 403, "forbidden")


def test_a_dry_run_proposes_nothing(client: TestClient) -> None:
    """With `dry_run` it is shown what the amendment would do; there is no proposal, and no change in the feed."""
    create(client)
    response = propose(client, dry_run=True)
    assert (response.status_code, response.json()["from_step"], response.json()["refusals"]) == (200, 600, [])
    assert client.get(f"{PATH}/proposals").json()["proposals"] == []
    assert [each["action"] for each in client.get("/v1/changes").json()["changes"]] == ["create"]
