"""The guard in front of a tiny application: who is let through to what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.concurrency.executors import Executors
from service.database.metadata import open_metadata
from service.database.tokens import TokenRecords
from service.errors import DatabaseError
from service.middleware.authentication import AuthenticationMiddleware
from service.routes.registry import ROUTES
from service.security.authenticator import Authenticator
from service.security.rate_limits import Limiter
from service.security.tokens import SCOPES, UNLIMITED, Limits, identity_of, new_token
from service.settings import Settings

DIGEST = "a" * 64
BODY = bytes(1000)


class Tiny:
    """An application that answers everything with the same bytes, and notes who asked."""

    def __init__(self) -> None:
        self.asked_by: list[str] = []
        self.announces = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked_by.append(identity_of(scope).name)
        headers = [(b"content-length", b"%d" % len(BODY))] if self.announces else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else BODY
        await send({"type": "http.response.body", "body": body[:600], "more_body": True})
        await send({"type": "http.response.body", "body": body[600:]})


class HttpResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = json.loads(self.body)
        return problem


class Guarded:
    """The tiny application behind the authentication, with real tokens, and a clock that is set by the test."""

    def __init__(self, tokens: TokenRecords, executors: Executors) -> None:
        self.tokens = tokens
        self.tiny = Tiny()
        self.now = 0.0
        limiter = Limiter(lambda: self.now)
        self.guard = AuthenticationMiddleware(self.tiny, Authenticator(tokens, executors), limiter, ROUTES)

    def token(self, *scopes: str, name: str = "a test", limits: Limits = UNLIMITED) -> str:
        token, row = new_token(name, scopes, limits=limits, expires_in=3600.0)
        self.tokens.add(row)
        return token

    def ask(self, method: str, target: str, *authorizations: str) -> HttpResponse:
        path, _, query = target.partition("?")
        headers = [(b"host", b"localhost")] + [(b"authorization", text.encode()) for text in authorizations]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": headers,
            "server": ("127.0.0.1", 80),
            "scheme": "http",
        }
        return asyncio.run(self._ask(scope))

    def ask_with(self, token: str, method: str = "GET", target: str = "/v1/server") -> HttpResponse:
        return self.ask(method, target, f"Bearer {token}")

    async def _ask(self, scope: Scope) -> HttpResponse:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        await self.guard(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return HttpResponse(sent[0]["status"], headers, b"".join(message["body"] for message in sent[1:]))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    metadata, executors = open_metadata(Settings(data_dir=tmp_path)), Executors()
    yield Guarded(metadata.tokens, executors)
    executors.close()
    metadata.close()


@pytest.mark.parametrize("target", ["/", "/livez", "/readyz", "/v1/openapi.json", "/livez?x"])
def test_health_and_documentation_are_open(guarded: Guarded, target: str) -> None:
    """What says nothing of anybody's tables is answered to anyone, whatever Authorization they send."""
    assert [guarded.ask("GET", target, *sent).status for sent in ((), ("Bearer x",))] == [200, 200]
    assert guarded.tiny.asked_by == ["anyone"] * 2


CLOSED = [
    ("GET", "/v1/server", "read"),
    ("GET", f"/v1/tables/{DIGEST}.npy", "read"),
    ("HEAD", f"/v1/tables/{DIGEST}", "read"),
    ("GET", "/v1/schedules", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/readyz?verbose", "read"),
    ("GET", "/readyz?%76erbose", "read"),
    ("GET", "/nowhere", "read"),
    ("GET", "/livez/", "read"),
    ("GET", "//livez", "read"),
    ("POST", "/v1/tables", "compute"),
    ("GET", "/v1/lr?kind=x", "compute"),
    ("HEAD", "/v1/lr", "compute"),
    ("GET", "/v1/lr\n", "compute"),  # for which the router answers as for /v1/lr
    ("PUT", "/v1/tables", "publish"),
    ("PUT", f"/v1/tables/{DIGEST}", "publish"),
    ("DELETE", f"/v1/tables/{DIGEST}", "admin"),
    ("GET", "/v1/runs?newest=true", "read"),
    ("GET", "/v1/tables?kind=Constant", "read"),
    ("GET", "/v1/runs/team-a/x", "read"),
    ("HEAD", "/v1/runs/team-a/x", "read"),
    ("GET", "/v1/runs/team-a/x/versions", "read"),
    ("GET", "/v1/runs/team-a/x/versions/1", "read"),
    ("PUT", "/v1/runs/team-a/x", "publish"),
    ("PATCH", "/v1/runs/team-a/x", "publish"),
    ("DELETE", "/v1/runs/team-a/x", "publish"),
    ("POST", "/v1/runs/team-a/x/rollback", "publish"),
    ("POST", "/v1/runs/team-a/x", "admin"),
    ("PUT", "/v1/runs/team-a/x/versions/1", "admin"),
    ("PUT", "/v1/runs/team-a", "admin"),
    ("POST", "/v1/tablesx", "admin"),
    ("OPTIONS", "/v1/tables", "admin"),
    ("get", "/v1/server", "admin"),
]


@pytest.mark.parametrize(("method", "target", "needed"), CLOSED)
def test_a_request_needs_its_scope(guarded: Guarded, method: str, target: str, needed: str) -> None:
    """Each request passes with the scope that it needs or with admin, and with no other; the 403 names it."""
    for scope in SCOPES:
        answer = guarded.ask_with(guarded.token(scope), method, target)
        if scope in (needed, "admin"):
            assert answer.status == 200
        else:
            assert (answer.status, answer.problem["code"]) == (403, "forbidden")
            assert answer.problem["detail"] == f"this needs a token with the scope {needed}; this one has {scope}"
            challenge = f'Bearer realm="lrtables", error="insufficient_scope", scope="{needed}"'
            assert answer.headers["www-authenticate"] == challenge


@pytest.mark.parametrize(("method", "target", "needed"), [*CLOSED, ("GET", "/v1/token", "any")])
def test_a_request_without_a_token_reaches_nothing(guarded: Guarded, method: str, target: str, needed: str) -> None:
    """Without a token the response is 401, never cached, with the challenge of RFC 6750."""
    answer = guarded.ask(method, target)
    assert (answer.status, answer.problem["code"], answer.problem["retryable"]) == (401, "unauthenticated", False)
    assert answer.headers["www-authenticate"] == 'Bearer realm="lrtables"'
    assert answer.headers["cache-control"] == "no-store"
    assert guarded.tiny.asked_by == []


@pytest.mark.parametrize("scope", SCOPES)
def test_any_token_may_ask_who_it_is(guarded: Guarded, scope: str) -> None:
    """`/v1/token` needs a token, of whatever scope."""
    assert guarded.ask_with(guarded.token(scope), target="/v1/token").status == 200


@pytest.mark.parametrize("needed", SCOPES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_scope_can_be_checked(guarded: Guarded, method: str, needed: str) -> None:
    """`/v1/token/SCOPE` passes with that scope, or admin; a proxy may keep its no, in the place of an earlier yes."""
    target = f"/v1/token/{needed}"
    for scope in SCOPES:
        answer = guarded.ask_with(guarded.token(scope), method, target)
        assert answer.status == (200 if scope in (needed, "admin") else 403)
        assert answer.headers.get("cache-control") == (None if answer.status == 200 else "max-age=1")
    unknown = guarded.ask(method, target)
    assert (unknown.status, unknown.headers["cache-control"]) == (401, "max-age=1")
    assert guarded.ask(method, "/v1/token/others").headers["cache-control"] == "no-store"


def test_no_failure_of_a_check_is_kept(guarded: Guarded) -> None:
    """Where the database does not answer, or a token asks too often, a proxy keeps what it has been told before."""
    token = guarded.token("read", limits=Limits(requests_per_second=0.5))
    answers = [guarded.ask_with(token, target="/v1/token/read") for _ in range(3)]
    assert answers[-1].status == 429
    assert answers[-1].headers["cache-control"] == "no-store"


def test_a_bad_token_is_challenged_as_one(guarded: Guarded) -> None:
    """A token that is not valid, or another scheme: 401 with `invalid_token`, and nothing of it in the response."""
    token = guarded.token("read")
    for sent in ([f"Bearer {token[:-1]}!"], ["Basic secret"], [f"Bearer {token}, {token}"], ["Bearer lrt_" + "Z" * 22]):
        answer = guarded.ask("GET", "/v1/server", *sent)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="lrtables", error="invalid_token"'
        assert not any(word in answer.body.decode() for word in (token[:12], "secret", "ZZZ"))
    assert guarded.tiny.asked_by == []


def test_two_tokens_are_none(guarded: Guarded) -> None:
    """Of several Authorization headers none is chosen, which a proxy in front may have done in another way."""
    good, other = (f"Bearer {guarded.token('read')}" for _ in range(2))
    assert guarded.ask("GET", "/v1/server", good).status == 200
    for sent in ((good, other), (good, good), (good, "Bearer no"), ("", good)):
        answer = guarded.ask("GET", "/v1/server", *sent)
        assert (answer.status, answer.problem["code"]) == (401, "unauthenticated")


def test_the_application_knows_who_asks(guarded: Guarded) -> None:
    """Behind the guard, the identity is that of the token."""
    token = guarded.token("read", name="team-a")
    assert guarded.ask_with(token).body == BODY
    assert guarded.tiny.asked_by == ["team-a"]


def test_requests_are_counted(guarded: Guarded) -> None:
    """Beyond its rate, a token is answered 429 until the time that the response names; others are not."""
    hasty = guarded.token("read", limits=Limits(requests_per_second=0.5))
    calm = guarded.token("read", limits=Limits(requests_per_second=0.5))
    assert [guarded.ask_with(hasty).status for _ in range(3)] == [200, 429, 429]
    assert guarded.ask_with(calm).status == 200
    refused = guarded.ask_with(hasty)
    assert (refused.problem["code"], refused.problem["retryable"]) == ("rate-limited", True)
    assert refused.headers["retry-after"] == "2"
    guarded.now = 2.0
    assert guarded.ask_with(hasty).status == 200


@pytest.mark.parametrize("announces", [True, False])
def test_answered_bytes_are_paid_for(guarded: Guarded, announces: bool) -> None:
    """A response's bytes are charged by its Content-Length, else as they are sent; a HEAD costs none."""
    guarded.tiny.announces = announces
    token = guarded.token("read", limits=Limits(bytes_per_second=100))
    assert [guarded.ask_with(token, "HEAD").status for _ in range(20)] == [200] * 20
    assert [guarded.ask_with(token).status for _ in range(3)] == [200, 429, 429]
    guarded.now = 7.9  # 1000 bytes, less the 200 that may be spent at once
    assert guarded.ask_with(token, "HEAD").headers["retry-after"] == "1"
    guarded.now = 8.0
    assert guarded.ask_with(token).status == 200


def test_bytes_are_charged_before_they_are_sent(guarded: Guarded) -> None:
    """Requests that come together cannot all begin on the credit of one."""
    token = guarded.token("read", limits=Limits(bytes_per_second=100))
    statuses: list[int] = []

    async def main() -> None:
        blocked = asyncio.Event()

        async def ask() -> None:
            async def send(message: Message) -> None:
                statuses.extend([message["status"]] if "status" in message else [])
                if statuses[-1:] == [200]:
                    await blocked.wait()

            async def receive() -> Message:
                return {"type": "http.request"}

            headers = [(b"authorization", b"Bearer " + token.encode())]
            scope = {"type": "http", "method": "GET", "path": "/v1/server", "query_string": b"", "headers": headers}
            await guarded.guard({**scope, "server": ("127.0.0.1", 80), "scheme": "http"}, receive, send)

        tasks = [asyncio.create_task(ask()) for _ in range(5)]
        while len(statuses) < 5:
            await asyncio.sleep(0.001)
        blocked.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert sorted(statuses) == [200, 429, 429, 429, 429]


def test_a_database_that_is_away_is_a_503(tmp_path: Path) -> None:
    """Where a token cannot be checked, the response is 503 with Retry-After, not 401: the token may be a good one."""

    class Away:
        def find_by_hash(self, hash: str) -> None:  # noqa: A002  # the protocol's name for it
            raise DatabaseError("no response within 5 s")

    executors = Executors()
    guarded = Guarded(Away(), executors)  # type: ignore[arg-type]  # nothing else is called
    answer = guarded.ask_with("lrt_" + "A" * 22)
    assert (answer.status, answer.problem["code"], answer.problem["retryable"]) == (503, "database-unavailable", True)
    assert answer.headers["retry-after"] == "1"
    executors.close()


def test_lifespan_passes() -> None:
    """What is no request is none of the guard's business."""
    seen: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: object) -> Any:
        raise AssertionError

    guard = AuthenticationMiddleware(application, None, None, ROUTES)  # type: ignore[arg-type]  # neither is asked
    asyncio.run(guard({"type": "lifespan"}, nothing, nothing))
    assert seen == ["lifespan"]
