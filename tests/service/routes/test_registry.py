"""Which route a request is for."""

import sys

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.testclient import TestClient

from service.routes.registry import OTHER, ROUTES

DIGEST = "ab" * 32
VALUES = {
    "path": "main.js",
    "digest": DIGEST,
    "kind": "torch.StepLR",
    "scope": "read",
    "namespace": "team-a",
    "name": "bert",
    "version": "1",
    "proposal": "1",
    "worker": "rank-0",
}
TABLE = f"/v1/tables/{DIGEST}"
STRANGE = [
    "",
    "/favicon.ico",
    "/v1",
    "/v2/tables",
    "/v1/tablesandmore",
    "/v1/tables/",
    f"{TABLE}/values/0",
    f"{TABLE}/",
    "/livez/",
    "//livez",
    "/v1/runs/team-a",
    "/v1/runs/team-a/bert/",
    "/v1/runs/team-a/bert/versions/1/2",
]
"""Paths that no route takes."""
BENT = [
    f"{TABLE}.exe",
    TABLE + DIGEST,
    "/v1/tables/abc",
    "/v1/lr\n",
    "/v1/tables\n",
    "/v1/token/others",
    f"{TABLE}.npy.csv",
]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """An application with the routes, and nothing else."""
    app = FastAPI(openapi_url=None)
    for route in ROUTES:
        route.add_to(app)
    return app


def test_every_route_has_a_name(client: TestClient) -> None:
    """Each route of the OpenAPI document is known by the path that it has there."""
    for path, operations in client.get("/v1/openapi.json").json()["paths"].items():
        for method in operations:
            assert ROUTES.name_of(method.upper(), path.format_map(VALUES)) == path


@pytest.mark.parametrize("path", STRANGE)
def test_there_is_one_name_for_all_others(path: str) -> None:
    """Whatever clients ask for, there are no more names than routes."""
    assert ROUTES.name_of("GET", path) == OTHER


def test_tables_share_a_name() -> None:
    """Requests for different tables have one name, whatever their digests look like."""
    names = {ROUTES.name_of("GET", f"/v1/tables/{number:064x}/manifest") for number in range(3000)}
    assert names == {"/v1/tables/{digest}/manifest"}
    assert ROUTES.name_of("GET", "/v1/tables/abc") == "/v1/tables/{digest}"


def test_a_path_with_another_method_has_its_name() -> None:
    """A request that is answered 405 is counted under the route whose path it has."""
    assert ROUTES.name_of("DELETE", TABLE) == "/v1/tables/{digest}"
    assert ROUTES.name_of("GET", "/v1/tables") == "/v1/tables"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_a_request_is_for_the_route_that_answers_it(app: FastAPI, method: str) -> None:
    """What is declared of a route holds for exactly the requests that the router gives to it."""
    for path in [route.template.format_map(VALUES) for route in ROUTES] + STRANGE + BENT:
        match = ROUTES.match(method, path)
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        found = [route for route in app.routes if isinstance(route, APIRoute)]
        answering = next((route for route in found if route.matches(scope)[0] is Match.FULL), None)
        declared = match.route.endpoint if match is not None and match.has_method else None
        assert declared is (answering and answering.endpoint), path


def test_every_get_is_a_head_too() -> None:
    """HEAD is for the route that answers GET of the same path."""
    for path in [route.template.format_map(VALUES) for route in ROUTES if route.method == "GET"]:
        assert ROUTES.match("HEAD", path) == ROUTES.match("GET", path)


def test_a_long_path_is_not_remembered() -> None:
    """A path as long as a client likes does not stay in memory."""
    path = "/" + 60_000 * "x"
    before = sys.getrefcount(path)
    assert ROUTES.match("GET", path) is None
    assert sys.getrefcount(path) == before
