"""Amendments over HTTP: what they change, what is proven, and every refusal."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from scheduler import Spec, Table
from scheduler.libraries.transformers import Cosine
from service.database.metadata import open_metadata
from service.settings import Settings
from tests.service.conftest import MakeClient
from tests.support.runs import PATH, amend, create, problem, report, spec, table

COOLDOWN = {"template": "cooldown", "from_step": 600, "length": 100, "shape": "1-sqrt"}
HOLD = {"template": "hold", "from_step": 600}
TAIL = {"from_step": 600, "tail": {"kind": "Constant", "value": 0.25}}
SCALE = {"template": "scale", "from_step": 600, "factor": 0.1}
EXTEND = {"template": "extend", "from_step": 600, "total_steps": 1500}
RAMP = {"kind": "Ramp", "start": "previous", "stop": 0, "length": 500}
REWIND = {"template": "rewind", "from_step": 200, "tail": RAMP}


@pytest.mark.parametrize(
    ("amendment", "action", "total_steps"),
    [
        (COOLDOWN, "amend", 700),
        (HOLD, "amend", 1000),
        (TAIL, "amend", 1000),
        (SCALE, "amend", 1000),
        (EXTEND, "amend", 1500),
        (REWIND, "rewind", 700),
    ],
    ids=lambda value: str(value.get("template", "tail")) if isinstance(value, dict) else None,
)
def test_an_amendment_is_a_new_version(
    client: TestClient, amendment: dict[str, Any], action: str, total_steps: int
) -> None:
    """The version has the amendment, its reason and its parent; rows before the step are the old ones."""
    run = create(client)
    response = amend(client, 1, amendment, reason="now", link="https://example.com")
    assert (response.status_code, response.headers["etag"], response.headers["location"]) == (201, '"v2"', PATH)
    new = response.json()
    assert (new["version"], new["parent"], new["action"], new["from_step"]) == (2, 1, action, amendment["from_step"])
    assert (new["reason"], new["link"], new["total_steps"]) == ("now", "https://example.com", total_steps)
    assert new["amendment"] == {"template": "tail", **new["amendment"], **{"from_step": amendment["from_step"]}}
    assert new["spec"]["total_steps"] == total_steps
    step = amendment["from_step"]
    old_rates, rates = table(client, run["digest"])["lr"], table(client, new["digest"])["lr"]
    assert rates[:step] == old_rates[:step]
    assert rates[step:] != old_rates[step:]
    assert client.get(f"{PATH}/versions/2").json()["amendment"] == new["amendment"]
    changes = client.get("/v1/changes").json()["changes"]
    assert [(each["version"], each["action"]) for each in changes] == [(1, "create"), (2, action)]


def test_amendments_are_kept_flat(client: TestClient) -> None:
    """The schedule of a run that was amended again and again is one sequence of parts."""
    create(client)
    for version in range(1, 20):
        assert amend(client, version, {**SCALE, "from_step": 600 + version}).status_code == 201
    schedule = client.get(PATH).json()["spec"]["schedule"]
    assert (schedule["kind"], len(schedule["schedules"])) == ("Sequence", 20)
    assert {part["kind"] for part in schedule["schedules"][1:]} == {"Scale"}
    assert all(part["schedule"]["schedule"]["kind"] == "custom.WarmupWithDecay" for part in schedule["schedules"][1:])


def test_the_precondition_is_required_and_holds(client: TestClient) -> None:
    """Without If-Match the status is 428; with another version 412 with the run as it is; an unknown run is 404."""
    run = create(client)
    problem(client.post(f"{PATH}/amendments", json=HOLD), 428, "precondition-required")
    assert problem(amend(client, 2, HOLD), 412, "precondition-failed")["current"] == run
    problem(amend(client, 1, HOLD, path="/v1/runs/team-a/gpt"), 404, "run-not-found")
    client.delete(PATH, headers={"if-match": '"v1"'})
    problem(amend(client, 2, HOLD), 410, "run-deleted")


def test_a_locked_run_refuses_amendments(client: TestClient) -> None:
    """Until it is unlocked, a locked run answers 423."""
    create(client)
    client.patch(PATH, json={"locked": True}, headers={"if-match": '"v1"'})
    problem(amend(client, 1, HOLD), 423, "run-locked")


def test_an_amendment_behind_a_reported_step_is_refused(client: TestClient) -> None:
    """The step must lie more than the margin after the highest reported one; the refusal names worker and step."""
    create(client)
    report(client, "rank-0", 550)
    report(client, "rank-1", 500)
    found = problem(amend(client, 1, HOLD), 409, "amendment-refused")
    assert (found["worker"], found["step"], found["margin_steps"], found["from_step"]) == ("rank-0", 550, 100, 600)
    assert "rank-0 has reported step 550" in found["detail"]
    problem(amend(client, 1, {**HOLD, "from_step": 650}), 409, "amendment-refused")
    assert amend(client, 1, {**HOLD, "from_step": 651}).status_code == 201


def test_the_margin_is_a_rule_of_the_run_and_steps_are_those_of_the_axis(client: TestClient) -> None:
    """Progress counts units of the table's axis: its row is the progress over the stride."""
    create(client, spec=spec(axis="sample", stride=32), rules={"margin_steps": 0})
    report(client, "rank-0", 600 * 32 + 31)
    found = problem(amend(client, 1, HOLD), 409, "amendment-refused")
    assert (found["step"], found["margin_steps"]) == (19231, 0)
    assert amend(client, 1, {**HOLD, "from_step": 601}).status_code == 201


def test_a_rewind_lies_behind_and_clears_the_reports(client: TestClient) -> None:
    """A rewind makes a branch behind the reported step; workers report anew from the checkpoint's step."""
    create(client)
    report(client, "rank-0", 550)
    response = amend(client, 1, REWIND)
    assert (response.status_code, response.json()["action"], response.json()["parent"]) == (201, "rewind", 1)
    assert client.get(f"{PATH}/progress").json() == {"workers": {}, "highest": None}
    report(client, "rank-0", 210)
    assert amend(client, 2, {**HOLD, "from_step": 320}).status_code == 201


@pytest.mark.parametrize(
    ("rules", "amendment", "rule", "limit", "value"),
    [
        ({"min_lr": 0.05}, {**SCALE, "factor": 0.1}, "min_lr", 0.05, 0.01),
        ({"max_lr": 1.5}, {**SCALE, "from_step": 100, "factor": 2.0}, "max_lr", 1.5, 2.0),
        ({"max_factor": 3}, {**SCALE, "factor": 0.25}, "max_factor", 3.0, 4.0),
        ({"max_factor": 3}, {**SCALE, "factor": 4.0}, "max_factor", 3.0, 4.0),
    ],
)
def test_guard_rails_refuse_by_name(
    client: TestClient, rules: dict[str, Any], amendment: dict[str, Any], rule: str, limit: float, value: float
) -> None:
    """A change that breaks a rule is refused with the rule, its limit and the value, and changes nothing."""
    run = create(client, rules=rules)
    found = problem(amend(client, 1, amendment), 422, "guard-rail")
    assert (found["rule"], found["limit"]) == (rule, limit)
    assert found["value"] == pytest.approx(value, rel=1e-3)
    assert rule in found["detail"]
    assert client.get(PATH).json()["version"] == run["version"]
    assert amend(client, 1, {**amendment, "factor": 1.25}).status_code == 201


def test_rules_look_at_no_row_before_the_step(client: TestClient) -> None:
    """The warmup starts below the least rate, and is not what an amendment is refused for."""
    create(client, rules={"min_lr": 0.1})
    assert amend(client, 1, {**HOLD}).status_code == 201


def test_there_is_a_cool_off_between_two_changes(client: TestClient) -> None:
    """Until the cool-off is over every change is refused, moves and rollbacks too; rules are changed all the same."""
    create(client)
    client.patch(PATH, json={"rules": {"cooloff_seconds": 3600}}, headers={"if-match": '"v1"'})
    found = problem(amend(client, 1, HOLD), 422, "guard-rail")
    assert (found["rule"], found["limit"]) == ("cooloff_seconds", 3600)
    assert 0 <= found["value"] < 60
    moved = client.put(PATH, json={"spec": spec(500)}, headers={"if-match": '"v1"'})
    assert problem(moved, 422, "guard-rail")["rule"] == "cooloff_seconds"
    client.patch(PATH, json={"rules": {}}, headers={"if-match": '"v1"'})
    assert amend(client, 1, HOLD).status_code == 201


def test_moves_and_rollbacks_keep_the_rows_that_workers_have_passed(client: TestClient) -> None:
    """A move needs the margin, a rollback equal rows as far as workers are; with `rewind` it needs neither."""
    create(client)
    assert amend(client, 1, {**HOLD, "from_step": 300}).status_code == 201
    report(client, "rank-0", 301)
    moved = client.put(PATH, json={"spec": spec(500)}, headers={"if-match": '"v2"'})
    problem(moved, 409, "amendment-refused")
    back = {"version": 1}
    problem(client.post(f"{PATH}/rollback", json=back, headers={"if-match": '"v2"'}), 409, "amendment-refused")
    report(client, "rank-0", 300)
    ok = client.post(f"{PATH}/rollback", json=back, headers={"if-match": '"v2"'})
    assert (ok.status_code, ok.json()["version"], ok.json()["from_step"]) == (200, 3, 301)  # row 300 is the same
    report(client, "rank-0", 900)
    rewound = client.post(f"{PATH}/rollback", json={"version": 2, "rewind": True}, headers={"if-match": '"v3"'})
    assert rewound.status_code == 200
    assert client.get(f"{PATH}/progress").json()["highest"] is None


def test_a_dry_run_shows_and_changes_nothing(client: TestClient) -> None:
    """It says what would change, why it would be refused, and has a picture; no version, no entry in the feed."""
    run = create(client, rules={"max_factor": 2.0})
    report(client, "rank-0", 550)
    before = client.get("/v1/changes").json()
    response = amend(client, 1, {**SCALE, "factor": 0.25}, dry_run=True)
    assert response.status_code == 200
    found = response.json()
    assert (found["from_step"], found["first_step"], found["total_steps"]) == (600, 600, 1000)
    assert found["largest_factor"] == pytest.approx(4.0)
    rates = table(client, found["digest"])["lr"]
    assert found["last_steps"] == {"lr": rates[-1]}
    assert rates[600:] == [0.25 * rate for rate in table(client, run["digest"])["lr"][600:]]
    assert [each["code"] for each in found["refusals"]] == ["amendment-refused", "guard-rail"]
    assert found["refusals"][1]["rule"] == "max_factor"
    assert ElementTree.fromstring(found["picture"]).tag == "{http://www.w3.org/2000/svg}svg"
    assert "all rates times 0.25" in found["picture"]
    assert client.get("/v1/changes").json() == before
    assert client.get(PATH).json()["version"] == 1
    fine = amend(client, 1, {**HOLD, "from_step": 990}, dry_run=True).json()
    assert (fine["refusals"], fine["spec"]["schedule"]["kind"]) == ([], "Sequence")


def test_a_picture_of_a_long_run_is_small(client: TestClient) -> None:
    """However many rows there are, the picture is drawn from the extremes of runs of rows."""
    create(client, spec=spec(300_000))
    found = amend(client, 1, {**SCALE, "from_step": 200_000}, dry_run=True).json()
    assert "from step 200,000" in found["picture"]
    assert len(found["picture"]) < 100_000


def test_an_amendment_that_changes_nothing_is_refused(client: TestClient) -> None:
    """A change that leaves every row as it is makes no version; a rewind to the same rows does."""
    run = create(client)
    same = {"from_step": 600, "tail": {"kind": "Shift", "schedule": run["spec"]["schedule"], "offset": 600}}
    for amendment in (same, {"template": "scale", "from_step": 600, "factor": 1.0}):
        assert "changes no row" in problem(amend(client, 1, amendment), 409, "amendment-refused")["detail"]
        assert amend(client, 1, amendment, dry_run=True).json()["refusals"][0]["detail"] == "it changes no row"
    assert amend(client, 1, {**same, "template": "rewind"}).json()["digest"] == run["digest"]


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({"from_step": 600}, "/template", "template must be one of tail, cooldown"),
        ({**HOLD, "from_step": 1000}, "/from_step", "from_step must be <= 999 for a table of 1000, got 1000"),
        ({**HOLD, "from_step": "now"}, "/from_step", "from_step should be a valid integer"),
        ({**HOLD, "reason": 1}, "/reason", "reason: "),
        ({**HOLD, "why": "x"}, "", "Amendment has no parameter 'why'"),
        ({**COOLDOWN, "shape": "round"}, "/shape", "shape "),
        ({**TAIL, "tail": {"kind": "Rampp"}}, "/tail/kind", "unknown kind 'Rampp'"),
        ({**TAIL, "total_steps": 600}, "/total_steps", "total_steps must be > from_step (600), got 600"),
        ([], "", "must be a JSON object"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(client: TestClient, body: Any, pointer: str, said: str) -> None:
    """Errors of the amendment, and of what it makes, point into the body."""
    create(client)
    response = client.post(f"{PATH}/amendments", json=body, headers={"if-match": '"v1"'})
    found = problem(response, 422, "invalid-request")
    assert said in found["detail"]
    assert found["errors"][0]["pointer"].startswith(pointer)


def test_the_limits_of_the_server_hold(make_client: MakeClient) -> None:
    """A table longer than the server allows, or a tail that names a table that is not there, is refused."""
    client = make_client(max_steps=1200)
    create(client)
    problem(amend(client, 1, EXTEND), 422, "limit-exceeded")
    unknown = {"from_step": 600, "tail": {"kind": "Literal", "digest": "0" * 64}}
    problem(amend(client, 1, unknown), 422, "not-computable")


def test_a_run_of_published_values_is_amended(client: TestClient) -> None:
    """A run without a spec gets one that takes the rows before the step from its table."""
    published = Table({"lr": [0.5, 0.25, 0.125, 0.0625], "weight_decay": [0.1, 0.2, 0.3, 0.4]}, axis="epoch")
    client.put("/v1/tables", content=published.to_bytes(), headers={"content-type": "application/octet-stream"})
    create(client, digest=published.digest)
    run = amend(client, 1, {"template": "cooldown", "from_step": 2, "length": 4}).json()
    assert run["axis"] == "epoch"
    assert table(client, run["digest"]) == {
        "lr": [0.5, 0.25, 0.125, 0.09375, 0.0625, 0.03125],
        "weight_decay": [0.1, 0.2, 0.3, 0.4, 0.4, 0.4],
    }


def test_a_table_of_another_kind_of_machine_is_amended_by_its_values(client: TestClient, tmp_path: Path) -> None:
    """Where this machine computes other bits for the run's spec, the rows before the step are still the stored ones."""
    known = Spec.model_validate_json(json.dumps(spec()))
    rates = known.table().lr.copy()
    rates[300] = np.nextafter(rates[300], 2.0)
    theirs = Table({"lr": rates})
    client.put("/v1/tables", content=theirs.to_bytes(), headers={"content-type": "application/octet-stream"})
    with closing(open_metadata(Settings(data_dir=tmp_path / "data"))) as metadata:
        metadata.tables.record(known.id, known.model_dump_json(), theirs.digest, theirs.nbytes)
    assert create(client)["digest"] == theirs.digest
    run = amend(client, 1, HOLD).json()
    assert table(client, run["digest"])["lr"] == [*rates[:600], *[rates[600]] * 400]
    first = run["spec"]["schedule"]["schedules"][0]
    assert (first["kind"], first["digest"]) == ("Literal", theirs.digest)


def test_a_schedule_that_cannot_be_cut_is_amended_by_its_table(client: TestClient) -> None:
    """Where a library's schedule climbs again, its rows are taken from the table."""
    schedule = Cosine(0.1, 10, 60).to_dict()
    run = create(client, spec={"schedule": schedule, "total_steps": 100})
    new = amend(client, 1, {"template": "hold", "from_step": 90}).json()
    old_rates, rates = table(client, run["digest"])["lr"], table(client, new["digest"])["lr"]
    assert rates == old_rates[:90] + old_rates[90:91] * 10
    assert new["spec"]["schedule"]["schedules"][0]["kind"] == "Literal"


@pytest.mark.parametrize("shape", ["geometric", "inverse_sqrt"])
def test_a_rate_that_a_shape_cannot_reach_is_named(client: TestClient, shape: str) -> None:
    """A cool-down to 0 in a shape that has no end there is refused with its rate."""
    create(client)
    found = problem(amend(client, 1, {**COOLDOWN, "shape": shape}), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "/rate"
    assert (found["errors"][0]["value"], shape in found["detail"]) == (0.0, True)


def test_a_dry_run_of_a_locked_run_says_so(client: TestClient) -> None:
    """What would change is shown; that the run is locked is one of the refusals."""
    create(client)
    client.patch(PATH, json={"locked": True}, headers={"if-match": '"v1"'})
    response = amend(client, 1, HOLD, dry_run=True)
    assert (response.status_code, [each["code"] for each in response.json()["refusals"]]) == (200, ["run-locked"])


def test_a_move_to_other_columns_keeps_the_largest_factor(client: TestClient) -> None:
    """A rate of all groups is compared with that of each group, when a run moves from one to the other."""
    create(client, rules={"max_factor": 2.0})
    faster = {**spec()["schedule"], "base_lr": 4.0}
    body = {"spec": spec(schedule=[spec()["schedule"], faster])}
    refused = client.put(PATH, json=body, headers={"if-match": '"v1"'})
    assert problem(refused, 422, "guard-rail")["rule"] == "max_factor"
