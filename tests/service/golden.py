"""What the tests compare with files, and how those files are written anew: python -m tests.service.golden"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from scheduler import Spec, Table
from service.app import create_app, open_server
from service.documentation.examples import ERROR, Example, recorded_responses
from service.documentation.examples import FILE as EXAMPLES
from service.http.problems import MEDIA_TYPE
from service.routes.registry import ROUTES
from service.settings import Settings
from service.workers.pool import Workers

OPENAPI = Path(__file__).with_name("openapi.json")

_PROVENANCE = {"lrtables": "0.1.0", "numpy": "2.4.6", "libm": "glibc 2.36", "cpu": "x86_64 X86_V3"}
_POST = "post /v1/tables"
_RUNS = "/v1/runs"
_PUT_RUN = "put /v1/runs/{namespace}/{name}"
_PROPOSE = "post /v1/runs/{namespace}/{name}/proposals"
_CREATED = "2026-01-02T03:04:05.678901Z"
_TIMES = ("created_at", "decided_at", "reported_at")
_SPEC: dict[str, Any] = next(route.example.body for route in ROUTES if route.name == _POST and route.example)
_BAD_SPEC = {**_SPEC, "schedule": {**_SPEC["schedule"], "base_lr": -1}}
EXAMPLES_BY_NAME = {route.name: route.example for route in ROUTES if route.example is not None}
"""The declared examples of routes."""
_MOST = 3  # items of a list, and lines of a text, that an example shows


@contextmanager
def fresh_client(folder: Path, workers: Workers | None = None) -> Iterator[TestClient]:
    """A client of a new application with an empty data directory."""
    with TestClient(create_app(open_server(Settings(data_dir=folder), workers))) as client:
        yield client


def responses_to(name: str, example: Example, client: TestClient) -> dict[str, Any]:
    """Return a fresh server's responses to a route's example, by media type. Long responses are shortened."""
    shown: dict[str, Any] = {}
    for media_type in example.responses:
        response = _ask(name, example, client, media_type)
        assert response.status_code == example.status, response.text
        assert response.headers["content-type"].partition(";")[0] == media_type
        shown[media_type] = _shown(response.json() if media_type.endswith("json") else response.text)
    return shown


def error(client: TestClient) -> dict[str, Any]:
    """Return a server's response to the example of an error."""
    return responses_to(_POST, Example(body=_BAD_SPEC, status=422, responses=(MEDIA_TYPE,)), client)


def _ask(name: str, example: Example, client: TestClient, media_type: str) -> Any:
    method, path = name.split()
    if method == "get" and path.startswith(_POST.split()[1]):
        client.post("/v1/tables", json=_SPEC)
    query = {key: value for key, value in example.parameters.items() if f"{{{key}}}" not in path}
    if path.startswith((_RUNS, "/v1/changes", "/v1/events")) and method != "put":
        run = EXAMPLES_BY_NAME[_PUT_RUN]
        client.put(path_of(_PUT_RUN), json=run.body, headers=dict(run.headers))
    if "/proposals" in path and name != _PROPOSE:
        proposal = EXAMPLES_BY_NAME[_PROPOSE]
        client.post(path_of(_PROPOSE), json=proposal.body, headers=dict(proposal.headers))
    headers = {"accept": media_type, "x-request-id": "job-7.rank-3", **example.headers}
    content = None if example.body is None else json.dumps(example.body).encode()
    if content is not None:
        headers["content-type"] = "application/json"
    elif method == "put":
        content = b"".join(Table.compute(Spec.model_validate_json(json.dumps(_SPEC))).parts(claims=True))
        headers["content-type"] = "application/vnd.safetensors"
    return client.request(method, path.format_map(example.parameters), params=query, headers=headers, content=content)


def path_of(name: str) -> str:
    """Return the path of a route's example."""
    return name.split()[1].format_map(EXAMPLES_BY_NAME[name].parameters)


def _shown(response: Any) -> Any:
    """Return the part of a response that an example shows: the same on every machine, and short."""
    if isinstance(response, str):
        response = re.sub(r'"created_at":"[^"]*"', f'"created_at":"{_CREATED}"', response)
        response = re.sub(r'python="[^"]*"', 'python="3.11.2"', response)
        lines = response.splitlines(keepends=True)
        return response if len(lines) <= 3 * _MOST else "".join(lines[:_MOST])
    for said in (response, response.get("claim") or {}):
        if said.get("provenance"):  # it differs from machine to machine
            said["provenance"] = _PROVENANCE
    lists = ("changes", "versions", "runs", "tables", "proposals")
    workers = response.get("workers", {})
    for said in (response, *(item for name in lists for item in response.get(name, ())), *workers.values()):
        said.update({time: _CREATED for time in _TIMES if said.get(time)})
    if "age_seconds" in response:
        response["age_seconds"] = 0.0
    if "schedules" in response:
        response["schedules"] = response["schedules"][:_MOST]
    return response


def record() -> dict[str, Any]:
    """Return the responses to every example, each from a fresh server."""
    recorded: dict[str, Any] = {}
    for name, example in EXAMPLES_BY_NAME.items():
        if example.responses:
            with tempfile.TemporaryDirectory() as folder, fresh_client(Path(folder)) as client:
                recorded[name] = responses_to(name, example, client)
    with tempfile.TemporaryDirectory() as folder, fresh_client(Path(folder)) as client:
        recorded[ERROR] = error(client)
    return recorded


def document() -> dict[str, Any]:
    """Return the OpenAPI document of a server that requires no tokens."""
    with tempfile.TemporaryDirectory() as folder, fresh_client(Path(folder)) as client:
        response: dict[str, Any] = client.get("/v1/openapi.json").json()
        return response


def text(data: dict[str, Any]) -> str:
    """Return the data as JSON in a form that is easy to review."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the examples and the document; review the diff."""
    EXAMPLES.write_text(text(record()), encoding="utf-8")
    recorded_responses.cache_clear()  # the document shows what was recorded just now
    OPENAPI.write_text(text(document()), encoding="utf-8")


if __name__ == "__main__":
    main()
