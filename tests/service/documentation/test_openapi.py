"""The OpenAPI document."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import KINDS
from service.app import create_app, open_server
from service.documentation.examples import recorded_responses
from service.documentation.openapi import operations
from service.routes.registry import ROUTES
from service.settings import Settings
from service.workers.pool import Workers
from tests.service.golden import EXAMPLES_BY_NAME, OPENAPI, fresh_client, text


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, workers: Workers) -> dict[str, Any]:
    """The document of a server with default settings. Nobody changes it."""
    with fresh_client(tmp_path_factory.mktemp("document"), workers) as client:
        data: dict[str, Any] = client.get("/v1/openapi.json").json()
    return data


def test_the_document_is_as_it_was_reviewed(document: dict[str, Any]) -> None:
    """Every change of the interface is seen in review: `python -m tests.service.golden` writes the file anew."""
    assert text(document) == OPENAPI.read_text(encoding="utf-8")


def test_every_route_has_an_example(document: dict[str, Any]) -> None:
    """Each documented route declares an example, with a value for each parameter that it needs."""
    listed = dict(operations(document))
    assert set(listed) == {route.name for route in ROUTES if route.is_documented}
    assert [name for name in listed if name not in EXAMPLES_BY_NAME] == []
    for name, operation in listed.items():
        required = {item["name"].lower() for item in operation.get("parameters", ()) if item.get("required")}
        example = EXAMPLES_BY_NAME[name]
        assert required <= {*example.parameters, *example.headers}, name


@pytest.mark.parametrize("name", EXAMPLES_BY_NAME)
def test_an_example_is_shown(document: dict[str, Any], name: str) -> None:
    """The document shows the example's request and its recorded response."""
    operation, example = dict(operations(document))[name], EXAMPLES_BY_NAME[name]
    if example.body is not None:
        assert operation["requestBody"]["content"]["application/json"]["example"] == example.body
    for media_type, body in recorded_responses(name).items():
        assert operation["responses"][str(example.status)]["content"][media_type]["example"] == body


def test_routes_that_need_a_token_are_marked(tmp_path: Path, workers: Workers) -> None:
    """If tokens are required, the document marks the routes that need one; the others work without."""
    settings = Settings(data_dir=tmp_path / "data", require_tokens=True)
    with TestClient(create_app(open_server(settings, workers))) as client:
        document = client.get("/v1/openapi.json").json()
        for route, operation in operations(document):
            method, path = route.split()
            status = client.request(method, path.format_map(EXAMPLES_BY_NAME[route].parameters)).status_code
            assert (status == 401) == (operation.get("security") == [{"token": []}]), route
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


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
    union = document["components"]["schemas"]["AnySchedule"]
    assert set(union["discriminator"]["mapping"]) == set(KINDS)
    assert len(union["oneOf"]) == len(KINDS)
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["description"]
