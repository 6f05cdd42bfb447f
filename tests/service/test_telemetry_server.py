"""Log and metrics of a real server."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers.process import ServerProcess

TRACE = "0af7651916cd43dd8448eb211c80319c"
REQUIRED = {
    "lrtables_http_requests",
    "lrtables_http_request_seconds",
    "lrtables_http_response_bytes",
    "lrtables_cache_hits",
    "lrtables_cache_bytes",
    "lrtables_computations",
    "lrtables_computation_seconds",
    "lrtables_single_flight_waits",
    "lrtables_store_errors",
    "lrtables_damaged",
    "lrtables_determinism_mismatch",
    "lrtables_connections_closed",
    "lrtables_queue_depth",
    "lrtables_build_info",
}
COUNTED = [
    "lrtables_http_requests_total",
    "lrtables_http_response_bytes_total",
    "lrtables_http_request_seconds_count",
    "lrtables_computations_total",
    "lrtables_computation_seconds_count",
    "lrtables_cache_hits_total",
]
Moved = Callable[[str], dict[tuple[str, ...], float]]


class Log:
    """What a server has written to standard error."""

    def __init__(self, server: ServerProcess) -> None:
        self.lines: list[str] = []
        self._server = server

    def end(self) -> None:
        """Stop the server, and read its log."""
        status, log = self._server.stop()
        self.lines = log.splitlines()
        assert status == 0

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Each line as the JSON that it has to be."""
        return [json.loads(line) for line in self.lines]


@contextmanager
def logging_server(tmp_path: Path, **settings: Any) -> Iterator[tuple[ServerProcess, Log]]:
    """A server with its log, which is complete at the end of the block if the server is well."""
    with ServerProcess(tmp_path / "data", **settings) as server:
        log = Log(server)
        yield server, log
        log.end()


def numbers(server: ServerProcess, name: str) -> dict[tuple[str, ...], float]:
    """A metric's numbers by the values of its labels, in the order of their names."""
    families = list(text_string_to_metric_families(server.get("/metrics").decode()))
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in found}


@pytest.fixture
def moved(shared_server: ServerProcess) -> Moved:
    """By how much a metric's numbers have moved since the test began, but for those that have not."""
    before = {name: numbers(shared_server, name) for name in COUNTED}

    def difference(name: str) -> dict[tuple[str, ...], float]:
        moves = {labels: now - before[name].get(labels, 0) for labels, now in numbers(shared_server, name).items()}
        return {labels: move for labels, move in moves.items() if move}

    return difference


def another(spec: dict[str, Any], base_lr: float) -> dict[str, Any]:
    """A spec with a rate of its own, whose table no other test asks for."""
    return {**spec, "schedule": {**spec["schedule"], "base_lr": base_lr}}


def make(server: ServerProcess, pool: urllib3.PoolManager, spec: Mapping[str, Any]) -> str:
    """The digest of a spec's table."""
    digest: str = pool.request("POST", f"{server.url}/v1/tables", json=spec).json()["digest"]
    return digest


def test_every_answer_names_its_request(shared_server: ServerProcess, spec: dict[str, Any]) -> None:
    """Whoever answers, a response has the id of its request, once: in a problem it is the same."""
    with urllib3.PoolManager(headers={"x-request-id": "mine"}) as pool:
        path = f"/v1/tables/{make(shared_server, pool, spec)}"
        etag = pool.request("GET", shared_server.url + path).headers["etag"]
        for status, way, headers in [
            (200, path, {}),
            (304, path, {"if-none-match": etag}),
            (206, path, {"range": "bytes=0-7"}),
            (200, "/v1/server", {}),
            (200, "/metrics", {}),
            (404, f"/v1/tables/{'0' * 64}", {}),
            (404, "/nowhere", {}),
        ]:
            answer = pool.request("GET", shared_server.url + way, headers={"x-request-id": "mine", **headers})
            assert (answer.status, answer.headers.getlist("x-request-id")) == (status, ["mine"])
            assert status < 400 or answer.json()["request_id"] == "mine"


def test_an_id_is_made_where_there_is_none(shared_server: ServerProcess) -> None:
    """Without a plain X-Request-ID the server gives one, and the problem has the same."""
    with urllib3.PoolManager() as pool:
        answers = [
            pool.request("GET", f"{shared_server.url}/nowhere", headers=headers)
            for headers in ({}, {"x-request-id": "a b"})
        ]
    made = [answer.headers["x-request-id"] for answer in answers]
    assert [answer.json()["request_id"] for answer in answers] == made
    assert len(set(made)) == 2


def test_requests_are_counted_by_route(shared_server: ServerProcess, spec: dict[str, Any], moved: Moved) -> None:
    """What is answered out of memory, and what FastAPI answers, is counted by method, route and status."""
    with urllib3.PoolManager() as pool:
        digest = make(shared_server, pool, another(spec, 0.125))
        url = f"{shared_server.url}/v1/tables/{digest}"
        etag = pool.request("GET", f"{url}.npy").headers["etag"]
        for _ in range(3):
            assert pool.request("GET", f"{url}.npy", headers={"if-none-match": etag}).status == 304
        assert pool.request("GET", f"{url}/values?steps=0").status == 200
        assert pool.request("DELETE", f"{url}.npy").status == 405
    npy = "/v1/tables/{digest}.npy"
    found = moved("lrtables_http_requests_total")
    assert (
        found.items()
        >= {
            ("POST", "/v1/tables", "201"): 1,
            ("GET", npy, "200"): 1,
            ("GET", npy, "304"): 3,
            ("GET", "/v1/tables/{digest}/values", "200"): 1,
            ("DELETE", npy, "405"): 1,
        }.items()
    )
    assert ("GET", npy, "304") not in moved("lrtables_http_response_bytes_total")
    assert moved("lrtables_http_response_bytes_total")["GET", npy, "200"] == 128 + 8 * 16
    assert moved("lrtables_http_request_seconds_count")["GET", npy, "304"] == 3


def test_an_answer_to_head_has_no_bytes(shared_server: ServerProcess, moved: Moved) -> None:
    """What a response to HEAD would have had as its body is not counted as sent."""
    with urllib3.PoolManager() as pool:
        assert pool.request("HEAD", f"{shared_server.url}/v1/schedules").status == 200
    head = ("HEAD", "/v1/schedules", "200")
    assert moved("lrtables_http_requests_total")[head] == 1
    assert head not in moved("lrtables_http_response_bytes_total")


def test_no_client_makes_a_metric(shared_server: ServerProcess, moved: Moved) -> None:
    """Addresses that there are none of are counted together."""
    with urllib3.PoolManager() as pool:
        for number in range(50):
            assert pool.request("GET", f"{shared_server.url}/{number}").status == 404
            assert pool.request("GET", f"{shared_server.url}/v1/tables/{number:064x}").status == 404
            assert pool.request("GET", f"{shared_server.url}/v1/schedules/{number}").status == 404
    found = moved("lrtables_http_requests_total")
    assert {route: number for (_, route, status), number in found.items() if status == "404"} == {
        "other": 50,
        "/v1/tables/{digest}": 50,
        "/v1/schedules/{kind}": 50,
    }


def test_the_parts_are_counted(shared_server: ServerProcess, spec: dict[str, Any], moved: Moved) -> None:
    """Prometheus reads what the contract promises, and the numbers move."""
    text = shared_server.get("/metrics").decode()
    assert {family.name for family in text_string_to_metric_families(text)} >= REQUIRED
    with urllib3.PoolManager() as pool:
        digest = make(shared_server, pool, another(spec, 0.375))
        for _ in range(2):
            assert pool.request("GET", f"{shared_server.url}/v1/tables/{digest}").status == 200
    assert moved("lrtables_computations_total") == {(): 1}
    assert moved("lrtables_computation_seconds_count") == {(): 1}
    assert moved("lrtables_cache_hits_total") == {(): 2}
    assert numbers(shared_server, "lrtables_cache_bytes")[()] >= 128
    assert numbers(shared_server, "lrtables_queue_depth") == {(): 0}


def test_the_log_is_json_under_load(tmp_path: Path, spec: dict[str, Any]) -> None:
    """At `info` each request has one line of JSON, whatever else happens at the same time, and no line is broken."""
    count = 2000
    with (
        logging_server(tmp_path, log_format="json", log_level="info") as (server, log),
        urllib3.PoolManager(maxsize=16) as pool,
        ThreadPoolExecutor(16) as executors,
    ):
        path = f"/v1/tables/{make(server, pool, spec)}"
        paths = [path, f"{path}.csv", "/v1/schedules", "/nowhere", "/v1/tables/%0A%22"]

        def ask(number: int) -> int:
            url = server.url + paths[number % len(paths)]
            return pool.request("GET", url, headers={"x-request-id": f"load-{number}"}).status

        statuses = Counter(executors.map(ask, range(count)))
    lines = [entry for entry in log.entries if entry.get("request_id", "").startswith("load-")]
    assert sorted(entry["request_id"] for entry in lines) == sorted(f"load-{number}" for number in range(count))
    assert Counter(entry["status"] for entry in lines) == statuses
    assert {entry["path"] for entry in lines} == set(paths)
    assert {entry["route"] for entry in lines} >= {"other", "/v1/schedules", "/v1/tables/{digest}.csv"}
    assert all(entry["seconds"] > 0 and entry["client"] == "127.0.0.1" for entry in lines)


def test_requests_are_not_logged_by_default(tmp_path: Path, spec: dict[str, Any]) -> None:
    """At `warning` a server that is well says nothing."""
    with (
        logging_server(tmp_path) as (server, log),
        urllib3.PoolManager() as pool,
    ):
        make(server, pool, spec)
        assert pool.request("GET", f"{server.url}/nowhere").status == 404
    assert log.lines == []


def test_the_trace_is_logged(tmp_path: Path) -> None:
    """The log has the trace of a valid `traceparent`; another is ignored."""
    sent = {"valid": f"00-{TRACE}-b7ad6b7169203331-01", "bad": f"00-{TRACE}-b7ad6b7169203331-1"}
    with (
        logging_server(tmp_path, log_format="json", log_level="info") as (server, log),
        urllib3.PoolManager() as pool,
    ):
        for name, traceparent in sent.items():
            headers = {"traceparent": traceparent, "x-request-id": name}
            assert pool.request("GET", f"{server.url}/v1/server", headers=headers).status == 200
    logged = {entry["request_id"]: entry.get("trace_id") for entry in log.entries if entry.get("request_id") in sent}
    assert logged == {"valid": TRACE, "bad": None}


def test_what_a_thread_logs_names_its_request(tmp_path: Path, spec: dict[str, Any]) -> None:
    """A damaged table is found in a thread: its line in the log has the id of the request that wanted the table."""
    with ServerProcess(tmp_path / "data") as server, urllib3.PoolManager() as pool:
        digest = make(server, pool, spec)
        server.stop()
    file = next((tmp_path / "data" / "tables").rglob("*.safetensors"))
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(damaged)
    with logging_server(tmp_path, log_format="json") as (server, log):
        with urllib3.PoolManager(headers={"x-request-id": "mine"}) as pool:
            assert pool.request("GET", f"{server.url}/v1/tables/{digest}").status == 200
        assert numbers(server, "lrtables_damaged_total") == {("row",): 0, ("table",): 1}
    lines = [entry for entry in log.entries if digest in entry["message"]]
    assert {(entry["level"], entry["request_id"]) for entry in lines} == {("error", "mine")}


def test_no_secret_is_logged(tmp_path: Path) -> None:
    """A token that a client sends by mistake in its address is in no line."""
    token = "lrt_" + "aB3" * 8
    with (
        logging_server(tmp_path, log_format="json", log_level="debug") as (server, log),
        urllib3.PoolManager(headers={"authorization": f"Bearer {token}"}) as pool,
    ):
        assert pool.request("GET", f"{server.url}/v1/schedules/{token}?token={token}").status == 404
    assert any("/v1/schedules/***" in line for line in log.lines)
    assert not any(token in line for line in log.lines)
