"""What a caller says about a request: whether it may be repeated, which statuses it takes, and a token that changes."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    NotAllowedError,
    OutcomeUnknownError,
    RequestRefusedError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from client.http.responses import Response as Received
from client.http.retries import RetryBudget
from client.http.transport import Transport

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer


def send(transport: Transport, method: str = "PUT", **arguments: Any) -> Received:
    given = {"deadline": time.monotonic() + 30.0, "max_bytes": 2**20, "body": [b"{}"], **arguments}
    return transport.send(method, "/x", **given)


def says(scripted: ScriptedServer, *responses: Response) -> None:
    """Give these responses one after another, and the last one for ever."""
    left = list(responses)
    scripted.script = lambda _: left.pop(0) if len(left) > 1 else left[0]


# -- status and headers -----------------------------------------------------------------------------------------------


def test_a_response_has_status_headers_and_body(scripted: ScriptedServer, response: type[Response]) -> None:
    """A caller gets the status, the entity tag and the JSON, and its own headers are sent."""
    says(scripted, response(201, b'{"version": 3}', {"ETag": '"v3"'}))
    transport = Transport(scripted.url, timeout=10.0)
    found = send(transport, headers={"If-Match": '"v2"'})
    transport.close()
    assert (found.status, found.etag, found.headers["etag"]) == (201, '"v3"', '"v3"')
    assert found.json_object() == {"version": 3}
    assert scripted.seen[0].headers["If-Match"] == '"v2"'


def test_a_status_that_is_asked_for_is_returned(scripted: ScriptedServer, response: type[Response]) -> None:
    """A 304 or 412 is a response where the caller says so, and an error where it does not."""
    transport = Transport(scripted.url, timeout=10.0)
    for status in (304, 412):
        says(scripted, response(status, b"" if status == 304 else b"{}"))
        assert send(transport, returned=(304, 412)).status == status
        with pytest.raises(RequestRefusedError, match=f"answered {status}"):
            send(transport)
    transport.close()


def test_a_body_that_is_no_object_is_refused(scripted: ScriptedServer, response: type[Response]) -> None:
    """A body that is no JSON object is an error that shows its start."""
    says(scripted, response(body=b"[1, 2]"))
    transport = Transport(scripted.url, timeout=10.0)
    with pytest.raises(UnexpectedResponseError, match=r"did not answer with a JSON object, but with b'\[1, 2\]'"):
        send(transport).json_object()
    transport.close()


@pytest.mark.parametrize(
    ("body", "kind"), [(b"<!DOCTYPE html><p>Log in</p>", "application/json"), (b"Log in", "text/html; charset=utf-8")]
)
def test_a_web_page_is_no_response(scripted: ScriptedServer, response: type[Response], body: bytes, kind: str) -> None:
    """A page of a proxy or a captive portal is an error that says what it is, by its type or its start."""
    says(scripted, response(body=body, headers={"Content-Type": kind}))
    transport = Transport(scripted.url, timeout=10.0)
    for method in ("GET", "PUT"):
        with pytest.raises(
            UnexpectedResponseError, match=r"it is an HTML page, not data: .* a proxy or the log-in page"
        ):
            send(transport, method)
    transport.close()


@pytest.mark.parametrize("status", [302, 403, 407, 511])
def test_a_web_page_with_an_error_is_told(scripted: ScriptedServer, response: type[Response], status: int) -> None:
    """Where a proxy or a captive portal refuses with a page, the error says so, and keeps the status."""
    says(scripted, response(status, body=b"\n<html><body>Please log in</body></html>"))
    transport = Transport(scripted.url, timeout=10.0)
    with pytest.raises(RequestRefusedError, match=f"answered {status}: no reason given, but an HTML page: something"):
        send(transport)
    transport.close()


# -- what must not be repeated ----------------------------------------------------------------------------------------


def test_a_lost_answer_is_not_asked_for_again(scripted: ScriptedServer, response: type[Response]) -> None:
    """A change whose answer was lost is sent once, and the error says that its outcome is unknown."""
    says(scripted, response(hang_up=True))
    transport = Transport(scripted.url, timeout=10.0)
    with pytest.raises(OutcomeUnknownError, match=r"PUT /x may or may not have taken effect: read before") as caught:
        send(transport, repeatable=False)
    transport.close()
    assert len(scripted.seen) == 1
    assert isinstance(caught.value.__cause__, ServiceUnreachableError)


@pytest.mark.parametrize(
    ("status", "code", "times"), [(429, "", 2), (503, "queue-full", 2), (503, "", 1), (502, "", 1)]
)
def test_a_change_is_repeated_only_where_it_was_turned_away(
    scripted: ScriptedServer, response: type[Response], status: int, code: str, times: int
) -> None:
    """A 429, and a 503 of a service that has not begun, are tried again; what a proxy may have said is not."""
    says(scripted, response(status, json.dumps({"code": code}).encode()), response(body=b"{}"))
    transport = Transport(scripted.url, timeout=10.0)
    if times == 1:
        with pytest.raises(OutcomeUnknownError, match=f"answered {status}"):
            send(transport, repeatable=False)
    else:
        assert send(transport, repeatable=False).status == 200
    transport.close()
    assert len(scripted.seen) == times


def test_a_change_waits_for_a_service_that_is_not_there_yet(scripted: ScriptedServer, response: type[Response]) -> None:
    """A connection that was refused carried nothing, so a change is tried again."""
    says(scripted, response(body=b"{}"))
    port = scripted.server_port
    scripted.shutdown()
    scripted.server_close()
    servers: list[ScriptedServer] = []

    def start() -> None:
        servers.append(type(scripted)(port))
        servers[0].script = scripted.script
        servers[0].serve_forever(0.01)

    timer = threading.Timer(0.3, start)
    timer.start()
    transport = Transport(f"http://127.0.0.1:{port}", timeout=10.0)
    assert send(transport, repeatable=False).status == 200
    transport.close()
    servers[0].shutdown()
    timer.join()
    servers[0].server_close()


def test_a_change_never_goes_out_on_a_used_connection(scripted: ScriptedServer, response: type[Response]) -> None:
    """An idle connection may be closed by the service at any time; what must not be repeated gets a new one."""
    says(scripted, response(body=b"{}"))
    accepted: list[Any] = []
    real = scripted.get_request

    def counted() -> Any:
        accepted.append(1)
        return real()

    scripted.get_request = counted  # type: ignore[method-assign]  # counted where it is accepted
    transport = Transport(scripted.url, timeout=10.0)
    send(transport)
    send(transport)
    assert len(accepted) == 1
    send(transport, repeatable=False)
    assert len(accepted) == 2
    transport.close()


# -- refused or slow --------------------------------------------------------------------------------------------------


def test_a_refused_connection_has_a_patience_of_its_own(free_port: int) -> None:
    """Where nobody listens, a call ends after `refused_patience`, long before its deadline, and says so."""
    transport = Transport(f"http://127.0.0.1:{free_port}", timeout=10.0, refused_patience=0.3)
    began = time.monotonic()
    with pytest.raises(ServiceUnreachableError, match=r"refused for the 0\.3 s of refused_patience, in \d+ attempt"):
        send(transport, deadline=began + 600.0)
    assert time.monotonic() - began < 60.0


def test_a_service_that_never_answered_is_waited_for_shortly(
    free_port: int, monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer
) -> None:
    """A wrong address fails soon, and the error says what to check; a service that answered before gets longer."""
    monkeypatch.setattr("client.http.transport.START_PATIENCE", 0.2)
    monkeypatch.setattr("client.http.transport.REFUSED_PATIENCE", 0.4)
    with pytest.raises(ServiceUnreachableError, match=r"refused for the 0\.2 s .*; nobody listens there: check the ad"):
        send(Transport(f"http://127.0.0.1:{free_port}", timeout=10.0))
    transport = Transport(scripted.url, timeout=10.0)
    send(transport)
    scripted.shutdown()
    scripted.server_close()
    transport.close()
    with pytest.raises(
        ServiceUnreachableError, match=r"refused for the 0\.4 s of refused_patience, in \d+ attempts?\)\n"
    ):
        send(transport)


def test_a_slow_service_is_waited_for_until_the_deadline() -> None:
    """A machine that accepts and says nothing is not refused: only the deadline ends the call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = Transport(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.1, refused_patience=0.01)
        with pytest.raises(TimeoutError, match="the deadline came after"):
            send(transport, deadline=time.monotonic() + 0.6)


def test_a_budget_is_spent_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten attempts may be repeated at once; after that, one more for every six seconds."""
    now = [1000.0]
    monkeypatch.setattr("client.http.retries.time.monotonic", lambda: now[0])
    budget = RetryBudget()
    assert [budget.take() for _ in range(12)] == [True] * 10 + [False] * 2
    now[0] += RetryBudget.SECONDS
    assert [budget.take(), budget.take()] == [True, False]
    now[0] += 3600.0
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


# -- a token that changes ---------------------------------------------------------------------------------------------


def needs(scripted: ScriptedServer, response: type[Response], token: str) -> None:
    scripted.script = lambda seen: response(200 if seen.headers.get("Authorization") == f"Bearer {token}" else 401)


@pytest.mark.parametrize("way", ["file", "variable", "function"])
def test_a_token_that_was_replaced_is_read_again(
    scripted: ScriptedServer,
    response: type[Response],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    way: str,
) -> None:
    """After a 401 the token is read anew from where it came, and the request goes out with it."""
    monkeypatch.delenv("LRTABLES_TOKEN", raising=False)
    file = tmp_path / "token"
    current = ["lrt_old"]

    def put(token: str) -> None:
        current[0] = token
        if way == "file":
            file.write_text(token + "\n")
            monkeypatch.setenv("LRTABLES_TOKEN_FILE", str(file))
        elif way == "variable":
            monkeypatch.setenv("LRTABLES_TOKEN", token)

    put("lrt_old")
    transport = Transport(scripted.url, timeout=10.0, token=(lambda: current[0]) if way == "function" else None)
    needs(scripted, response, "lrt_old")
    send(transport)
    put("lrt_new")
    needs(scripted, response, "lrt_new")
    send(transport)
    transport.close()
    sent = [seen.headers["Authorization"].removeprefix("Bearer ") for seen in scripted.seen]
    assert sent == ["lrt_old", "lrt_old", "lrt_new"]


@pytest.mark.parametrize("fresh", ["lrt_a", "lrt_b"])
def test_a_token_that_is_refused_again_is_an_error(
    scripted: ScriptedServer, response: type[Response], fresh: str
) -> None:
    """The token is read again once a call; one that has not changed is not sent twice."""
    says(scripted, response(401))
    tokens = iter(["lrt_a", fresh, "lrt_c"])
    transport = Transport(scripted.url, timeout=10.0, token=lambda: next(tokens))
    with pytest.raises(NotAllowedError, match="answered 401"):
        send(transport)
    transport.close()
    assert len(scripted.seen) == (1 if fresh == "lrt_a" else 2)


def test_a_token_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token file that cannot be read is an error at construction that names the variable and the file."""
    monkeypatch.delenv("LRTABLES_TOKEN", raising=False)
    monkeypatch.setenv("LRTABLES_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"LRTABLES_TOKEN_FILE cannot be read: .*none"):
        Transport("http://127.0.0.1:9", timeout=1.0)
