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
from service.documentation.examples import FILE as EXAMPLES
from service.settings import Settings

OPENAPI = Path(__file__).with_name("openapi.json")

_PROVENANCE = {"lrtables": "0.1.0", "numpy": "2.4.6", "libm": "glibc 2.36", "cpu": "x86_64 X86_V3"}
_MOST = 3  # items of a list, and lines of a text, that an example shows


@contextmanager
def fresh_client(folder: Path) -> Iterator[TestClient]:
    """A client of a new application with an empty data directory."""
    with TestClient(create_app(open_server(Settings(data_dir=folder)))) as client:
        yield client


def recorded(route: str, example: dict[str, Any], spec: dict[str, Any], client: TestClient) -> dict[str, Any]:
    """The example with the answers that a fresh server gives; long ones are shown in part."""
    answers: dict[str, Any] = {}
    status = example.get("status", 200)
    for media_type in example.get("answers", {}):
        answer = _ask(route, example, spec, client, media_type)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].partition(";")[0] == media_type
        answers[media_type] = _shown(answer.json() if media_type.endswith("json") else answer.text)
    return {**example, "answers": answers} if answers else example


def _ask(route: str, example: dict[str, Any], spec: dict[str, Any], client: TestClient, media_type: str) -> Any:
    method, path = route.split()
    if method == "get" and "{digest}" in path:
        client.post("/v1/tables", json=spec)
    query = {name: value for name, value in example.get("parameters", {}).items() if f"{{{name}}}" not in path}
    headers = {"accept": media_type, "x-request-id": "job-7.rank-3"}
    content = json.dumps(example["body"]).encode() if "body" in example else None
    if content is not None:
        headers["content-type"] = "application/json"
    elif method == "put":
        content = b"".join(Table.compute(Spec.model_validate_json(json.dumps(spec))).parts(claims=True))
        headers["content-type"] = "application/vnd.safetensors"
    url = path.format_map(example.get("parameters", {}))
    return client.request(method, url, params=query, headers=headers, content=content)


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
    """All examples, as a fresh server answers them."""
    data: dict[str, Any] = json.loads(EXAMPLES.read_bytes())
    spec = data["routes"]["post /v1/tables"]["body"]
    for route, example in [*data["routes"].items(), ("post /v1/tables", data["error"])]:
        with tempfile.TemporaryDirectory() as folder, fresh_client(Path(folder)) as client:
            example.update(recorded(route, example, spec, client))
    return data


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
    OPENAPI.write_text(text(document()), encoding="utf-8")


if __name__ == "__main__":
    main()
