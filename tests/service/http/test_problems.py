"""Every error is a problem document (RFC 9457), and a hostile request's names the invalid value."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from scheduler import TableError
from service.errors import DatabaseError, QueueFullError, RateLimitedError, StorageError, TableLostError
from service.http import problems
from service.middleware.telemetry import RequestRecorder, Telemetry
from service.observability.metrics import Metrics
from service.routes.registry import ROUTES
from tests.support.servers.process import ServerProcess

NAN = '{"schedule": {"kind": "custom.LinearWarmup", "base_lr": %s, "warmup_steps": 5}, "total_steps": 10}'
STEPS = '{"schedule": {"kind": "custom.LinearWarmup", "base_lr": 1, "warmup_steps": 5}, "total_steps": %s}'
HOSTILE = [
    pytest.param(NAN % "NaN", 422, "/schedule/base_lr", id="nan"),
    pytest.param(NAN % "Infinity", 422, "/schedule/base_lr", id="infinity"),
    pytest.param(NAN % "-Infinity", 422, "/schedule/base_lr", id="minus-infinity"),
    pytest.param(NAN % "1e999", 422, "/schedule/base_lr", id="overflow"),
    pytest.param(NAN % "-0.1", 422, "/schedule/base_lr", id="negative"),
    pytest.param(NAN % "1e300", 422, "/schedule/base_lr", id="huge-rate"),
    pytest.param(NAN % ("1" + "0" * 6000), 400, "/schedule/base_lr", id="six-thousand-digits"),
    pytest.param(NAN % '"0.1"', 422, "/schedule/base_lr", id="text"),
    pytest.param(NAN % "[[[0.1]]]", 422, "/schedule/base_lr", id="list"),
    pytest.param(STEPS % "1000000000000", 422, "/total_steps", id="a-trillion-steps"),
    pytest.param(STEPS % "10000000000", 422, "/total_steps", id="beyond-the-limit"),
    pytest.param(STEPS % "-1", 422, "/total_steps", id="negative-steps"),
    pytest.param(STEPS % "0", 422, "/total_steps", id="no-steps"),
    pytest.param(STEPS % "true", 422, "/total_steps", id="true-steps"),
    pytest.param(STEPS % "1.5", 422, "/total_steps", id="half-a-step"),
    pytest.param('{"schedule": {"kind": "../../etc/passwd"}, "total_steps": 1}', 422, "/schedule/kind", id="path"),
    pytest.param('{"schedule": {"kind": "os.system"}, "total_steps": 1}', 422, "/schedule/kind", id="unknown-kind"),
    pytest.param(STEPS % '1, "__class__": 1', 422, "/__class__", id="unknown-field"),
    pytest.param(STEPS % '1, "total_steps": 2', 400, "", id="key-twice"),
    pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, 400, None, id="deep"),
    pytest.param("[" * 100_000, 400, None, id="deep-and-cut-short"),
    pytest.param('{"schedule": [' + "0," * 200_000 + "0]}", 400, None, id="many-items"),
    pytest.param('{"schedule": [' + "0," * 999 + '0], "total_steps": 1}', 422, "/schedule", id="many-schedules"),
    pytest.param(STEPS % ("1" + "".join(f', "x{i}": 0' for i in range(9000))), 422, "/x0", id="many-fields"),
    pytest.param("", 400, None, id="empty"),
    pytest.param("\x00", 400, None, id="zero-byte"),
]


def check_problem(response: Any, status: int) -> dict[str, Any]:
    """Return the problem in a response, after checking the parts that every problem has."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert response.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = json.loads(response.content)
    assert {"type", "title", "status", "code", "detail", "errors", "request_id", "retryable"} == set(problem)
    assert (problem["status"], problem["request_id"]) == (status, response.headers["x-request-id"])
    assert len(response.content) < 20_000
    return problem


def post(client: TestClient, body: str | bytes, content_type: str = "application/json") -> Any:
    """Return the response to a POST of this body."""
    return client.post("/v1/tables", content=body, headers={"content-type": content_type})


def response_to(error: Exception) -> Any:
    """Return the response of a route that raises this error."""
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    return TestClient(Telemetry(app, RequestRecorder(Metrics(), ROUTES)), raise_server_exceptions=False).get("/")


@pytest.mark.parametrize(("body", "status", "pointer"), HOSTILE)
def test_a_hostile_spec_is_rejected_with_the_invalid_value_named(
    client: TestClient, body: str, status: int, pointer: str | None
) -> None:
    """A hostile spec is a 4xx problem that points at the invalid value, and nothing is computed."""
    problem = check_problem(post(client, body), status)
    if pointer is not None:
        assert pointer in [error["pointer"] for error in problem["errors"]]
        assert all(error["detail"] for error in problem["errors"])
    assert problem["retryable"] is False
    assert client.get("/v1/server").json()["counters"]["computations"] == 0


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_another_content_type_is_rejected(client: TestClient, content_type: str) -> None:
    """A body that is not declared as JSON in UTF-8 is a 415 that names the header."""
    problem = check_problem(post(client, STEPS % "1", content_type), 415)
    assert problem["errors"][0] | {"detail": ""} == {"parameter": "content-type", "detail": "", "value": content_type}


def test_a_compressed_body_is_rejected(client: TestClient) -> None:
    """A compressed body is a 415 that names the header, because the limits hold for the bytes sent."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    problem = check_problem(client.post("/v1/tables", content=STEPS % "1", headers=headers), 415)
    assert problem["errors"][0]["parameter"] == "content-encoding"


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'])
def test_json_is_accepted(client: TestClient, content_type: str) -> None:
    """A body that is declared as JSON in UTF-8 is accepted, in any spelling."""
    assert post(client, STEPS % "1", content_type).status_code == 201


def test_a_large_body_is_rejected_before_it_is_read(client: TestClient) -> None:
    """A body beyond the limit is a 413, with Content-Length and without."""
    large = b" " * 10_000_000
    for content in (large, iter([large[:600_000]] * 16)):
        response = client.post("/v1/tables", content=content, headers={"content-type": "application/json"})
        assert check_problem(response, 413)["code"] == "body-too-large"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/tables/../../etc/passwd", 404, None),
        ("GET", "/v1/tables/%2e%2e%2fetc%2fpasswd", 404, None),
        ("GET", "/v1/tables/", 404, None),
        ("GET", "/livez/", 404, None),
        ("GET", "/docs/", 404, None),
        ("GET", "/explorer/", 404, None),
        ("GET", "/explorer/../settings.py", 404, None),
        ("GET", "/explorer/%2e%2e/settings.py", 404, None),
        ("DELETE", "/v1/tables", 405, "GET, HEAD, POST, PUT"),
        ("DELETE", f"/v1/tables/{'0' * 64}", 405, "GET, HEAD, PUT"),
        ("POST", "/", 405, "GET, HEAD"),
        ("POST", f"/v1/tables/{'0' * 64}.npy", 405, "GET, HEAD"),
        ("PUT", f"/v1/tables/{'0' * 64}.npy", 405, "GET, HEAD"),
        ("BREW", "/livez", 405, "GET, HEAD"),
    ],
)
def test_an_unknown_path_or_method_is_a_problem(
    client: TestClient, method: str, path: str, status: int, allow: str | None
) -> None:
    """An unknown path is a 404; an unknown method is a 405 whose Allow header lists the supported ones."""
    response = client.request(method, path)
    check_problem(response, status)
    assert response.headers.get("allow") == allow


def test_the_callers_request_id_is_returned(client: TestClient) -> None:
    """A valid X-Request-ID is returned; one that could do harm in a log is replaced."""
    assert (
        check_problem(client.get("/x", headers={"x-request-id": "job-7.rank_3"}), 404)["request_id"] == "job-7.rank_3"
    )
    for harmful in ("a b", "x" * 65, "\x1b[31m", ""):
        made = check_problem(client.get("/x", headers={"x-request-id": harmful}), 404)["request_id"]
        assert made != harmful


def test_an_unexpected_error_reveals_nothing() -> None:
    """An unexpected error is a 500 without its message, which is only in the log."""
    response = response_to(RuntimeError("a secret"))
    assert check_problem(response, 500)["code"] == "internal-error"
    assert b"secret" not in response.content


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (QueueFullError("full", retry_after=7), 503, "queue-full", "7"),
        (RateLimitedError("too fast", retry_after=3), 429, "rate-limited", "3"),
        (StorageError("the disk is full"), 503, "storage-unavailable", "1"),
        (DatabaseError("it does not response"), 503, "database-unavailable", "1"),
        (TableError("its file has changed"), 503, "table-damaged", "1"),
        (TableLostError("gone"), 500, "table-lost", None),
    ],
)
def test_a_temporary_error_has_retry_after(error: Exception, status: int, code: str, retry_after: str | None) -> None:
    """A retryable error has a Retry-After header and its message; any other error has no Retry-After."""
    response = response_to(error)
    problem = check_problem(response, status)
    assert (problem["code"], problem["retryable"]) == (code, retry_after is not None)
    assert response.headers.get("retry-after") == retry_after
    assert (str(error) in problem["detail"]) is not isinstance(error, DatabaseError)  # whose text names hosts


def test_only_an_unexpected_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A retryable error is logged without a traceback; a busy server, which may be frequent, only at level info."""
    caplog.set_level("INFO")
    for error in (QueueFullError("full"), StorageError("full"), RuntimeError("bug")):
        response_to(error)
    assert [
        (record.levelname, record.exc_info is not None) for record in caplog.records if "request" in record.msg
    ] == [
        ("INFO", False),
        ("ERROR", False),
        ("ERROR", True),
    ]


def test_hostile_requests_leave_no_memory_behind(server: ServerProcess) -> None:
    """A real server grows by less than 8 MB when it gets every hostile request ten times."""
    import urllib3  # noqa: PLC0415  # only this test needs a client of a real server

    bodies = [str(parameter.values[0]).encode() for parameter in HOSTILE] + [b" " * 10_000_000]
    with urllib3.PoolManager() as pool:

        def ask_everything() -> set[int]:
            headers = {"content-type": "application/json"}
            responses = [pool.request("POST", f"{server.url}/v1/tables", body=body, headers=headers) for body in bodies]
            assert {response.headers["content-type"] for response in responses} == {"application/problem+json"}
            return {response.status for response in responses}

        for _ in range(20):  # until each thread has allocated its working memory
            ask_everything()
        before = server.memory()
        for _ in range(10):
            assert ask_everything() == {400, 413, 422}
    assert server.memory() - before < 8_000_000
    assert server.counters()["computations"] == 0
