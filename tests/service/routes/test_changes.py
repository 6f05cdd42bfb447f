"""The feed of changes over HTTP: parts of it, and events."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.database.metadata import open_metadata
from service.http.events import HEARTBEAT
from service.representations.changes import Change
from service.security.tokens import new_token
from service.settings import Settings
from tests.service.conftest import MakeClient
from tests.support.feed import FeedWriter, change, parsed, sqlite_url

NAMES = ["team-a/bert", "team-b/gpt", "team-a/vit", "team-b/bert", "team-ab/bert"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of `make_client`, with five changes."""
    folder = tmp_path / "data"
    open_metadata(Settings(data_dir=folder)).close()
    with closing(FeedWriter(sqlite_url(folder))) as writer:
        writer.append(*(change(name, namespace) for namespace, _, name in (one.partition("/") for one in NAMES)))
    return folder


@pytest.fixture
def feed(data: Path, make_client: MakeClient) -> TestClient:
    """A client of a server with five changes."""
    return make_client()


def shown(response: Any) -> tuple[list[int], int]:
    """The numbers of the changes that a response shows, and its `next`."""
    assert response.status_code == 200, response.text
    return [one["sequence"] for one in response.json()["changes"]], response.json()["next"]


def test_the_feed_has_every_change_in_order(feed: TestClient) -> None:
    """All changes come with their numbers; each is described in full, and nothing is kept by a proxy."""
    response = feed.get("/v1/changes")
    assert shown(response) == ([1, 2, 3, 4, 5], 5)
    assert response.json()["changes"][1] == {
        "sequence": 2,
        "namespace": "team-b",
        "name": "gpt",
        "version": 1,
        "action": "create",
        "digest": "0" * 64,
        "author": "",
        "reason": None,
        "details": None,
        "created_at": "2026-09-21T14:13:20Z",
    }
    assert set(response.json()["changes"][1]) == set(Change.model_fields)
    assert response.headers["cache-control"] == "no-store"


def test_a_part_begins_where_the_last_ended(feed: TestClient) -> None:
    """With `limit`, `next` is the last change shown; at the end, and with `wait` too, nothing is left."""
    assert shown(feed.get("/v1/changes", params={"limit": 2})) == ([1, 2], 2)
    assert shown(feed.get("/v1/changes", params={"since": 2, "limit": 2, "wait": 60})) == ([3, 4], 4)
    assert shown(feed.get("/v1/changes", params={"since": 4, "limit": 2})) == ([5], 5)
    assert shown(feed.get("/v1/changes", params={"since": 5, "wait": 0.01})) == ([], 5)


def test_a_reader_may_follow_one_run(feed: TestClient) -> None:
    """With `run`, only its changes are shown, and `next` has passed the others."""
    assert shown(feed.get("/v1/changes", params={"run": "team-a/vit"})) == ([3], 5)
    assert shown(feed.get("/v1/changes", params={"run": "team-a/vit", "since": 3, "wait": 0.01})) == ([], 5)
    assert shown(feed.get("/v1/changes", params={"run": "team-a/vi"})) == ([], 5)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("since=-1", "since: should be greater than or equal to 0"),
        ("since=x", "since: "),
        ("wait=61", "wait: should be less than or equal to 60"),
        ("wait=nan", "wait: "),
        ("limit=0", "limit: "),
        ("limit=1001", "limit: "),
        ("run=bert", "run: "),
        ("after=1", "after is not a parameter of this route"),
    ],
)
def test_what_cannot_be_is_refused(feed: TestClient, query: str, detail: str) -> None:
    """Every value that cannot be is an error that names the parameter."""
    response = feed.get(f"/v1/changes?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")
    assert response.json()["detail"].startswith(detail)
    assert [error["parameter"] for error in response.json()["errors"]] == [query.partition("=")[0]]


def test_a_number_that_there_is_not_any_more_is_a_conflict(feed: TestClient) -> None:
    """A reader of a feed that was replaced, as by a backup that was restored, is told to begin anew."""
    events = feed.get("/v1/events", headers={"last-event-id": "6"})
    for response in (feed.get("/v1/changes?since=6"), feed.get("/v1/changes?since=6&wait=60"), events):
        found = response.json()
        assert (response.status_code, found["code"], found["newest"]) == (409, "feed-replaced", 5)
        assert "the newest change has the number 5, and 6 was asked for" in found["detail"]
        assert "and then the changes from 0 on" in found["detail"]


@pytest.fixture
def guarded(data: Path, make_client: MakeClient) -> TestClient:
    """A server with five changes, asked with a token for team-a's runs and one of team-b's."""
    token, row = new_token("ours", ("read",), ("team-a/*", "team-b/bert"), expires_in=3600.0)
    with closing(open_metadata(Settings(data_dir=data))) as metadata:
        metadata.tokens.add(row)
    client = make_client(require_tokens=True)
    client.headers["authorization"] = f"Bearer {token}"
    return client


def test_a_token_sees_its_own_runs(guarded: TestClient) -> None:
    """A token for some namespaces sees their changes, and `next` has passed the others; another run is forbidden."""
    assert shown(guarded.get("/v1/changes")) == ([1, 3, 4], 5)
    assert shown(guarded.get("/v1/changes", params={"limit": 2, "since": 1})) == ([3, 4], 4)
    assert shown(guarded.get("/v1/changes", params={"run": "team-b/bert"})) == ([4], 5)
    for path in ("/v1/changes", "/v1/events"):
        refused = guarded.get(path, params={"run": "team-b/gpt"})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert "team-b/gpt" in refused.json()["detail"]
    events = guarded.get("/v1/events", params={"since": 0, "wait": 0})
    assert "gpt" not in events.text
    assert ids(events) == [0, 1, 3, 4, 5]


def ids(response: Any) -> list[int | None]:
    """The IDs of the events in a stream that has ended."""
    assert response.status_code == 200, response.text
    return [event.id for event in parsed(iter(response.content.splitlines(keepends=True)))]


def test_events_are_the_changes(feed: TestClient) -> None:
    """A stream begins with the time to reconnect and its position; each event is a change as the feed describes it."""
    response = feed.get("/v1/events", params={"since": 3, "wait": 0})
    changes = feed.get("/v1/changes", params={"since": 3}).json()["changes"]
    expected = "".join(
        f"id: {one['sequence']}\nevent: change\ndata: {json.dumps(one, separators=(',', ':'))}\n\n" for one in changes
    )
    assert response.text == f"retry: 2000\n\nid: 3\n\n{expected}"
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers


def test_a_stream_begins_where_the_reader_says(feed: TestClient) -> None:
    """Last-Event-ID comes before `since`; with neither, only new changes are events."""
    ask = {"wait": 0}
    assert ids(feed.get("/v1/events", params=ask)) == [5]
    assert ids(feed.get("/v1/events", params={**ask, "since": 1}, headers={"last-event-id": "4"})) == [4, 5]
    assert ids(feed.get("/v1/events", params={**ask, "run": "team-a/vit", "since": 0})) == [0, 3, 5]
    for sent in ("x", "-1", "1.5", "²", "9" * 16):
        refused = feed.get("/v1/events", params=ask, headers=[(b"last-event-id", sent.encode())])
        assert refused.status_code == 422, sent
        assert refused.json()["errors"][0]["parameter"] == "Last-Event-ID"


def test_head_has_no_stream(feed: TestClient) -> None:
    """HEAD is answered with the headers of the stream at once, though no end was asked for."""
    response = feed.head("/v1/events")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert feed.head("/v1/changes").status_code == 200


def test_a_stream_without_changes_has_comments(feed: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment comes each time the interval is over, again and again, and the position stays as it was."""
    monkeypatch.setattr("service.routes.changes._HEARTBEAT_SECONDS", 0.01)
    response = feed.get("/v1/events", params={"wait": 0.5})
    first, *comments = ids(response)
    assert first == 5
    assert len(comments) == response.content.count(HEARTBEAT) > 2
