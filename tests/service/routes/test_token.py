"""Who asks, as the server sees it."""

from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from service.guard import Guard, identity_of
from service.limiter import Limiter
from service.routes.token import router
from service.tokens import Identity, Limits


class Known:
    """An authenticator that knows everybody."""

    identity = Identity("0a1b", "team a", ("read",), ("team-a/*",), Limits(max_steps=5), 1_000_000_000.0)

    def recall(self, authorization: bytes) -> Identity:
        return self.identity


def test_a_token_is_described_without_its_secret() -> None:
    """The answer says what the token allows, how much of it, and until when; it is never cached."""
    app = FastAPI()
    app.include_router(router)
    guard = Guard(app, Known(), Limiter())  # type: ignore[arg-type]  # only what it recalls is asked for
    answer = TestClient(guard).get("/v1/token")
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
    assert said["scopes"] == ["read", "compute", "publish", "admin"]
    assert (said["namespaces"], said["expires_at"]) == (["*"], None)
    assert identity_of({}).allows("admin", "any/name")
    assert client.head("/v1/token").status_code == 200
