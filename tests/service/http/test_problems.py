"""Every error is a problem (RFC 9457), and hostile requests are refused by name."""

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


def check_problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem in an answer, after checking what every one must have."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = json.loads(answer.content)
    assert {"type", "title", "status", "code", "detail", "errors", "request_id", "retryable"} == set(problem)
    assert (problem["status"], problem["request_id"]) == (status, answer.headers["x-request-id"])
    assert len(answer.content) < 20_000
    return problem


def post(client: TestClient, body: str | bytes, content_type: str = "application/json") -> Any:
    """The answer to a POST of this body."""
    return client.post("/v1/tables", content=body, headers={"content-type": content_type})


def answer_to(error: Exception) -> Any:
    """The answer of a route that raises this."""
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    return TestClient(Telemetry(app, RequestRecorder(Metrics(), ROUTES)), raise_server_exceptions=False).get("/")


@pytest.mark.parametrize(("body", "status", "pointer"), HOSTILE)
def test_a_hostile_spec_is_refused_by_name(client: TestClient, body: str, status: int, pointer: str | None) -> None:
    """A hostile spec is a 4xx problem that points at the bad value, and nothing is computed."""
    problem = check_problem(post(client, body), status)
    if pointer is not None:
        assert pointer in [error["pointer"] for error in problem["errors"]]
        assert all(error["detail"] for error in problem["errors"])
    assert problem["retryable"] is False
    assert client.get("/v1/server").json()["counters"]["computations"] == 0


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_another_content_type_is_refused(client: TestClient, content_type: str) -> None:
    """A body that does not say it is JSON in UTF-8 is a 415 that names the header."""
    problem = check_problem(post(client, STEPS % "1", content_type), 415)
    assert problem["errors"][0] | {"detail": ""} == {"parameter": "content-type", "detail": "", "value": content_type}


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    """A body that comes compressed is a 415 that names the header: limits are on what is sent."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    problem = check_problem(client.post("/v1/tables", content=STEPS % "1", headers=headers), 415)
    assert problem["errors"][0]["parameter"] == "content-encoding"


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'])
def test_json_is_taken(client: TestClient, content_type: str) -> None:
    """A body that says it is JSON in UTF-8 is taken, in whatever way it says so."""
    assert post(client, STEPS % "1", content_type).status_code == 201


def test_a_large_body_is_refused_before_it_is_read(client: TestClient) -> None:
    """A body beyond the limit is a 413, whether it says its length or not."""
    large = b" " * 10_000_000
    for content in (large, iter([large[:600_000]] * 16)):
        answer = client.post("/v1/tables", content=content, headers={"content-type": "application/json"})
        assert check_problem(answer, 413)["code"] == "body-too-large"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/tables/../../etc/passwd", 404, None),
        ("GET", "/v1/tables/%2e%2e%2fetc%2fpasswd", 404, None),
        ("GET", "/v1/tables/", 404, None),
        ("GET", "/livez/", 404, None),
        ("GET", "/docs", 404, None),
        ("GET", "/v1/tables", 405, "POST, PUT"),
        ("DELETE", f"/v1/tables/{'0' * 64}", 405, "GET, HEAD, PUT"),
        ("POST", "/", 405, "GET, HEAD"),
        ("POST", f"/v1/tables/{'0' * 64}.npy", 405, "GET, HEAD"),
        ("PUT", f"/v1/tables/{'0' * 64}.npy", 405, "GET, HEAD"),
        ("BREW", "/livez", 405, "GET, HEAD"),
    ],
)
def test_what_there_is_not_is_a_problem(
    client: TestClient, method: str, path: str, status: int, allow: str | None
) -> None:
    """An unknown path is a 404, an unknown method a 405 that says which there are."""
    answer = client.request(method, path)
    check_problem(answer, status)
    assert answer.headers.get("allow") == allow


def test_the_callers_request_id_is_kept(client: TestClient) -> None:
    """A plain X-Request-ID comes back; one that could do harm in a log is replaced."""
    assert (
        check_problem(client.get("/x", headers={"x-request-id": "job-7.rank_3"}), 404)["request_id"] == "job-7.rank_3"
    )
    for harmful in ("a b", "x" * 65, "\x1b[31m", ""):
        made = check_problem(client.get("/x", headers={"x-request-id": harmful}), 404)["request_id"]
        assert made != harmful


def test_what_nobody_foresaw_tells_nothing() -> None:
    """An unforeseen error is a 500 without a word of what went wrong, which is in the log."""
    answer = answer_to(RuntimeError("a secret"))
    assert check_problem(answer, 500)["code"] == "internal-error"
    assert b"secret" not in answer.content


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (QueueFullError("full", retry_after=7), 503, "queue-full", "7"),
        (RateLimitedError("too fast", retry_after=3), 429, "rate-limited", "3"),
        (StorageError("the disk is full"), 503, "storage-unavailable", "1"),
        (DatabaseError("it does not answer"), 503, "database-unavailable", "1"),
        (TableError("its file has changed"), 503, "table-damaged", "1"),
        (TableLostError("gone"), 500, "table-lost", None),
    ],
)
def test_what_passes_says_when_to_ask_again(error: Exception, status: int, code: str, retry_after: str | None) -> None:
    """An error that may pass says after how many seconds to try again, and what is wrong; another says nothing."""
    answer = answer_to(error)
    problem = check_problem(answer, status)
    assert (problem["code"], problem["retryable"]) == (code, retry_after is not None)
    assert answer.headers.get("retry-after") == retry_after
    assert (str(error) in problem["detail"]) is not isinstance(error, DatabaseError)  # whose text names hosts


def test_an_error_that_passes_is_logged_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is logged with its trace; what passes without, and what may come a thousand times quietly."""
    caplog.set_level("INFO")
    for error in (QueueFullError("full"), StorageError("full"), RuntimeError("bug")):
        answer_to(error)
    assert [
        (record.levelname, record.exc_info is not None) for record in caplog.records if "request" in record.msg
    ] == [
        ("INFO", False),
        ("ERROR", False),
        ("ERROR", True),
    ]


def test_hostile_requests_leave_no_memory_behind(server: ServerProcess) -> None:
    """A real server that was asked everything hostile, ten times, has not grown by more than a few megabytes."""
    import urllib3  # noqa: PLC0415  # only this test needs a client of a real server

    bodies = [str(parameter.values[0]).encode() for parameter in HOSTILE] + [b" " * 10_000_000]
    with urllib3.PoolManager() as pool:

        def ask_everything() -> set[int]:
            headers = {"content-type": "application/json"}
            answers = [pool.request("POST", f"{server.url}/v1/tables", body=body, headers=headers) for body in bodies]
            assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
            return {answer.status for answer in answers}

        for _ in range(20):  # until each thread has the memory that it works in
            ask_everything()
        before = server.memory()
        for _ in range(10):
            assert ask_everything() == {400, 413, 422}
    assert server.memory() - before < 8_000_000
    assert server.counters()["computations"] == 0
