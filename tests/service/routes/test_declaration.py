"""How a route is declared: a toy declared here is guarded, documented and counted as every other is."""

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import service
from service.app import create_app, open_server
from service.database.metadata import open_metadata
from service.documentation.examples import Example
from service.routes.declaration import Resource
from service.routes.registry import ROUTES, Routes
from service.security.tokens import SCOPES, new_token
from service.settings import Settings
from service.workers.pool import Workers
from tests.service.golden import responses_to

SERVICE = Path(service.__file__).parent

toys = Resource("server", "/v1/toys")


@toys.declare(
    "GET",
    "/{team}/{name}",
    scope="compute",
    namespace="{team}/{name}",
    example=Example({"team": "team-a", "name": "bear"}),
    errors=(404,),
)
async def toy(team: str, name: str) -> dict[str, str]:
    """A toy."""
    return {"toy": f"{team}'s {name}"}


@pytest.fixture
def client(tmp_path: Path, workers: Workers) -> Iterator[TestClient]:
    """A server that has the toy, and asks for tokens."""
    settings = Settings(data_dir=tmp_path, require_tokens=True)
    with TestClient(create_app(open_server(settings, workers), Routes([*ROUTES, *toys.routes]))) as client:
        yield client


def bearer(folder: Path, *scopes: str, namespaces: tuple[str, ...] = ("*",)) -> dict[str, str]:
    """The headers of a request with a new token."""
    token, row = new_token("a test", scopes, namespaces, expires_in=3600.0)
    with closing(open_metadata(Settings(data_dir=folder))) as metadata:
        metadata.tokens.add(row)
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_declared_scope_is_asked_for(client: TestClient, tmp_path: Path, method: str) -> None:
    """The guard lets through who has the declared scope or admin, and nobody else."""
    assert client.request(method, "/v1/toys/team-a/bear").status_code == 401
    statuses = {
        scope: client.request(method, "/v1/toys/team-a/bear", headers=bearer(tmp_path, scope)).status_code
        for scope in SCOPES
    }
    assert statuses == {"read": 403, "compute": 200, "propose": 403, "publish": 403, "admin": 200}


def test_a_declared_namespace_is_asked_for(client: TestClient, tmp_path: Path) -> None:
    """A token of other namespaces is refused, and told which one it lacks."""
    for namespaces, status in ((("team-a/*",), 200), (("team-b/*", "team-a/bear"), 200), (("team-b/*",), 403)):
        headers = bearer(tmp_path, "compute", namespaces=namespaces)
        answer = client.get("/v1/toys/team-a/bear", headers=headers)
        assert answer.status_code == status, namespaces
    said = "this needs a token for the namespace team-a/bear; this one has team-b/*"
    assert answer.json()["detail"] == said


def test_a_declared_example_is_documented(client: TestClient) -> None:
    """The OpenAPI document has the toy with its example; a response that was never recorded is left out."""
    document: dict[str, Any] = client.get("/v1/openapi.json").json()
    operation = document["paths"]["/v1/toys/{team}/{name}"]["get"]
    assert {item["name"]: item["example"] for item in operation["parameters"]} == {"team": "team-a", "name": "bear"}
    assert (operation["description"], operation["security"]) == ("A toy.", [{"token": []}])
    assert operation["responses"]["404"]["description"].startswith("table-not-found or run-not-found or ")
    assert "example" not in operation["responses"]["200"]["content"]["application/json"]
    assert "$LRTABLES/v1/toys/team-a/bear" in client.get("/docs").text


def test_a_missing_example_is_left_out(tmp_path: Path, workers: Workers) -> None:
    """The document of a route that declares no example is made all the same, and so is the page."""
    resource = Resource("server")
    resource.declare("GET", "/v1/bare/{team}/{name}", scope="read")(toy)
    routes = Routes([*ROUTES, *resource.routes])
    with TestClient(create_app(open_server(Settings(data_dir=tmp_path), workers), routes)) as client:
        operation = client.get("/v1/openapi.json").json()["paths"]["/v1/bare/{team}/{name}"]["get"]
        assert [item["name"] for item in operation["parameters"] if "example" not in item] == ["team", "name"]
        assert "$LRTABLES/v1/bare/{team}/{name}" in client.get("/docs").text


def test_a_declared_route_is_counted(client: TestClient, tmp_path: Path) -> None:
    """Metrics have the toy under its own name, whatever its parameters are."""
    headers = bearer(tmp_path, "read", "compute")
    for name in ("bear", "doll"):
        client.get(f"/v1/toys/team-a/{name}", headers=headers)
    labels = 'method="GET",route="/v1/toys/{team}/{name}",status="200"'
    assert f"lrtables_http_requests_total{{{labels}}} 2" in client.get("/metrics", headers=headers).text


def test_an_example_is_recorded_from_the_declaration(client: TestClient, tmp_path: Path) -> None:
    """What is recorded is what the route answers to the request that it declares."""
    [route] = toys.routes
    assert route.example is not None
    client.headers = bearer(tmp_path, "compute")
    assert responses_to(route.name, route.example, client) == {"application/json": {"toy": "team-a's bear"}}


def test_a_route_without_a_scope_is_refused() -> None:
    """A declaration that says nothing of who may use the route fails when its module is imported."""
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'scope'"):
        Resource("server").declare("GET", "/v1/toys")  # type: ignore[call-arg]  # the mistake


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        (
            "GET",
            {"scope": "reed"},
            "GET /v1/toys/{name}: scope must be read, compute, propose, publish, admin or a member of",
        ),
        ("FETCH", {"scope": "read"}, "FETCH /v1/toys/{name}: method must be one of GET, POST, PUT, PATCH, DELETE"),
        ("GET", {"scope": "read", "namespace": "{team}"}, "namespace '{team}' names 'team', which the path lacks"),
    ],
)
def test_a_wrong_declaration_is_refused(method: str, options: dict[str, Any], said: str) -> None:
    """What cannot be meant is refused when it is declared, with the route in the message."""
    with pytest.raises(ValueError, match=re.escape(said)):
        Resource("server").declare(method, "/v1/toys/{name}", **options)(toy)


def test_the_address_of_a_route_is_written_once() -> None:
    """No code of the server repeats a path that is declared. The doctor does: it asks a server as clients do."""
    fixed = {route.template.partition("/{")[0] for route in ROUTES} - {"/"}
    paths = [path for path in SERVICE.rglob("*.py") if path != SERVICE / "operations" / "doctor.py"]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    texts = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    written = [text for text in texts if isinstance(text, str) and any(text.startswith(path) for path in fixed)]
    assert sorted(written) == sorted(fixed)
