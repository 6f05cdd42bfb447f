"""Reading from pages of other origins."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from pydantic import ValidationError
from starlette.testclient import TestClient

from service.app import Application, assemble, open_server
from service.settings import Settings
from service.workers.pool import Workers
from tests.service.framing import Way

ONE, OTHER = "https://notebook.example", "http://127.0.0.1:8888"


@contextmanager
def serving(folder: Path, workers: Workers, **settings: Any) -> Iterator[tuple[Application, TestClient]]:
    """An application with these settings, and a client of it."""
    application = assemble(open_server(Settings(data_dir=folder, **settings), workers))
    with TestClient(application.asgi) as client:
        yield application, client


def cors(answer: Response) -> dict[str, str]:
    """The headers of a response that are for pages of other origins."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def test_no_other_origin_may_read_by_default(tmp_path: Path, workers: Workers) -> None:
    """Without the setting, nothing is said to pages of other origins, and there is no preflight."""
    with serving(tmp_path, workers) as (_, client):
        asked = {"Origin": ONE, "Access-Control-Request-Method": "GET"}
        answers = [client.get("/v1/server", headers=asked), client.options("/v1/server", headers=asked)]
        assert [(answer.status_code, cors(answer), answer.headers.get("vary")) for answer in answers] == [
            (200, {}, None),
            (405, {}, None),
        ]


@pytest.mark.parametrize(
    ("origins", "asked", "allowed", "varies"),
    [
        ((ONE,), ONE, ONE, False),
        ((ONE,), OTHER, ONE, False),
        ((ONE,), None, ONE, False),
        (("*",), OTHER, "*", False),
        (("*", ONE), None, "*", False),
        ((ONE, OTHER), OTHER, OTHER, True),
        ((ONE, OTHER), "https://evil.example", None, True),
        ((ONE, OTHER), None, None, True),
    ],
)
def test_a_listed_origin_may_read(
    tmp_path: Path, workers: Workers, spec: Any, origins: Any, asked: str | None, allowed: str | None, varies: bool
) -> None:
    """Every response to a GET allows a listed origin, and varies where it depends on the request, as caches must know.

    That holds for what is in memory, what is written, what a client has, and errors. The fast path says the same.
    """
    with serving(tmp_path, workers, cors_origins=origins) as (application, client):
        made = client.post("/v1/tables", json=spec, headers={"Origin": ONE})
        assert (made.status_code, cors(made)) == (201, {})
        path, headers = made.headers["location"], {"Origin": asked} if asked else {}
        etag = client.get(f"{path}.npy").headers["etag"]
        for rest, more in [("", {}), (".csv", {}), (".npy", {"If-None-Match": etag}), ("x", {}), ("/manifest", {})]:
            answer = client.get(path + rest, headers={**headers, **more})
            assert cors(answer).get("access-control-allow-origin") == allowed
            assert ("etag" in cors(answer).get("access-control-expose-headers", "").lower()) is (allowed is not None)
            assert ("Origin" in answer.headers.get("vary", "")) is varies
            pairs = [(name.lower().encode(), value.encode()) for name, value in {**headers, **more}.items()]
            if found := application.fast_path.try_fast_response(path + rest, pairs, "client"):
                lines = {line.lower() for line in found[0].decode().split("\r\n")}
                assert {f"{name}: {value.lower()}" for name, value in cors(answer).items()} <= lines
                assert ("vary: origin" in lines) is varies


@pytest.mark.parametrize(
    ("origins", "asked", "allowed"),
    [
        ((ONE,), OTHER, ONE),
        (("*",), OTHER, "*"),
        ((ONE, OTHER), OTHER, OTHER),
        ((ONE, OTHER), "https://evil.example", None),
    ],
)
def test_a_page_may_read_why_a_request_is_rejected(
    tmp_path: Path, workers: Workers, origins: Any, asked: str, allowed: str | None
) -> None:
    """Every error says whom it allows, whatever the method, and also where no application has seen the request."""
    settings = Settings(data_dir=tmp_path, cors_origins=origins, max_body_bytes=100)
    application = assemble(open_server(settings, workers))
    origin = f"Origin: {asked}\r\n".encode()
    raw = {
        400: [b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n" + origin + b"\r\n"],
        421: [b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + origin + b"\r\n"],
        431: [b"GET / HTTP/1.1\r\nHost: localhost\r\n" + origin + b"X: ", bytes([97]) * 2**17],
    }
    with TestClient(application.asgi) as client:
        rejected = [
            client.delete("/v1/server", headers={"Origin": asked}),
            client.options("/v1/tables", headers={"Origin": asked}),
            *(client.post("/v1/tables", content=body, headers={"Origin": asked}) for body in ("x", "x" * 101)),
            client.post("/v1/tables", json="x" * 101, headers={"Origin": asked}),
        ]
    assert [answer.status_code for answer in rejected] == [405, 405, 415, 415, 413]
    assert [cors(answer).get("access-control-allow-origin") for answer in rejected] == [allowed] * 5
    for status, parts in raw.items():
        outcome, written = asyncio.run(Way(application.asgi, settings).answer(parts))
        assert outcome.statuses == (status,)
        assert allowed is None or f"access-control-allow-origin: {allowed}\r\n".encode() in written
        assert (b"access-control" in written, b"vary: Origin" in written) == (allowed is not None, len(origins) > 1)


@pytest.mark.parametrize(
    ("origins", "origin", "status"), [((ONE,), ONE, 204), ((ONE,), OTHER, 401), (("*",), OTHER, 204)]
)
def test_a_page_may_send_its_token(tmp_path: Path, workers: Workers, origins: Any, origin: str, status: int) -> None:
    """A preflight request needs no token; it allows reading with one, and nothing else. A 401 can be read too.

    A browser sends the token that the page gives it, and is never told to send what it keeps, such as cookies.
    """
    with serving(tmp_path, workers, cors_origins=origins, require_tokens=True) as (_, client):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        answer = client.options("/v1/server", headers=headers)
        assert answer.status_code == status
        if status == 204:
            assert cors(answer)["access-control-allow-methods"] == "GET, HEAD"
            assert {"Authorization", "Range", "If-None-Match"} <= set(
                cors(answer)["access-control-allow-headers"].split(", ")
            )
        refused = client.get("/v1/server", headers=headers)
        assert (refused.status_code, cors(refused)["access-control-allow-origin"]) == (401, origins[0])
        assert not [one for one in (answer, refused) if "access-control-allow-credentials" in cors(one)]


@pytest.mark.parametrize(
    "value", ["notebook.example", "https://a.example/", "https://a.example,", "file://", "http://*"]
)
def test_an_origin_is_what_browsers_send(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without a scheme, or with a path, would never match, and is rejected; case does not matter."""
    monkeypatch.setenv("LRTABLES_CORS_ORIGINS", "HTTPS://Notebook.Example, http://[::1]:8888")
    assert Settings().cors_origins == (ONE, "http://[::1]:8888")
    monkeypatch.setenv("LRTABLES_CORS_ORIGINS", value)
    with pytest.raises(ValidationError, match=r"must be origins like https://example\.com"):
        Settings()
