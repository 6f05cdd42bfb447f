"""Named runs over HTTP, for tests: requests, and what they are answered."""

from __future__ import annotations

from typing import Any

PATH = "/v1/runs/team-a/bert"


Asks = Any
"""A client of a server with a method `request`, such as Starlette's."""


def spec(total_steps: int = 1000, **more: Any) -> dict[str, Any]:
    """A spec: a warmup of 100 steps to 1.0, then a cosine to 0.1."""
    schedule = {
        "kind": "custom.WarmupWithDecay",
        "base_lr": 1.0,
        "warmup_steps": 100,
        "total_steps": total_steps,
        "min_lr": 0.1,
    }
    return {"schedule": schedule, "total_steps": total_steps, **more}


def create(client: Asks, path: str = PATH, **body: Any) -> dict[str, Any]:
    """Create a run, of `spec()` unless the body says otherwise, which must be new; return its document."""
    given = body if "spec" in body or "digest" in body else {"spec": spec(), **body}
    response = client.request("PUT", path, json=given, headers={"if-none-match": "*"})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def amend(client: Asks, version: int, amendment: dict[str, Any], path: str = PATH, **more: Any) -> Any:
    """The response to an amendment of this version."""
    body = {**amendment, **more}
    return client.request("POST", f"{path}/amendments", json=body, headers={"if-match": f'"v{version}"'})


def report(client: Asks, worker: str, step: int, path: str = PATH, **more: Any) -> dict[str, Any]:
    """Report a worker's position; return the response's document."""
    response = client.request("POST", f"{path}/progress", json={"worker": worker, "step": step, **more})
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem in a response, which must have this status and code."""
    found: dict[str, Any] = response.json()
    assert (response.status_code, found.get("code")) == (status, code), response.text
    return found


def table(client: Asks, digest: str) -> dict[str, list[float]]:
    """The columns of a stored table."""
    columns: dict[str, list[float]] = client.request("GET", f"/v1/tables/{digest}.json").json()["columns"]
    return columns
