"""Runs over HTTP: created, moved, read, rolled back, deleted, locked."""

import base64
from hashlib import sha256
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import Table

PATH = "/v1/runs/team-a/bert"
NEW = {"if-none-match": "*"}
UNKNOWN = "0" * 64


def spec(base_lr: float = 0.5, total_steps: int = 16) -> dict[str, Any]:
    """A small spec."""
    schedule = {"kind": "custom.WarmupWithDecay", "base_lr": base_lr, "warmup_steps": 4, "total_steps": 16}
    return {"schedule": schedule, "total_steps": total_steps}


def put(client: TestClient, body: dict[str, Any], path: str = PATH, **headers: str) -> Any:
    """The response to a PUT with these preconditions."""
    return client.put(path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def create(client: TestClient, base_lr: float = 0.5, path: str = PATH, **more: Any) -> dict[str, Any]:
    """Create a run, which must be new."""
    response = put(client, {"spec": spec(base_lr), **more}, path, if_none_match="*")
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem in a response, which must have this status and code."""
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    found: dict[str, Any] = response.json()
    return found


def test_a_run_is_created_and_read(client: TestClient) -> None:
    """The document says all that was sent, and names the table, which is there."""
    link = "https://example.com/log"
    body = {"spec": spec(), "reason": "go", "link": link, "labels": {"model": "bert"}, "rules": {"max_lr": 1}}
    response = put(client, body, if_none_match="*")
    assert (response.status_code, response.headers["etag"], response.headers["location"]) == (201, '"v1"', PATH)
    run = response.json()
    assert (run["namespace"], run["name"], run["version"], run["action"]) == ("team-a", "bert", 1, "create")
    assert (run["reason"], run["link"], run["labels"], run["rules"]) == ("go", link, {"model": "bert"}, {"max_lr": 1})
    assert (run["author"], run["parent"], run["from_step"], run["amendment"]) == ("", None, None, None)
    assert (run["total_steps"], run["axis"], run["stride"]) == (16, "step", 1)
    assert (run["locked"], run["deleted"]) == (False, False)
    manifest = client.get(f"{run['table']}/manifest").json()
    assert (manifest["digest"], manifest["spec_id"]) == (run["digest"], run["spec_id"])
    assert manifest["spec"] == run["spec"]
    read = client.get(PATH)
    assert (read.status_code, read.headers["etag"]) == (200, '"v1"')
    age = read.json()["age_seconds"]
    assert read.json() == {**run, "stale": False, "age_seconds": age}
    assert 0 <= age < 2
    assert read.headers["cache-control"] == "private, no-cache, no-transform"
    assert "age" not in read.headers


def test_a_document_carries_its_digest(client: TestClient) -> None:
    """Repr-Digest is the SHA-256 of the document, also of a page and of the feed: a changed byte shows."""
    made = put(client, {"spec": spec()}, if_none_match="*")
    hold = {"template": "hold", "from_step": 8}
    proposed = client.post(f"{PATH}/proposals", json=hold, headers={"if-match": '"v1"'})
    tried = client.post(f"{PATH}/amendments", json={**hold, "dry_run": True}, headers={"if-match": '"v1"'})
    parts = ("", "/versions/1", "/versions", "/proposals", "/proposals/1", "/progress")
    read = [client.get(PATH + part) for part in parts]
    for response in (made, proposed, tried, *read, client.get("/v1/runs"), client.get("/v1/changes")):
        digest = base64.b64encode(sha256(response.content).digest()).decode()
        assert response.headers["repr-digest"] == f"sha-256=:{digest}:"


def test_to_create_it_again_is_a_success(client: TestClient) -> None:
    """The same spec, or the digest of its table, is answered 200 with the run as it is."""
    run = create(client)
    for body in ({"spec": spec()}, {"digest": run["digest"]}, {"spec": spec(), "reason": "another"}):
        response = put(client, body, if_none_match="*")
        assert (response.status_code, response.json(), response.headers["etag"]) == (200, run, '"v1"')


def test_another_table_is_refused_with_the_difference(client: TestClient) -> None:
    """The error has the run as it is, the first step that differs, and both values there."""
    run = create(client)
    for headers in ({"if_none_match": "*"}, {"if_match": '"v2"'}, {"if_match": '"other"'}, {"if_match": 'W/"v1"'}):
        found = problem(put(client, {"spec": spec(0.25)}, **headers), 412, "precondition-failed")
        assert found["current"] == run
        assert found["difference"]["first_step"] == 0
        assert found["difference"]["columns"] == {"lr": [0.125, 0.0625]}
        assert "lr is 0.125 now, and 0.0625 in the request" in found["detail"]
        assert found["difference"]["text"] in found["detail"]
    assert client.get(PATH).json()["version"] == 1


def test_a_run_is_moved(client: TestClient) -> None:
    """With the version that it has, a run moves: the next version names its parent and the first changed step."""
    create(client, labels={"a": "b"})
    longer = {**spec(), "total_steps": 12}
    moved = put(client, {"spec": longer, "reason": "shorter"}, if_match='"v1"')
    assert (moved.status_code, moved.headers["etag"]) == (200, '"v2"')
    assert "location" not in moved.headers
    run = moved.json()
    assert (run["version"], run["action"], run["parent"], run["from_step"]) == (2, "move", 1, 12)
    assert (run["labels"], run["reason"]) == ({"a": "b"}, "shorter")
    again = put(client, {"spec": longer}, if_match='"v2"')
    assert (again.status_code, again.json()) == (200, run)
    assert client.get(PATH).json()["version"] == 2
    assert problem(put(client, {"spec": spec()}, if_match='"v1"'), 412, "precondition-failed")["current"] == run


def test_a_precondition_is_required(client: TestClient) -> None:
    """Without one, or with one that names no version, nothing is changed: 428 says what to send."""
    body = {"spec": spec()}
    create(client)
    for headers in ({}, {"if_match": "*"}, {"if_none_match": '"v1"'}):
        assert "If-" in problem(put(client, body, **headers), 428, "precondition-required")["detail"]
    found = problem(put(client, body, if_match='"v1"', if_none_match="*"), 422, "invalid-request")
    assert found["errors"][0]["parameter"] == "if-match"
    for method, path in (("DELETE", PATH), ("PATCH", PATH), ("POST", f"{PATH}/rollback")):
        problem(client.request(method, path, json={}), 428, "precondition-required")


def test_a_run_names_a_published_table(client: TestClient) -> None:
    """A run of a table that was not computed here has no spec; one of a table that is not there is refused."""
    table = Table({"lr": [0.5, 0.25]}, axis="epoch")
    client.put("/v1/tables", content=table.to_bytes(), headers={"content-type": "application/octet-stream"})
    run = put(client, {"digest": table.digest}, if_none_match="*").json()
    assert (run["digest"], run["spec"], run["spec_id"]) == (table.digest, None, None)
    assert (run["total_steps"], run["axis"]) == (2, "epoch")
    problem(put(client, {"digest": UNKNOWN}, if_match='"v1"'), 404, "table-not-found")
    found = problem(put(client, {"spec": spec()}, if_none_match="*"), 412, "precondition-failed")
    assert (found["difference"]["first_step"], found["difference"]["columns"]) == (0, {"lr": [0.5, 0.125]})
    assert "axis is epoch now" in found["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"spec": None}, ""),
        ({"spec": spec(), "digest": UNKNOWN}, ""),
        ({"spec": spec(-1.0)}, "/spec/schedule/base_lr"),
        ({"spec": {"schedule": {"kind": "Constant", "value": 1.0}, "total_steps": 10**9}}, "/spec/total_steps"),
        ({"spec": {}}, "/spec/schedule"),
        ({"spec": 7}, "/spec"),
        ({"digest": "x"}, "/digest"),
        ({"digest": UNKNOWN.upper().replace("0", "A")}, "/digest"),
        ({"spec": spec(), "reason": 7}, "/reason"),
        ({"spec": spec(), "reason": "x" * 4001}, "/reason"),
        ({"spec": spec(), "labels": {"a": 1}}, "/labels/a"),
        ({"spec": spec(), "labels": {"a" * 101: "b"}}, "/labels/" + "a" * 101 + "/[key]"),
        ({"spec": spec(), "labels": {f"a{n}": "b" for n in range(65)}}, "/labels"),
        ({"spec": spec(), "rules": {"max_factor": 0.5}}, "/rules/max_factor"),
        ({"spec": spec(), "rules": {"max_lr": "1"}}, "/rules/max_lr"),
        ({"spec": spec(), "rules": {"most": 1}}, "/rules/most"),
        ({"spec": spec(), "version": 1}, "/version"),
        ([], ""),
    ],
)
def test_a_bad_body_is_refused_with_the_value_named(client: TestClient, body: Any, pointer: str) -> None:
    """Whatever is wrong with a body is a 422 that points at it, and there is no run."""
    found = problem(put(client, body, if_none_match="*"), 422, found_code(pointer))
    assert pointer in [error["pointer"] for error in found["errors"]]
    problem(client.get(PATH), 404, "run-not-found")


def found_code(pointer: str) -> str:
    """The code of a bad value at this place."""
    return "limit-exceeded" if pointer == "/spec/total_steps" else "invalid-request"


@pytest.mark.parametrize("path", ["/v1/runs/-a/b", "/v1/runs/a/.b", "/v1/runs/a/" + "b" * 101, "/v1/runs/a/b%20c"])
def test_a_bad_name_is_refused(client: TestClient, path: str) -> None:
    """A name that no run can have is a 422 in every request."""
    for response in (put(client, {"spec": spec()}, path, if_none_match="*"), client.get(path)):
        assert problem(response, 422, "invalid-request")["errors"][0]["parameter"] in ("namespace", "name")


def test_a_reader_that_has_the_version_is_told_so(client: TestClient) -> None:
    """If-None-Match with the run's version is a 304 without a body."""
    create(client)
    for sent in ('"v1"', 'W/"v1"', '"v0", "v1"', "*"):
        response = client.get(PATH, headers={"if-none-match": sent})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", '"v1"')
    assert client.get(PATH, headers={"if-none-match": '"v2"'}).status_code == 200
    head = client.head(PATH)
    assert (head.status_code, head.headers["etag"]) == (200, '"v1"')


def test_a_run_is_rolled_back(client: TestClient) -> None:
    """A rollback is a new version with the table of an earlier one, and what differs from now on."""
    first = create(client)
    put(client, {"spec": spec(0.25)}, if_match='"v1"')
    path = f"{PATH}/rollback"
    response = client.post(path, json={"version": 1, "reason": "worse"}, headers={"if-match": '"v2"'})
    assert (response.status_code, response.headers["etag"]) == (200, '"v3"')
    run = response.json()
    assert (run["action"], run["parent"], run["from_step"], run["reason"]) == ("rollback", 2, 0, "worse")
    assert (run["digest"], run["spec"], run["spec_id"]) == (first["digest"], first["spec"], first["spec_id"])
    problem(client.post(path, json={"version": 9}, headers={"if-match": '"v3"'}), 404, "version-not-found")
    problem(client.post(path, json={"version": 1}, headers={"if-match": '"v2"'}), 412, "precondition-failed")
    problem(client.post(path, json={}, headers={"if-match": '"v3"'}), 422, "invalid-request")
    unknown = client.post("/v1/runs/team-a/gpt/rollback", json={"version": 1}, headers={"if-match": '"v3"'})
    problem(unknown, 404, "run-not-found")


def test_a_run_is_deleted(client: TestClient) -> None:
    """A deleted run is gone for readers and writers, and can be created anew; its versions stay."""
    create(client)
    problem(client.delete(PATH, headers={"if-match": '"v2"'}), 412, "precondition-failed")
    response = client.request("DELETE", PATH, json={"reason": "unused"}, headers={"if-match": '"v1"'})
    run = response.json()
    assert (response.status_code, run["version"], run["deleted"], run["reason"]) == (200, 2, True, "unused")
    for gone in (client.get(PATH), client.delete(PATH, headers={"if-match": '"v2"'})):
        problem(gone, 410, "run-deleted")
    problem(put(client, {"spec": spec(0.25)}, if_match='"v2"'), 410, "run-deleted")
    problem(client.patch(PATH, json={"locked": True}, headers={"if-match": '"v2"'}), 410, "run-deleted")
    assert [each["action"] for each in client.get(f"{PATH}/versions").json()["versions"]] == ["create", "delete"]
    again = put(client, {"spec": spec(0.25)}, if_none_match="*")
    assert (again.status_code, again.json()["version"], again.json()["parent"]) == (201, 3, 2)
    assert client.delete(PATH, headers={"if-match": '"v3"'}).status_code == 200


def test_a_locked_run_refuses_moves(client: TestClient) -> None:
    """Until it is unlocked a run takes no version: 423. What it has can be said again, and read."""
    create(client)
    match = {"if-match": '"v1"'}
    locked = client.patch(PATH, json={"locked": True, "reason": "done"}, headers=match)
    assert (locked.status_code, locked.json()["locked"], locked.headers["etag"]) == (200, True, '"v1.1"')
    assert client.get(PATH).json()["locked"] is True
    problem(put(client, {"spec": spec(0.25)}, if_match='"v1"'), 423, "run-locked")
    problem(client.delete(PATH, headers=match), 423, "run-locked")
    assert put(client, {"spec": spec()}, if_none_match="*").status_code == 200
    assert client.patch(PATH, json={"locked": False}, headers=match).json()["locked"] is False
    assert put(client, {"spec": spec(0.25)}, if_match='"v1"').status_code == 200


def test_labels_and_rules_are_replaced(client: TestClient) -> None:
    """A PATCH replaces what it gives, keeps the rest, and makes no version."""
    create(client, labels={"a": "b"}, rules={"max_lr": 0.5, "margin_steps": 10})
    match = {"if-match": '"v1"'}
    run = client.patch(PATH, json={"labels": {"c": "d"}}, headers=match).json()
    assert (run["labels"], run["rules"]) == ({"c": "d"}, {"max_lr": 0.5, "margin_steps": 10})
    run = client.patch(PATH, json={"rules": {"max_factor": 2}}, headers=match).json()
    assert (run["labels"], run["rules"], run["version"]) == ({"c": "d"}, {"max_factor": 2}, 1)
    problem(client.patch(PATH, json={"rules": {"max_lr": -1}}, headers=match), 422, "invalid-request")
    problem(client.patch(PATH, json={"labels": {}}, headers={"if-match": '"v2"'}), 412, "precondition-failed")
    problem(client.patch("/v1/runs/a/b", json={}, headers=match), 404, "run-not-found")
    assert client.get(PATH).json()["labels"] == {"c": "d"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": "a\0b"}, "/reason"),
        ({"link": "\0"}, "/link"),
        ({"labels": {"x": "\0"}}, "/labels/x"),
    ],
)
def test_text_that_a_database_cannot_store_is_refused(client: TestClient, body: dict[str, Any], pointer: str) -> None:
    """PostgreSQL stores no NUL: it is refused with its place, whatever the database."""
    create(client)
    refused = put(client, {"spec": spec(0.25), **body}, if_match='"v1"')
    assert problem(refused, 422, "invalid-request")["errors"][0]["pointer"] == pointer
    if "link" not in body:
        patched = client.patch(PATH, json=body, headers={"if-match": '"v1"'})
        assert problem(patched, 422, "invalid-request")["errors"][0]["pointer"] == pointer
    for query in ("kind=%00", "label=x:%00"):
        problem(client.get(f"/v1/runs?{query}"), 422, "invalid-request")


def test_rules_can_be_sent_back(client: TestClient) -> None:
    """The rules of a run's document are rules: integers are integers."""
    rules = {"margin_steps": 50, "max_lr": 1.5}
    run = create(client, rules=rules)
    assert (run["rules"], type(run["rules"]["margin_steps"])) == (rules, int)
    for given in (run["rules"], {**rules, "margin_steps": 50.0}):
        patched = client.patch(PATH, json={"rules": given}, headers={"if-match": '"v1"'})
        assert (patched.status_code, patched.json()["rules"]) == (200, rules)
