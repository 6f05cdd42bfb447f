"""What memory holds, given to connections: found, admitted, counted and logged as the application does it."""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from service.app import assemble, open_server
from service.database.tokens import TokenRow
from service.observability.logs import JsonLines
from service.security.tokens import make_token, token_hash
from service.server.fast_path import FastPath
from service.settings import Settings
from service.state import ServerState
from service.workers.pool import Workers

PATHS = ["", ".safetensors", ".npy", "/manifest"]
CLIENT = "testclient"  # what starlette's client is called
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Served(NamedTuple):
    """A server with a short table in memory: its application, and its fast path."""

    server: ServerState
    client: TestClient
    fast_path: FastPath
    table: str

    def etag(self, rest: str) -> str:
        """The entity tag of what is at this address."""
        tag: str = self.client.get(self.table + rest).headers["etag"]
        return tag

    def fast(self, rest: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        """The status, headers and body that the fast path gives."""
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        found = self.fast_path.try_fast_response(self.table + rest, pairs, CLIENT)
        if found is None:
            return None
        first, *lines = found[0].decode().removesuffix("\r\n").split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), bytes(found[1])


@contextmanager
def serving(
    folder: Path, workers: Workers, spec: Mapping[str, Any], scopes: tuple[str, ...] = (), **limits: float
) -> Iterator[Served]:
    """A server that asks for tokens where there are scopes; its client has a token with those and with these limits."""
    server = open_server(Settings(data_dir=folder, require_tokens=bool(scopes)), workers)
    application = assemble(server)
    headers = {"Authorization": f"Bearer {add_token(server, scopes, limits)}"} if scopes else {}
    with TestClient(application.asgi, headers=headers) as client:
        location = client.post("/v1/tables", json=spec).headers["location"]
        yield Served(server, client, application.fast_path, location)


def add_token(server: ServerState, scopes: tuple[str, ...], limits: Mapping[str, float]) -> str:
    """The text of a new token."""
    text = make_token()
    row = TokenRow(f"id-{scopes[0]}", "name", token_hash(text), list(scopes), ["*"], dict(limits), 0.0, None, None)
    server.metadata.tokens.add(row)
    return text


@pytest.fixture
def served(tmp_path: Path, workers: Workers, spec: dict[str, Any]) -> Iterator[Served]:
    with serving(tmp_path, workers, spec) as found:
        yield found


def plain(answer: Response) -> dict[str, str]:
    """The headers of a response, without what the server adds to any."""
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


@pytest.mark.parametrize("rest", PATHS)
@pytest.mark.parametrize("known", [False, True])
def test_the_response_is_the_applications(served: Served, rest: str, known: bool) -> None:
    """Status, headers and body are those of the application; the id is there where the request has one."""
    headers = {"X-Request-ID": "mine", "Accept": "application/x-npy, */*;q=0.5"}
    if known:
        headers["If-None-Match"] = served.client.get(served.table + rest, headers=headers).headers["etag"]
    answer = served.client.get(served.table + rest, headers=headers)
    assert answer.status_code == (304 if known else 200)
    assert served.fast(rest, headers) == (answer.status_code, dict(answer.headers), answer.content)
    del headers["X-Request-ID"]
    assert served.fast(rest, headers) == (answer.status_code, plain(answer), answer.content)


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-3"},
        {"If-None-Match": "*"},
        {"If-Match": '"other"'},
        {"Content-Length": "3"},
        {"Transfer-Encoding": "chunked"},
        {"X-Request-ID": "not one"},
        {"X-Request-ID": ""},
    ],
    ids=str,
)
def test_what_is_not_plain_is_the_applications(served: Served, headers: dict[str, str]) -> None:
    """A request with conditions, a body, or an id that is none, goes the ordinary way."""
    assert served.fast("/manifest", {}) is not None
    assert served.fast("/manifest", headers) is None


def test_several_ids_are_not_plain(served: Served) -> None:
    """Which of several ids is the request's is for the application to say."""
    ids = [(b"x-request-id", b"a"), (b"x-request-id", b"b")]
    assert served.fast_path.try_fast_response(f"{served.table}/manifest", ids, CLIENT) is None


@pytest.mark.parametrize("rest", ["?x=1", "/values", ".csv", ".json", "x", "/", "%2enpy"])
def test_only_what_is_in_memory_is_given(served: Served, rest: str) -> None:
    """What has to be written, decoded or refused goes the ordinary way."""
    assert served.fast(rest, {}) is None


@pytest.mark.parametrize(("steps", "is_short"), [(2**11 - 16, True), (2**11 - 15, False)])
def test_a_long_body_is_sent_by_the_application(tmp_path: Path, workers: Workers, steps: int, is_short: bool) -> None:
    """A body of more than 16 KiB is sent piece by piece; that the client has it already is short all the same."""
    schedule = {"kind": "custom.LinearWarmup", "base_lr": 1.0, "warmup_steps": 8}
    with serving(tmp_path, workers, {"schedule": schedule, "total_steps": steps}) as served:
        assert (served.fast(".npy", {}) is not None) is is_short
        assert served.fast(".npy", {"If-None-Match": served.etag(".npy")}) is not None


def test_requests_are_counted_alike(served: Served) -> None:
    """Requests, bytes and hits are counted by route and status, whichever way they take."""

    def metrics() -> list[str]:
        lines = served.client.get("/metrics").text.splitlines()
        names = ("lrtables_http_requests_total", "lrtables_http_response_bytes_total", "lrtables_cache_hits_total")
        return sorted(line for line in lines if line.startswith(names) and "/metrics" not in line)

    requests = [(rest, headers) for rest in PATHS for headers in ({}, {"If-None-Match": served.etag(rest)})]
    requests += [("/manifest", {"X-Request-ID": "mine"})]
    grown = []
    for ask in (served.fast, lambda rest, headers: served.client.get(served.table + rest, headers=headers)):
        before = numbers(metrics())
        for rest, headers in requests:
            assert ask(rest, headers) is not None
        grown.append({name: value - before.get(name, 0) for name, value in numbers(metrics()).items()})
    assert grown[0] == grown[1]
    assert grown[0]["lrtables_cache_hits_total"] == len(requests)


def numbers(lines: list[str]) -> dict[str, float]:
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@contextmanager
def lines_of_the_log() -> Iterator[list[dict[str, Any]]]:
    """What is logged at `info` inside of the block, as JSON."""
    logger, stream = logging.getLogger("lrtables"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    level, found = logger.level, list[dict[str, Any]]()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield found
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        found += map(json.loads, stream.getvalue().splitlines())


@pytest.mark.parametrize("scopes", [(), ("read", "compute")], ids=["open", "tokens"])
def test_a_request_has_the_same_line_in_the_log(
    tmp_path: Path, workers: Workers, spec: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    """At `info` the fast path answers too, and logs the same line: id, trace, token, client, route, status, bytes."""
    asked = {"X-Request-ID": "mine", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    with lines_of_the_log() as lines, serving(tmp_path, workers, spec, scopes) as served:
        headers = {**asked, **{name: value for name, value in served.client.headers.items() if name == "authorization"}}
        for rest in PATHS:
            for asked in (headers, {**headers, "If-None-Match": served.etag(rest)}):
                served.client.get(served.table + rest, headers=asked)
                assert served.fast(rest, asked) is not None
    mine = [line for line in lines if line.get("request_id") == "mine"]
    for line in mine:
        assert line["seconds"] > 0
        assert line["message"].endswith(f" {line.pop('seconds'):g} s")
        line["message"] = line["message"].rpartition(" in ")[0]
        del line["time"]
    assert len(mine) == 4 * len(PATHS)
    assert mine[::2] == mine[1::2]
    assert {(line["trace_id"], line["client"]) for line in mine} == {(TRACE, CLIENT)}
    assert {line["token_id"] for line in mine} == {"id-read" if scopes else ""}


def test_each_line_names_the_id_that_was_sent(tmp_path: Path, workers: Workers, spec: dict[str, Any]) -> None:
    """Where requests are logged, a response has the id of its line, made by the server if the request has none."""
    with lines_of_the_log() as lines, serving(tmp_path, workers, spec) as served:
        found = [served.fast("/manifest", {}) for _ in range(3)]
    ids = [headers["x-request-id"] for _, headers, _ in filter(None, found)]
    assert len(set(ids)) == 3
    assert [line["request_id"] for line in lines[-3:]] == ids


def test_a_known_token_is_let_through(tmp_path: Path, workers: Workers, spec: dict[str, Any]) -> None:
    """A table in memory is given to a token that may read and was checked a moment ago, for no shared cache."""
    with serving(tmp_path, workers, spec, ("read", "compute")) as served:
        bearer = {"Authorization": served.client.headers["authorization"]}
        found = served.fast("/manifest", bearer)
        assert found is not None
        assert found[1] == plain(served.client.get(f"{served.table}/manifest"))
        assert found[1]["cache-control"].startswith("private")
        assert served.fast("/manifest", {"Authorization": "Bearer no"}) is None
        assert served.fast("/manifest", {}) is None


@pytest.mark.parametrize(
    ("scopes", "limits", "status"),
    [
        pytest.param(("compute",), {}, 403, id="may not read"),
        pytest.param(("read", "compute"), {"requests_per_second": 1000.0}, 200, id="is counted"),
        pytest.param(("read", "compute"), {"bytes_per_second": 1e9}, 200, id="is charged"),
    ],
)
def test_other_tokens_are_the_applications(
    tmp_path: Path,
    workers: Workers,
    spec: dict[str, Any],
    scopes: tuple[str, ...],
    limits: dict[str, float],
    status: int,
) -> None:
    """A token that may not read is refused by the application, and one with rates is charged there."""
    with serving(tmp_path, workers, spec, scopes, **limits) as served:
        assert served.client.get(f"{served.table}/manifest").status_code == status
        assert served.fast("/manifest", {"Authorization": served.client.headers["authorization"]}) is None
