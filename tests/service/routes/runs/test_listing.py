"""The lists of runs and of tables over HTTP."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import Table
from service.database.metadata import open_metadata
from service.security.tokens import new_token
from service.settings import Settings
from tests.service.conftest import MakeClient


def make(client: TestClient, name: str, value: float = 0.5, kind: str = "Constant", **labels: str) -> dict[str, Any]:
    """Create a run; its document."""
    schedule = (
        {"kind": kind, "value": value} if kind == "Constant" else {"kind": kind, "base_lr": value, "warmup_steps": 2}
    )
    body = {"spec": {"schedule": schedule, "total_steps": 4}, "labels": labels}
    response = client.put(f"/v1/runs/{name}", json=body, headers={"if-none-match": "*"})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def every_page(client: TestClient, path: str, member: str, **query: Any) -> list[dict[str, Any]]:
    """What all pages of a list have."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        response = client.get(path, params={**query, **({"after": after} if after else {})})
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "private, no-cache, no-transform"
        found += response.json()[member]
        after = response.json()["next"]
    return found


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("newest", ["true", "false"])
def test_runs_are_listed_in_pages(client: TestClient, limit: int, newest: str) -> None:
    """The pages together have the documents of all runs, once each."""
    made = [make(client, name) for name in ("b/x", "a/y", "a/x")]
    found = every_page(client, "/v1/runs", "runs", limit=limit, newest=newest)
    assert found == (made[::-1] if newest == "true" else [made[2], made[1], made[0]])


def test_runs_are_searched(client: TestClient) -> None:
    """Prefix, part of the name, label, kind and digest select; several of one must all hold."""
    one = make(client, "a/x", 0.5, team="one", stage="final")
    two = make(client, "a/y", 0.25, "custom.LinearWarmup", team="one")
    assert every_page(client, "/v1/runs", "runs", prefix="a/x") == [one]
    assert every_page(client, "/v1/runs", "runs", label=["team:one"]) == [one, two]
    assert every_page(client, "/v1/runs", "runs", label=["team:one", "stage:final"]) == [one]
    assert every_page(client, "/v1/runs", "runs", kind="custom.LinearWarmup") == [two]
    assert every_page(client, "/v1/runs", "runs", digest=two["digest"]) == [two]
    assert every_page(client, "/v1/runs", "runs", digest=two["digest"][:8]) == [two]
    assert every_page(client, "/v1/runs", "runs", prefix="c/") == []
    assert every_page(client, "/v1/runs", "runs", contains="/X") == [one]
    assert every_page(client, "/v1/runs", "runs", contains=["a", "Y"]) == [two]
    assert every_page(client, "/v1/runs", "runs", contains=["x", "y"]) == []
    assert every_page(client, "/v1/runs", "runs", contains="_") == []


@pytest.mark.parametrize(
    "query",
    ["prefix=a//", "contains=%25", "prefix=/", "label=x", "label=:x", "digest=xyz", "limit=0", "limit=501", "after=x",
     "newest=maybe", "after=1/a", "after=1/a/b/c", "after=nan/a/b", "sort=name"],
)  # fmt: skip
def test_a_bad_query_is_refused(client: TestClient, query: str) -> None:
    """What the list does not understand is a 422 that names the parameter."""
    response = client.get(f"/v1/runs?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")
    assert response.json()["errors"][0]["parameter"].startswith(query.partition("=")[0])


def test_only_runs_that_the_token_covers_are_listed(make_client: MakeClient, tmp_path: Path) -> None:
    """A token sees the runs of its namespaces, by listing as by reading; tables have no namespace."""
    tokens: dict[str, str] = {}
    with closing(open_metadata(Settings(data_dir=tmp_path / "data"))) as metadata:
        for name, namespaces in {"all": ["*"], "a": ["a/*"], "one": ["b/x"], "none": ["c/*"]}.items():
            tokens[name], row = new_token(name, ["admin"], namespaces, expires_in=3600.0)
            metadata.tokens.add(row)
    client = make_client(require_tokens=True)
    client.headers["authorization"] = f"Bearer {tokens['all']}"
    for name in ("a/x", "a/y", "b/x", "b/y"):
        assert make(client, name)["author"] == "all"
    for name, seen in {"all": ["a/x", "a/y", "b/x", "b/y"], "a": ["a/x", "a/y"], "one": ["b/x"], "none": []}.items():
        client.headers["authorization"] = f"Bearer {tokens[name]}"
        found = every_page(client, "/v1/runs", "runs", limit=1)
        assert [f"{run['namespace']}/{run['name']}" for run in found] == seen
        for path in ("a/x", "b/x", "b/y"):
            assert client.get(f"/v1/runs/{path}").status_code == (200 if path in seen else 403)
            assert client.get(f"/v1/runs/{path}/versions").status_code == (200 if path in seen else 403)
        assert len(every_page(client, "/v1/tables", "tables")) == 1


def test_tables_are_listed(client: TestClient) -> None:
    """Tables are listed with size, time and kind; digest and kind select."""
    runs = [make(client, "a/x", 0.5), make(client, "a/y", 0.25), make(client, "a/z", 0.5, "custom.LinearWarmup")]
    given = Table({"lr": [0.5], "momentum": [0.9]})
    client.put("/v1/tables", content=given.to_bytes(), headers={"content-type": "application/octet-stream"})
    digests = [*(run["digest"] for run in runs), given.digest]
    for limit in (1, 3, 100):
        found = every_page(client, "/v1/tables", "tables", limit=limit)
        assert [table["digest"] for table in found] == sorted(digests)
        newest = every_page(client, "/v1/tables", "tables", limit=limit, newest="true")
        assert [table["digest"] for table in newest] == digests[::-1]
        constant = every_page(client, "/v1/tables", "tables", limit=limit, kind="Constant", newest="true")
        assert [table["digest"] for table in constant] == [digests[1], digests[0]]
    by_digest = {table["digest"]: table for table in found}
    assert (by_digest[given.digest]["kind"], by_digest[given.digest]["nbytes"]) == (None, 16)
    assert by_digest[digests[2]]["kind"] == "custom.LinearWarmup"
    assert every_page(client, "/v1/tables", "tables", digest=digests[0][:10]) == [by_digest[digests[0]]]
    assert client.get("/v1/tables?digest=xyz").status_code == 422
