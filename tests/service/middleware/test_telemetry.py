"""Requests are observed, and answered as they would be without."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.request_id import REQUEST_ID, current
from service.http.waiting import waiting
from service.middleware.telemetry import RequestRecorder, Telemetry
from service.observability.metrics import Metrics
from service.routes.registry import ROUTES
from tests.support.metrics import samples

HEADERS = ((b"etag", b'"a"'),)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def observing(app: ASGIApp, metrics: Metrics | None = None) -> Telemetry:
    """The application, observed: counted in these metrics."""
    return Telemetry(app, RequestRecorder(Metrics() if metrics is None else metrics, ROUTES))


def ask(app: ASGIApp, *headers: tuple[bytes, bytes], method: str = "GET", path: str = "/livez") -> list[Message]:
    """What an application sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    asyncio.run(_run(app, scope, send))
    return sent


async def _run(app: ASGIApp, scope: Scope, send: Send) -> None:
    await app(scope, _nothing, send)


def answering(status: int, *bodies: bytes) -> ASGIApp:
    """An application that answers everything so."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": HEADERS})
        for body in bodies:
            await send({"type": "http.response.body", "body": memoryview(body), "more_body": True})
        await send({"type": "http.response.body"})

    return app


def ids(sent: Sequence[Message]) -> list[bytes]:
    return [value for name, value in sent[0]["headers"] if name == b"x-request-id"]


def observed(metrics: Metrics) -> list[tuple[str, str, str, float]]:
    """Each kind of request that was counted, and the bytes of its responses."""
    name = "lrtables_http_response_bytes_total"
    found = [(dict(labels), value) for (sample, labels), value in samples(metrics).items() if sample == name]
    return [(labels["method"], labels["route"], labels["status"], value) for labels, value in found]


def test_an_answer_is_as_before_but_for_the_id() -> None:
    """Status, headers and body go through as they are; the request's id is added, once."""
    app = observing(answering(200, b"abc", b"de"))
    for _ in range(2):
        start, *bodies = ask(app, (b"x-request-id", b"mine"))
        assert (start["status"], start["headers"]) == (200, [*HEADERS, (b"x-request-id", b"mine")])
        assert b"".join(message.get("body", b"") for message in bodies) == b"abcde"


def test_requests_without_an_id_get_one() -> None:
    """Each response names the id that its request was given."""
    app = observing(answering(304))
    first, second = ids(ask(app)), ids(ask(app, (b"x-request-id", b"not one")))
    assert first != second
    assert all(re.fullmatch(rb"[0-9a-f]{8}-\d+", value) for value in first + second)


def test_requests_are_observed() -> None:
    """A response is counted with its method, route, status and size."""
    metrics = Metrics()
    ask(observing(answering(200, b"abc", b"de"), metrics), path="/v1/server")
    ask(observing(answering(304), metrics), path=f"/v1/tables/{'0' * 64}")
    assert observed(metrics) == [("GET", "/v1/server", "200", 5), ("GET", "/v1/tables/{digest}", "304", 0)]


def test_a_failure_is_observed() -> None:
    """What ends in an exception before anything was sent is counted as the 500 that the server then sends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    metrics = Metrics()
    with pytest.raises(ValueError, match="broken"):
        ask(observing(app, metrics))
    assert observed(metrics) == [("GET", "/livez", "500", 0)]


def test_a_break_in_the_middle_is_observed() -> None:
    """What ends in an exception while the body is sent is counted as far as it came."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ValueError("broken")

    metrics = Metrics()
    with pytest.raises(ValueError, match="broken"):
        ask(observing(app, metrics))
    assert observed(metrics) == [("GET", "/livez", "200", 3)]


def test_the_request_is_known_wherever_it_is_worked_for() -> None:
    """The application, and tasks that it starts, know which request they work for."""
    seen: list[Any] = []

    async def look() -> None:
        scope = current.get()
        seen.append(None if scope is None else scope[REQUEST_ID])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope[REQUEST_ID])
        await asyncio.create_task(look())

    ask(observing(app), (b"x-request-id", b"mine"))
    assert seen == ["mine", "mine"]


def test_the_lifespan_is_no_request() -> None:
    """What is no HTTP request goes to the application untouched."""
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def send(message: Message) -> None:
        raise AssertionError

    metrics = Metrics()
    scope: Scope = {"type": "lifespan"}
    asyncio.run(_run(observing(app, metrics), scope, send))
    assert seen == [({"type": "lifespan"}, _nothing, send)]
    assert observed(metrics) == []


@pytest.mark.parametrize("is_over", [True, False])
def test_waiting_for_changes_is_not_slow(monkeypatch: pytest.MonkeyPatch, *, is_over: bool) -> None:
    """The time for which a request waited, or still waits, counts in no duration."""
    monkeypatch.setattr("service.http.waiting.perf_counter", partial(next, count(step=1000)))  # each look is later
    metrics = Metrics()

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        waits.enter_context(waiting(scope))
        if is_over:
            waits.close()
        await answering(200, b"a")(scope, receive, send)

    with ExitStack() as waits:
        ask(observing(patient, metrics))
    found = {name: value for (name, _), value in samples(metrics).items()}
    assert found["lrtables_http_request_seconds_count"] == 1
    assert found["lrtables_http_request_seconds_sum"] == 0
