"""Who asks, as the server sees it."""

import time
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.middleware.authentication import AuthenticationMiddleware
from service.routes.registry import ROUTES
from service.routes.token import resource
from service.security.rate_limits import Limiter
from service.security.tokens import Identity, Limits, identity_of


class Known:
    """An authenticator that knows everybody."""

    def __init__(self, expires_at: float | None = 1_000_000_000.0) -> None:
        self.identity = Identity("0a1b", "team a", ("read",), ("team-a/*",), Limits(max_steps=5), expires_at)

    def cached_identity(self, authorization: bytes) -> Identity:
        return self.identity


def guarded(known: Known) -> TestClient:
    """The routes of tokens behind the guard."""
    app = FastAPI()
    for route in resource.routes:
        route.add_to(app)
    guard = AuthenticationMiddleware(app, known, Limiter(), ROUTES)  # type: ignore[arg-type]  # only what it recalls is asked for
    return TestClient(guard)


def test_a_token_is_described_without_its_secret() -> None:
    """The response says what the token allows, how much of it, and until when; it is never cached."""
    answer = guarded(Known()).get("/v1/token")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "token_id": "0a1b",
        "name": "team a",
        "scopes": ["read"],
        "namespaces": ["team-a/*"],
        "limits": {"requests_per_second": None, "bytes_per_second": None, "max_steps": 5},
        "expires_at": "2001-09-09T01:46:40Z",
    }


def test_without_tokens_anyone_may_do_anything(client: TestClient) -> None:
    """A server that asks for no tokens says so: the same document, with every scope and no limits."""
    said: dict[str, Any] = client.get("/v1/token").json()
    assert (said["token_id"], said["name"]) == ("", "anyone")
    assert said["scopes"] == ["read", "compute", "propose", "publish", "admin"]
    assert (said["namespaces"], said["expires_at"]) == (["*"], None)
    assert identity_of({}).allows("admin", "any/name")
    assert client.head("/v1/token").status_code == 200


@pytest.mark.parametrize(
    ("expires_in", "holds"),
    [
        (None, "max-age=5, stale-if-error=300"),
        (1000.0, "max-age=5, stale-if-error=300"),
        (100.4, "max-age=5, stale-if-error=100"),
        (-1.0, "max-age=0, stale-if-error=0"),
    ],
)
def test_a_check_says_how_long_it_holds(expires_in: float | None, holds: str) -> None:
    """A proxy may keep a yes for 5 seconds, and for 300 more while no server answers, but not past the token's end."""
    known = Known(None if expires_in is None else time.time() + expires_in)
    answer = guarded(known).get("/v1/token/read")
    assert (answer.status_code, answer.headers["cache-control"]) == (204, holds)


def test_without_tokens_a_check_holds_for_a_day(client: TestClient) -> None:
    """Where the server asks for no tokens, there is none to revoke."""
    for ask in (client.get, client.head):
        answer = ask("/v1/token/publish")
        assert (answer.status_code, answer.headers["cache-control"]) == (204, "max-age=5, stale-if-error=86400")
    assert client.get("/v1/token/others").status_code == 422
