"""The versions of a run over HTTP."""

from typing import Any

import pytest
from starlette.testclient import TestClient

PATH = "/v1/runs/team-a/bert"


def make_versions(client: TestClient, number: int) -> list[dict[str, Any]]:
    """Create a run with so many versions; their documents as they were answered."""
    documents = []
    for version in range(1, number + 1):
        schedule = {"kind": "Constant", "value": version / 100}
        condition = {"if-none-match": "*"} if version == 1 else {"if-match": f'"v{version - 1}"'}
        body = {"spec": {"schedule": schedule, "total_steps": 4}, "reason": f"number {version}"}
        documents.append(client.put(PATH, json=body, headers=condition).json())
    return [{name: value for name, value in each.items() if name not in HEAD_ONLY} for each in documents]


HEAD_ONLY = ("labels", "rules", "locked", "deleted", "revision")


def test_every_version_stays_addressable(client: TestClient) -> None:
    """A version says what it said when it was made, and may be kept for ever."""
    for made in make_versions(client, 5):
        response = client.get(f"{PATH}/versions/{made['version']}")
        assert (response.status_code, response.json()) == (200, made)
        assert response.headers["etag"] == f'"v{made["version"]}"'
        assert "immutable" in response.headers["cache-control"]
        again = client.get(f"{PATH}/versions/{made['version']}", headers={"if-none-match": response.headers["etag"]})
        assert again.status_code == 304


def test_versions_come_in_pages(client: TestClient) -> None:
    """The pages together have every version once, the oldest first."""
    made = make_versions(client, 5)
    found: list[dict[str, Any]] = []
    after: int | None = 0
    for expected in (2, 2, 1):
        page = client.get(f"{PATH}/versions", params={"after": str(after), "limit": 2}).json()
        assert len(page["versions"]) == expected
        found += page["versions"]
        after = page["next"]
    assert found == made
    assert after is None
    whole = client.get(f"{PATH}/versions")
    assert (whole.json(), "no-cache" in whole.headers["cache-control"]) == ({"versions": made, "next": None}, True)
    assert client.get(f"{PATH}/versions", params={"after": 5}).json() == {"versions": [], "next": None}


def test_what_is_not_there_is_said(client: TestClient) -> None:
    """An unknown run and an unknown version are told apart; a bad number is a 422."""
    make_versions(client, 1)
    answers = {
        f"{PATH}/versions/2": (404, "version-not-found"),
        "/v1/runs/team-a/gpt/versions/1": (404, "run-not-found"),
        "/v1/runs/team-a/gpt/versions": (404, "run-not-found"),
        f"{PATH}/versions/0": (422, "invalid-request"),
        f"{PATH}/versions/x": (422, "invalid-request"),
        f"{PATH}/versions?limit=1001": (422, "invalid-request"),
        f"{PATH}/versions?since=1": (422, "invalid-request"),
    }
    for path, expected in answers.items():
        response = client.get(path)
        assert (response.status_code, response.json()["code"]) == expected, path


def test_the_largest_page_does_not_hide_what_follows(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page as long as the database's own pages says that there is another one."""
    monkeypatch.setattr("service.database.checked_table._PAGE", 3)
    make_versions(client, 5)
    page = client.get(f"{PATH}/versions", params={"limit": 3}).json()
    assert ([each["version"] for each in page["versions"]], page["next"]) == ([1, 2, 3], 3)
