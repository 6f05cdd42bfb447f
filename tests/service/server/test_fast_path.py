"""What lies in memory, in front of everything."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.app import create_app, open_server
from service.database.metadata import Metadata
from service.database.tokens import TokenRow
from service.security.tokens import make_token, token_hash
from service.server.fast_path import FastPath
from service.settings import Settings

PATHS = [".safetensors", ".npy", "/manifest"]


@pytest.fixture
def digest(client: TestClient, spec: dict[str, Any]) -> str:
    """A table in memory."""
    made: str = client.post("/v1/tables", json=spec).json()["digest"]
    return made


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("known", [False, True])
def test_the_short_way_answers_as_the_application(client: TestClient, digest: str, path: str, known: bool) -> None:
    """The answer is the one of the longer way, which a bad id for the request takes: status, headers, body."""
    url = f"/v1/tables/{digest}{path}"
    headers = {"If-None-Match": client.get(url).headers["etag"]} if known else {}
    short = client.get(url, headers=headers)
    named = client.get(url, headers={**headers, "X-Request-ID": "mine"})
    long = client.get(url, headers={**headers, "X-Request-ID": "not one"})
    assert named.headers["x-request-id"] == "mine"
    assert long.headers["x-request-id"] not in ("not one", "mine")
    assert short.status_code == (304 if known else 200)
    for answer in (named, long):
        assert (short.status_code, short.content) == (answer.status_code, answer.content)
        assert {**short.headers, "x-request-id": answer.headers["x-request-id"]} == dict(answer.headers)


def test_a_request_with_an_id_takes_the_short_way(client: TestClient, digest: str) -> None:
    """Our own client sends an id with each request, and is answered at once for all that; several ids are not plain."""
    cached, path = client.app, f"/v1/tables/{digest}/manifest"
    assert isinstance(cached, FastPath)
    plain, named = (cached.try_fast_response(path, headers) for headers in ([], [(b"x-request-id", b"mine")]))
    assert plain is not None
    assert named == (plain[0] + b"x-request-id: mine\r\n", plain[1])
    for ids in ([b"not one"], [b"a", b"b"], [b""]):
        assert cached.try_fast_response(path, [(b"x-request-id", each) for each in ids]) is None


@pytest.mark.parametrize("headers", [{"Range": "bytes=0-3"}, {"If-None-Match": "*"}, {"If-Match": '"other"'}])
def test_what_is_not_plain_goes_on(client: TestClient, digest: str, headers: dict[str, str]) -> None:
    """A request with conditions is the application's."""
    answer = client.get(f"/v1/tables/{digest}.npy", headers=headers)
    assert answer.status_code == {"Range": 206, "If-None-Match": 304, "If-Match": 412}[next(iter(headers))]
    assert "x-request-id" in answer.headers


def test_the_short_way_is_counted(client: TestClient, digest: str) -> None:
    """Requests and bytes of the short way are among the metrics, by route and status."""
    url = f"/v1/tables/{digest}.npy"
    size = len(client.get(url).content)
    client.get(url, headers={"If-None-Match": client.get(url).headers["etag"]})
    found = {
        (sample.name, sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.labels.get("route") == "/v1/tables/{digest}.npy"
    }
    assert found["lrtables_http_requests_total", "200"] == 2
    assert found["lrtables_http_requests_total", "304"] == 1
    assert found["lrtables_http_response_bytes_total", "200"] == 2 * size


def test_a_token_is_asked_for_first(tmp_path: Path, spec: dict[str, Any]) -> None:
    """Where tokens are asked for, a table in memory is for those who may read it, and for no shared cache."""
    server = open_server(Settings(data_dir=tmp_path, require_tokens=True))
    bearer = {scope: {"Authorization": f"Bearer {add_token(server.metadata, scope)}"} for scope in ("read", "compute")}
    with TestClient(create_app(server)) as client:
        url = client.post("/v1/tables", json=spec, headers=bearer["compute"]).headers["location"] + ".npy"
        for _ in range(2):  # the first one makes the token known
            answer = client.get(url, headers=bearer["read"])
            assert (answer.status_code, answer.headers["cache-control"].split(",")[0]) == (200, "private")
        assert "x-request-id" not in answer.headers
        assert client.get(url, headers=bearer["compute"]).status_code == 403
        assert client.get(url, headers={"Authorization": "Bearer no"}).status_code == 401
        assert client.get(url).status_code == 401


def add_token(metadata: Metadata, scope: str) -> str:
    """The text of a new token with one scope."""
    text = make_token()
    metadata.tokens.add(TokenRow(f"id-{scope}", scope, token_hash(text), [scope], ["*"], {}, 0.0, None, None))
    return text
