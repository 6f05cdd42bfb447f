"""Tokens, end to end: a real server that asks for them, tokens made by the command line, the real client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from client import Client, NotAllowedError
from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay
from service.database.metadata import Metadata, open_metadata
from service.security.tokens import UNLIMITED, Limits, new_token
from service.settings import Settings
from tests.support.servers.process import ServerProcess

SCHEDULE = WarmupWithDecay(5e-4, 100, 1000)
DIGEST = Table.compute(Spec(schedule=SCHEDULE, total_steps=1000)).digest
SPEC = Spec(schedule=SCHEDULE, total_steps=1000).canonical().encode()
CAPTURED = Table({"lr": [0.5, 0.25, 0.125]})

Ask = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "data"


class Tokens:
    """Makes and revokes tokens beside the server, as the command line does in a process of its own."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._ids: dict[str, str] = {}

    def make(self, *scopes: str, limits: Limits = UNLIMITED) -> str:
        token, row = new_token("a test", scopes, ["team-a/*"], limits, expires_in=3600.0)
        self._ids[token] = row.token_id
        with self._metadata() as metadata:
            metadata.tokens.add(row)
        return token

    def revoke(self, token: str) -> None:
        with self._metadata() as metadata:
            assert metadata.tokens.revoke(self._ids[token], time.time())

    def command(self, *words: str) -> str:
        """What `lrtables token` prints."""
        command = [sys.executable, "-m", "service", "token", *words, "--data-dir", str(self._data_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def _metadata(self) -> closing[Metadata]:
        return closing(open_metadata(Settings(data_dir=self._data_dir)))


@pytest.fixture(scope="module")
def tokens(data_dir: Path) -> Tokens:
    return Tokens(data_dir)


@pytest.fixture(scope="module")
def admin(tokens: Tokens) -> str:
    """A token for everything, made before the server starts, which needs one."""
    return tokens.make("admin")


@pytest.fixture(scope="module")
def guarded(data_dir: Path, admin: str) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, require_tokens=True) as server:
        yield server


@pytest.fixture(scope="module")
def ask(guarded: ServerProcess) -> Iterator[Ask]:
    """Send a request with a token, or without one."""
    with urllib3.PoolManager(retries=False) as pool:

        def send(method: str, path: str, token: str | None = None, **options: Any) -> urllib3.BaseHTTPResponse:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            return pool.request(method, guarded.url + path, headers={**headers, **options.pop("more", {})}, **options)

        yield send


JSON = {"Content-Type": "application/json"}
FILE = {"Content-Type": "application/vnd.safetensors"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/", "/explorer/main.js", "/docs", "/v1/openapi.json"])
def test_health_and_documentation_are_open(ask: Ask, path: str) -> None:
    """A probe, and a person who reads the documentation, need no token."""
    assert ask("GET", path).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/tables/{DIGEST}"),
        ("GET", f"/v1/tables/{DIGEST}.npy"),
        ("HEAD", f"/v1/tables/{DIGEST}/manifest"),
        ("POST", "/v1/tables"),
        ("PUT", f"/v1/tables/{DIGEST}"),
        ("GET", "/v1/schedules"),
        ("GET", "/v1/server"),
        ("GET", "/v1/lr"),
        ("GET", "/v1/token"),
        ("GET", "/metrics"),
        ("GET", "/readyz?verbose"),
        ("GET", "/nowhere"),
        ("DELETE", f"/v1/tables/{DIGEST}"),
    ],
)
def test_the_rest_is_closed(ask: Ask, admin: str, method: str, path: str) -> None:
    """Without a token nothing else is said, not even whether it is there; a made-up token is no better."""
    body: dict[str, Any] = {"body": SPEC, "more": JSON} if method in ("POST", "PUT") else {}
    for token, challenge in (None, ""), ("lrt_" + "A" * 22, ', error="invalid_token"'):
        answer = ask(method, path, token, **body)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, f'Bearer realm="lrtables"{challenge}')
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"


ALLOWED = {
    "read": {"read"},
    "compute": {"compute"},
    "publish": {"publish"},
    "admin": {"read", "compute", "publish"},
}


@pytest.mark.parametrize("scope", ALLOWED)
def test_a_scope_allows_what_it_says(ask: Ask, tokens: Tokens, admin: str, scope: str) -> None:
    """Each scope opens its own routes; a 403 names the scope that is missing."""
    assert ask("POST", "/v1/tables", admin, body=SPEC, more=JSON).status in (200, 201)
    token = tokens.make(scope)
    answers = {
        "read": ask("GET", f"/v1/tables/{DIGEST}", token),
        "compute": ask("POST", "/v1/tables", token, body=SPEC, more=JSON),
        "publish": ask("PUT", f"/v1/tables/{CAPTURED.digest}", token, body=CAPTURED.to_bytes(), more=FILE),
    }
    assert {needed for needed, answer in answers.items() if answer.status < 300} == ALLOWED[scope]
    for needed, answer in answers.items():
        if needed not in ALLOWED[scope]:
            assert answer.status == 403
            assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]
            assert f"the scope {needed};" in answer.json()["detail"]
    assert ask("GET", "/v1/lr", token).status == (403 if "compute" not in ALLOWED[scope] else 422)


def test_a_server_without_tokens_does_not_start(tmp_path: Path) -> None:
    """Where tokens are asked for and there is none, the server says how to make one."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "LRTABLES_REQUIRE_TOKENS": "true"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "lrtables token create" in ended.stderr


def test_a_token_of_the_command_line_says_who_it_is(ask: Ask, tokens: Tokens) -> None:
    """A token made while the server runs is valid at once; `/v1/token` says all that was said of it, but the secret."""
    options = ["--expires=12h", "--namespace=team-a/*", "--limit=max_steps=500", "--json"]
    made = json.loads(tokens.command("create", "team a", "--scope=read", "--scope=publish", *options))
    answer = ask("GET", "/v1/token", made["token"])
    said = answer.json()
    assert answer.status == 200
    assert (said["token_id"], said["name"], said["scopes"]) == (made["token_id"], "team a", ["read", "publish"])
    assert (said["namespaces"], said["limits"]["max_steps"]) == (["team-a/*"], 500)
    assert datetime.fromisoformat(said["expires_at"]) - datetime.now(UTC) < timedelta(hours=12)
    assert made["token"] not in answer.data.decode()
    assert "revoked" in tokens.command("revoke", made["token_id"])
    assert made["token_id"] in tokens.command("list")


def test_a_revoked_token_is_refused_without_a_restart(ask: Ask, tokens: Tokens) -> None:
    """A token that is in use, and is revoked beside the running server, is soon refused by it."""
    token = tokens.make("read")
    assert ask("GET", "/v1/server", token).status == 200
    tokens.revoke(token)
    for _ in range(300):
        if (answer := ask("GET", "/v1/server", token)).status != 200:
            break
        time.sleep(0.2)
    assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")


def test_refused_tokens_are_all_alike(ask: Ask, tokens: Tokens) -> None:
    """Nothing in the response tells a revoked token from one that never was."""
    revoked = tokens.make("read")
    tokens.revoke(revoked)
    answers = [ask("GET", "/v1/server", token) for token in (revoked, "lrt_" + "B" * 22)]
    problems = [{**answer.json(), "request_id": ""} for answer in answers]
    own = {"x-request-id": "", "date": "", "content-length": ""}  # an id, which is in the body too, has its own length
    headers = [{**answer.headers, **own} for answer in answers]
    assert problems[0] == problems[1]
    assert headers[0] == headers[1]


def test_limits_hold(ask: Ask, tokens: Tokens, admin: str) -> None:
    """More requests, bytes or steps than a token may have are refused, and the response says when to come back."""
    ask("POST", "/v1/tables", admin, body=SPEC, more=JSON)
    counted = tokens.make("read", limits=Limits(requests_per_second=0.1))
    assert [ask("GET", "/v1/server", counted).status for _ in range(2)] == [200, 429]
    weighed = tokens.make("read", limits=Limits(bytes_per_second=100))
    assert ask("GET", f"/v1/tables/{DIGEST}", weighed).status == 200
    late = ask("GET", f"/v1/tables/{DIGEST}", weighed)
    assert late.status == 429
    assert 60 < int(late.headers["Retry-After"]) < 120  # 8 kB at 100 B/s, less a burst of 2 s
    short = tokens.make("compute", "publish", limits=Limits(max_steps=999))
    file = Table.compute(Spec(schedule=SCHEDULE, total_steps=1000)).to_bytes()
    for method, body, more in (("POST", SPEC, JSON), ("PUT", file, FILE)):
        long = ask(method, "/v1/tables", short, body=body, more=more)
        assert (long.status, long.json()["code"]) == (422, "limit-exceeded")


def test_the_client_brings_its_token(guarded: ServerProcess, tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching and publishing work with a token; without, or with too little, the error says what to do."""
    monkeypatch.delenv("LRTABLES_TOKEN", raising=False)
    with Client(guarded.url, token=tokens.make("read", "compute")) as client:
        assert client.fetch(SCHEDULE).digest == DIGEST
        with pytest.raises(NotAllowedError, match="the token that was sent does not allow this"):
            client.publish(CAPTURED)
    with Client(guarded.url, token=tokens.make("publish", "read")) as client:
        assert client.publish(CAPTURED) == client.publish(CAPTURED) == CAPTURED.digest
        assert client.get(CAPTURED.digest) == CAPTURED
    with Client(guarded.url) as client, pytest.raises(NotAllowedError, match="no token was sent: set LRTABLES_TOKEN"):
        client.fetch(SCHEDULE)


def test_no_token_in_the_log(tmp_path: Path) -> None:
    """The most talkative log of a server holds no token, valid or not."""
    admin = Tokens(tmp_path).make("admin")
    with (
        ServerProcess(tmp_path, require_tokens=True, log_level="debug") as server,
        urllib3.PoolManager(retries=False) as pool,
    ):
        for token in (admin, "lrt_" + "C" * 22, "garbage"):
            for path in ("/v1/server", "/v1/token", "/nowhere"):
                pool.request("GET", server.url + path, headers={"Authorization": f"Bearer {token}"})
        status, log = server.stop()
    assert status == 0
    assert admin not in log
    assert "C" * 22 not in log
    assert "garbage" not in log
