"""Every route with every set of scopes: what is stored is read with `read`, whichever way one asks for it."""

from __future__ import annotations

from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import Table
from service.database.metadata import open_metadata
from service.routes.declaration import Access
from service.routes.registry import ROUTES
from service.security.tokens import SCOPES, Scope, new_token
from service.settings import Settings
from tests.service.conftest import MakeClient

STORED = Table({"lr": [0.5, 0.25, 0.125]})
PLAIN: dict[str, Any] = {"kind": "Constant", "value": 0.5}
NAMING: dict[str, Any] = {"kind": "Literal", "digest": STORED.digest}
DEEP: dict[str, Any] = {"kind": "Sum", "schedules": [PLAIN, {"kind": "Scale", "schedule": NAMING, "factor": 2.0}]}

NEEDED: dict[str, set[Scope]] = {
    route.name: set() if isinstance(route.scope, Access) else {route.scope}
    for route in ROUTES
    if route.scope is Access.ANY_TOKEN or not isinstance(route.scope, Access)
}
"""What each route needs where no spec names a table."""
PUT_RUN = "put /v1/runs/{namespace}/{name}"
PROPOSE = f"post {PUT_RUN.partition(' ')[2]}/proposals"
COMPUTING = [name for name, scopes in NEEDED.items() if "compute" in scopes and "{name}" not in name]


def ask(client: TestClient, route: str, token: str, spec: dict[str, Any] | None = None) -> Any:
    """Ask a route with a token, for the table of a schedule where it takes one."""
    method, _, path = route.partition(" ")
    path = path.replace("{digest}", STORED.digest).replace("{kind}", "Constant")
    options: dict[str, Any] = {"headers": {"authorization": f"Bearer {token}"}}
    if "{name}" in path:
        example = next(each.example for each in ROUTES if each.name == route)
        assert example is not None
        path = path.format_map(example.parameters)
        options["headers"] |= example.headers
        options["json"] = example.body
    elif method == "post":
        options["json"] = {"schedule": spec, "total_steps": 2}
    elif method == "put":
        options["content"] = STORED.to_bytes()
        options["headers"]["content-type"] = "application/octet-stream"
    elif path == "/v1/lr":
        flat = {name: value if isinstance(value, str) else str(value).replace("'", '"') for name, value in spec.items()}  # type: ignore[union-attr]  # computing routes are given one
        options["params"] = {**flat, "steps": "0,1"}
    elif path == "/v1/events":
        options["params"] = {"wait": 0}  # else it goes on
    return client.request(method.upper(), path, **options)


@pytest.fixture
def guarded(make_client: MakeClient, tmp_path: Path) -> tuple[TestClient, dict[frozenset[Scope], str]]:
    """A server that asks for tokens and has a table, and a token with each set of scopes."""
    tokens: dict[frozenset[Scope], str] = {}
    with closing(open_metadata(Settings(data_dir=tmp_path / "data"))) as metadata:
        for count in range(1, len(SCOPES) + 1):
            for scopes in combinations(SCOPES, count):
                tokens[frozenset(scopes)], row = new_token("a test", scopes, expires_in=3600.0)
                metadata.tokens.add(row)
    client = make_client(require_tokens=True)
    assert ask(client, "put /v1/tables", tokens[frozenset(("publish",))]).status_code == 201
    return client, tokens


@pytest.mark.parametrize("route", NEEDED)
def test_a_route_needs_its_scopes(guarded: tuple[TestClient, dict[frozenset[Scope], str]], route: str) -> None:
    """A route is answered with all scopes that it needs, or with admin; a spec that names a table needs `read` too."""
    client, tokens = guarded
    questions = [(PLAIN, NEEDED[route])]
    if route in COMPUTING:
        questions += [(spec, {*NEEDED[route], "read"}) for spec in (NAMING, DEEP)]
    for spec, needed in questions:
        for scopes, token in tokens.items():
            if "{name}" in route:
                ask(client, PUT_RUN, tokens[frozenset(("admin",))])
            if "{proposal}" in route:
                ask(client, PROPOSE, tokens[frozenset(("admin",))])
            answer = ask(client, route, token, spec)
            if needed <= scopes or "admin" in scopes:
                done = (200, 201, 409, 412) if "{name}" in route else (200, 201)  # done with the first token
                assert answer.status_code in done, (scopes, spec, answer.text)
            else:
                missing = next(scope for scope in ("compute", *sorted(needed)) if scope in needed - scopes)
                challenge = f'Bearer realm="lrtables", error="insufficient_scope", scope="{missing}"'
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (scopes, spec)
                assert answer.headers["www-authenticate"] == challenge
                assert "0.25" not in answer.text


def test_whether_a_table_is_there_is_not_told(guarded: tuple[TestClient, dict[frozenset[Scope], str]]) -> None:
    """Without `read`, one that is stored and one that is not are refused alike."""
    client, tokens = guarded
    token = tokens[frozenset(("compute",))]
    answers = [ask(client, "post /v1/tables", token, {**NAMING, "digest": name}) for name in (STORED.digest, "0" * 64)]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
