"""What a token may do to a run, and what it learns of it."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import Table
from service.database.metadata import open_metadata
from service.security.tokens import Limits, new_token
from service.settings import Settings
from tests.service.conftest import MakeClient

STORED = Table({"lr": [0.5, 0.4375]})
SPEC = {"schedule": {"kind": "Constant", "value": 0.3125}, "total_steps": 2}
NEW = {"if-none-match": "*"}


class Guarded:
    """A server that asks for tokens, with a stored table."""

    def __init__(self, make_client: MakeClient, folder: Path) -> None:
        self._folder = folder
        self.admin = self.token("admin")
        self.client: TestClient = make_client(require_tokens=True)
        headers = {"content-type": "application/octet-stream", "authorization": self.admin}
        assert self.client.put("/v1/tables", content=STORED.to_bytes(), headers=headers).status_code == 201

    def token(self, *scopes: str, namespaces: Sequence[str] = ("*",), **limits: Any) -> str:
        """The Authorization header of a new token."""
        name = "-".join(scopes)
        token, row = new_token(name, scopes, namespaces, Limits(**limits), expires_in=3600.0)
        with closing(open_metadata(Settings(data_dir=self._folder))) as metadata:
            metadata.tokens.add(row)
        return f"Bearer {token}"

    def put(self, token: str, body: dict[str, Any], name: str = "team-a/bert", **headers: str) -> Any:
        """The response to a PUT that creates a run, or moves it with these headers."""
        return self.client.put(f"/v1/runs/{name}", json=body, headers={**(headers or NEW), "authorization": token})


@pytest.fixture
def guarded(make_client: MakeClient, tmp_path: Path) -> Guarded:
    return Guarded(make_client, tmp_path / "data")


def test_the_author_is_the_token(guarded: Guarded) -> None:
    """A version, and its entry in the feed, have the name of the token that made it, whoever creates it again."""
    first, second = guarded.token("publish", "read"), guarded.token("admin", "publish")
    assert guarded.put(first, {"spec": SPEC}).json()["author"] == "publish-read"
    assert guarded.put(second, {"spec": SPEC}).json()["author"] == "publish-read"
    moved = guarded.put(second, {"digest": STORED.digest}, **{"if-match": '"v1"'})
    assert moved.json()["author"] == "admin-publish"
    feed = guarded.client.get("/v1/changes", headers={"authorization": first}).json()["changes"]
    assert [change["author"] for change in feed] == ["publish-read", "admin-publish"]


def test_a_change_needs_a_token_for_the_run(guarded: Guarded) -> None:
    """A token of other namespaces can neither create, move, delete nor read a run; the error names the run."""
    own = guarded.token("publish", "read", namespaces=("team-a/*",))
    assert guarded.put(own, {"spec": SPEC}).status_code == 201
    for name in ("team-b/bert", "team-a-b/bert"):
        refused = guarded.put(own, {"spec": SPEC}, name)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert f"namespace {name}" in refused.json()["detail"]
    assert guarded.put(guarded.admin, {"spec": SPEC}, "team-b/bert").status_code == 201
    headers = {"authorization": own, "if-match": '"v1"'}
    for method, rest in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/rollback"), ("GET", "/versions/1")):
        answer = guarded.client.request(method, f"/v1/runs/team-b/bert{rest}", json={}, headers=headers)
        assert answer.status_code == 403, method


def test_what_is_stored_is_not_told_without_read(guarded: Guarded) -> None:
    """A token that may only publish makes no run of a stored table, and is not told the values of another's run."""
    writer = guarded.token("publish")
    naming = {**SPEC, "schedule": {"kind": "Literal", "digest": STORED.digest}}
    for body in ({"digest": STORED.digest}, {"digest": "0" * 64}, {"spec": naming}):
        refused = guarded.put(writer, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert 'scope="read"' in refused.headers["www-authenticate"]
    assert guarded.put(guarded.admin, {"digest": STORED.digest}).status_code == 201
    refused = guarded.put(writer, {"spec": SPEC})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition-failed")
    assert "0.5" not in refused.text
    assert STORED.digest not in refused.text
    assert "difference" not in refused.json()
    assert guarded.put(guarded.token("publish", "read"), {"spec": SPEC}).json()["difference"]["first_step"] == 0


def test_the_limits_of_a_token_hold_for_runs(guarded: Guarded) -> None:
    """A spec of more steps than the token allows is refused, with a pointer into the body."""
    limited = guarded.token("publish", max_steps=1)
    refused = guarded.put(limited, {"spec": SPEC})
    assert (refused.status_code, refused.json()["code"]) == (422, "limit-exceeded")
    assert refused.json()["errors"][0]["pointer"] == "/spec/total_steps"


def test_a_change_tells_no_values_without_read(guarded: Guarded) -> None:
    """What changes a run answers with its identity; its spec and its amendment are for tokens that may read."""
    hold = {"from_step": 1, "tail": {"kind": "Constant", "value": 0.40625}}
    run = guarded.put(guarded.admin, {"spec": SPEC}).json()
    writer, path = guarded.token("publish"), "/v1/runs/team-a/bert"

    def answer(method: str, rest: str, body: Any, version: int, token: str = writer) -> Any:
        headers = {"authorization": token, "if-match": f'"v{version}"'}
        return guarded.client.request(method, path + rest, json=body, headers=headers)

    proposal = answer("POST", "/proposals", hold, 1, guarded.token("propose")).json()
    answers = [
        guarded.put(writer, {"spec": SPEC}),
        answer("PATCH", "", {}, 1),
        answer("POST", f"/proposals/{proposal['proposal']}/reject", {}, 1),
        answer("POST", "/amendments", hold, 1),
        answer("PATCH", "", {}, 2),
        answer("POST", "/rollback", {"version": 1}, 2),
        answer("DELETE", "", {}, 3),
    ]
    for each in answers:
        assert each.status_code in (200, 201), each.text
        assert "0.3125" not in each.text
        assert "0.40625" not in each.text
    assert (answers[1].json()["digest"], answers[1].json()["spec"]) == (run["digest"], None)
    assert answers[4].json()["amendment"] == {"template": "tail", "from_step": 1}
    assert answer("DELETE", "", {}, 4, guarded.admin).status_code == 410


def test_a_refusal_tells_no_rates_without_read(guarded: Guarded) -> None:
    """A guard rail that refuses names its rule and limit to whoever may publish; the rates to whoever may also read."""
    rules = {"min_lr": 0.28125, "max_factor": 1.5}
    assert guarded.put(guarded.admin, {"spec": SPEC, "rules": rules}).status_code == 201
    writer, path = guarded.token("publish"), "/v1/runs/team-a/bert"
    scale, match = {"template": "scale", "from_step": 1, "factor": 0.25}, {"if-match": '"v1"'}
    body = {"spec": {**SPEC, "schedule": {"kind": "Constant", "value": 0.078125}}}
    proposed = guarded.client.post(f"{path}/proposals", json=scale, headers={**match, "authorization": guarded.admin})
    assert [each["value"] for each in proposed.json()["refusals"]] == [0.078125, 4.0]
    blind = {**match, "authorization": guarded.token("propose")}
    told = guarded.client.post(f"{path}/proposals", json=scale, headers=blind).json()["refusals"]
    assert [(each["code"], each["rule"], "value" in each) for each in told] == [
        ("guard-rail", "min_lr", False),
        ("guard-rail", "max_factor", False),
    ]
    assert "0.078125" not in str(told)
    for token, may_read in ((writer, False), (guarded.token("publish", "read"), True)):
        headers = {**match, "authorization": token}
        for answer in (
            guarded.put(token, body, **match),
            guarded.client.post(f"{path}/amendments", json=scale, headers=headers),
            guarded.client.post(f"{path}/proposals/1/approve", headers=headers),
        ):
            found = answer.json()
            assert (answer.status_code, found["code"], found["rule"], found["limit"]) == (
                422,
                "guard-rail",
                "min_lr",
                0.28125,
            )
            assert [each["rule"] for each in found["refusals"]] == ["min_lr", "max_factor"]
            assert ("0.078125" in answer.text, "value" in found, "factor 4" in answer.text) == (may_read,) * 3
