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
from service.documentation.examples import ERROR, Example, answers_to
from service.documentation.examples import FILE as EXAMPLES
from service.http.problems import MEDIA_TYPE
from service.routes.registry import ROUTES
from service.settings import Settings

OPENAPI = Path(__file__).with_name("openapi.json")

_PROVENANCE = {"lrtables": "0.1.0", "numpy": "2.4.6", "libm": "glibc 2.36", "cpu": "x86_64 X86_V3"}
_POST = "post /v1/tables"
_SPEC: dict[str, Any] = next(route.example.body for route in ROUTES if route.name == _POST and route.example)
_BAD_SPEC = {**_SPEC, "schedule": {**_SPEC["schedule"], "base_lr": -1}}
EXAMPLES_BY_NAME = {route.name: route.example for route in ROUTES if route.example is not None}
"""The declared examples of routes."""
_MOST = 3  # items of a list, and lines of a text, that an example shows


@contextmanager
def fresh_client(folder: Path) -> Iterator[TestClient]:
    """A client of a new application with an empty data directory."""
    with TestClient(create_app(open_server(Settings(data_dir=folder)))) as client:
        yield client


def answers(name: str, example: Example, client: TestClient) -> dict[str, Any]:
    """What a fresh server answers to a route's example, by media type; long answers are shown in part."""
    shown: dict[str, Any] = {}
    for media_type in example.answers:
        answer = _ask(name, example, client, media_type)
        assert answer.status_code == example.status, answer.text
        assert answer.headers["content-type"].partition(";")[0] == media_type
        shown[media_type] = _shown(answer.json() if media_type.endswith("json") else answer.text)
    return shown


def error(client: TestClient) -> dict[str, Any]:
    """What a server answers to the example of an error."""
    return answers(_POST, Example(body=_BAD_SPEC, status=422, answers=(MEDIA_TYPE,)), client)


def _ask(name: str, example: Example, client: TestClient, media_type: str) -> Any:
    method, path = name.split()
    if method == "get" and "{digest}" in path:
        client.post("/v1/tables", json=_SPEC)
    query = {key: value for key, value in example.parameters.items() if f"{{{key}}}" not in path}
    headers = {"accept": media_type, "x-request-id": "job-7.rank-3"}
    content = None if example.body is None else json.dumps(example.body).encode()
    if content is not None:
        headers["content-type"] = "application/json"
    elif method == "put":
        content = b"".join(Table.compute(Spec.model_validate_json(json.dumps(_SPEC))).parts(claims=True))
        headers["content-type"] = "application/vnd.safetensors"
    return client.request(method, path.format_map(example.parameters), params=query, headers=headers, content=content)


def _shown(answer: Any) -> Any:
    """What an example shows of an answer: the same on every machine, and not too much of it."""
    if isinstance(answer, str):
        answer = re.sub(r'python="[^"]*"', 'python="3.11.2"', answer)
        lines = answer.splitlines(keepends=True)
        return answer if len(lines) <= 3 * _MOST else "".join(lines[:_MOST])
    for said in (answer, answer.get("claim") or {}):
        if said.get("provenance"):  # it differs from machine to machine
            said["provenance"] = _PROVENANCE
    if "schedules" in answer:
        answer["schedules"] = answer["schedules"][:_MOST]
    return answer


def record() -> dict[str, Any]:
    """The answers to every example, each of a fresh server."""
    recorded: dict[str, Any] = {}
    for name, example in EXAMPLES_BY_NAME.items():
        if example.answers:
            with tempfile.TemporaryDirectory() as folder, fresh_client(Path(folder)) as client:
                recorded[name] = answers(name, example, client)
    with tempfile.TemporaryDirectory() as folder, fresh_client(Path(folder)) as client:
        recorded[ERROR] = error(client)
    return recorded


def document() -> dict[str, Any]:
    """The OpenAPI document of a server that asks for no tokens."""
    with tempfile.TemporaryDirectory() as folder, fresh_client(Path(folder)) as client:
        answer: dict[str, Any] = client.get("/v1/openapi.json").json()
        return answer


def text(data: dict[str, Any]) -> str:
    """The data as a file that people review."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the examples and the document anew; what has changed is for review."""
    EXAMPLES.write_text(text(record()), encoding="utf-8")
    answers_to.cache_clear()  # the document shows what was recorded just now
    OPENAPI.write_text(text(document()), encoding="utf-8")


if __name__ == "__main__":
    main()
