"""The OpenAPI document."""

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import KINDS

ROUTES = {
    ("post", "/v1/tables"),
    ("get", "/v1/tables/{digest}"),
    ("get", "/v1/tables/{digest}.safetensors"),
    ("get", "/v1/tables/{digest}.npy"),
    ("get", "/v1/tables/{digest}.json"),
    ("get", "/v1/tables/{digest}.csv"),
    ("get", "/v1/tables/{digest}/manifest"),
    ("get", "/v1/tables/{digest}/values"),
    ("get", "/v1/schedules"),
    ("get", "/v1/schedules/{kind}"),
    ("get", "/v1/server"),
    ("get", "/livez"),
    ("get", "/readyz"),
}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    data: dict[str, Any] = client.get("/v1/openapi.json").json()
    return data


def test_every_route_is_listed(document: dict[str, Any]) -> None:
    """The document has every route, and no other."""
    listed = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert listed == ROUTES


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Each schema that is referred to is in the document."""
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert referred <= set(document["components"]["schemas"])


def test_specs_and_problems_are_described(document: dict[str, Any]) -> None:
    """The body of a POST is a spec of any kind; every route's errors are problems."""
    body = document["paths"]["/v1/tables"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Spec"}
    schemas = document["components"]["schemas"].values()
    assert {schema.get("properties", {}).get("kind", {}).get("const") for schema in schemas} >= set(KINDS)
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["description"]
