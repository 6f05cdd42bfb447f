"""Headers for browsers."""

from typing import Any

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/livez"),
        ("GET", "/metrics"),
        ("GET", "/v1/openapi.json"),
        ("GET", "/v1/schedules"),
        ("GET", "/v1/lr"),
        ("GET", "/nothing"),
        ("POST", "/livez"),
        ("PUT", "/v1/tables"),
        ("OPTIONS", "/v1/tables"),
    ],
)
def test_every_answer_is_what_it_says(client: TestClient, method: str, path: str) -> None:
    """No browser guesses what a response is, or may give it to a page from elsewhere."""
    headers = client.request(method, path, headers={"origin": "https://page.example"}).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert [name for name in headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("path", ["", ".npy", ".csv", "/manifest", "/values"])
def test_tables_are_what_they_say(client: TestClient, spec: dict[str, Any], path: str) -> None:
    """The same of tables, whoever answers."""
    made = client.post("/v1/tables", json=spec)
    for answer in (made, client.get(made.headers["location"] + path)):
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
