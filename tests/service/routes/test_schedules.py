"""The catalogue of schedules."""

import dataclasses
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from scheduler import KINDS
from scheduler.messages.descriptions import parameter_descriptions, prose


def test_every_kind_is_in_the_list(client: TestClient) -> None:
    """The list has every kind with a line that says what it is, and a link that works."""
    listed = client.get("/v1/schedules").json()["schedules"]
    assert [item["kind"] for item in listed] == list(KINDS)
    for item in listed:
        assert item["summary"]
        assert client.get(item["links"]["self"]).json()["kind"] == item["kind"]


def test_a_kind_is_found_in_any_case(client: TestClient) -> None:
    """A path, a query and a body may write a kind in any case; what is answered, and the id, are of its own name."""
    assert client.get("/v1/schedules/TORCH.steplr").json()["kind"] == "torch.StepLR"
    assert client.get("/v1/lr?kind=CONSTANT&value=0.5&steps=0", headers={"Accept": "text/plain"}).text == "0.5\n"
    made = [
        client.post("/v1/tables", json={"schedule": {"kind": kind, "value": 0.5}, "total_steps": 2}).json()
        for kind in ("constant", "Constant")
    ]
    assert made[0]["spec"]["schedule"]["kind"] == "Constant"
    assert made[0]["spec_id"] == made[1]["spec_id"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_the_class(client: TestClient, kind: str) -> None:
    """An entry has the class's docstring, its revision, its parameters in order, and their schema."""
    entry = client.get(f"/v1/schedules/{kind}").json()
    cls = KINDS[kind]
    names = [field.name for field in dataclasses.fields(cast(Any, cls)) if field.name != "kind"]
    assert entry["description"] == prose(cls)
    assert entry["revision"] == cls.revision
    assert [parameter["name"] for parameter in entry["parameters"]] == names
    described = {parameter["name"]: parameter["description"] for parameter in entry["parameters"]}
    assert described == parameter_descriptions(cls)
    schema = entry["json_schema"]
    schema = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    assert set(schema["properties"]) == {*names, "kind"}
    assert {parameter["name"] for parameter in entry["parameters"] if parameter["required"]} == set(
        schema.get("required", [])
    )


def test_defaults_are_told(client: TestClient) -> None:
    """A parameter that may be left out is told with its default."""
    parameters = client.get("/v1/schedules/custom.CyclicLR").json()["parameters"]
    assert [{name: item[name] for name in ("name", "required", "default")} for item in parameters[2:]] == [
        {"name": "step_size", "required": True, "default": None},
        {"name": "mode", "required": False, "default": "triangular"},
        {"name": "gamma", "required": False, "default": 0.99994},
    ]


def test_an_unknown_kind_is_404(client: TestClient) -> None:
    """A kind that there is not is named, with those of a similar name or with what lists them."""
    answer = client.get("/v1/schedules/custom.Nope")
    assert (answer.status_code, answer.json()["code"]) == (404, "kind-not-found")
    assert answer.json()["errors"][0]["value"] == "custom.Nope"
    assert answer.json()["detail"] == "there is no schedule of kind 'custom.Nope': /v1/schedules lists them"
    misspelt = client.get("/v1/schedules/Sequense").json()["detail"]
    assert misspelt.startswith("there is no schedule of kind 'Sequense': did you mean Sequence")
