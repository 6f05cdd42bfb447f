"""Requests with one deadline, against a server that misbehaves as told."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
import traceback
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from urllib3.exceptions import HTTPError

from client import (
    Client,
    ClientError,
    DeadlineExceededError,
    NotAllowedError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from client.http.connections import NotBegunError
from client.http.failures import translated
from client.http.transport import Part, Transport

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer, Seen


def request(url: str, *, deadline: float = 30.0, timeout: float = 10.0, body: bytes | None = None) -> bytes:
    transport = Transport(url, timeout=timeout)
    try:
        method = "GET" if body is None else "POST"
        parts = [] if body is None else [body]
        return bytes(transport.request(method, "/x", deadline=time.monotonic() + deadline, max_bytes=2**20, body=parts))
    finally:
        transport.close()


def says(scripted: ScriptedServer, *responses: Response) -> None:
    """Give these responses one after another, and the last one for ever."""
    left = list(responses)
    scripted.script = lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_a_request_carries_what_it_should(scripted: ScriptedServer, response: type[Response]) -> None:
    """A body goes out as JSON, the response is asked for uncompressed, and the client says who it is."""
    says(scripted, response(body=b"hello"))
    assert request(scripted.url + "/prefix/", body=b"{}") == b"hello"
    (seen,) = scripted.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/prefix/x", b"{}")
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Accept-Encoding"] == "identity"
    assert seen.headers["User-Agent"].startswith("lrtables/")


def test_a_body_goes_out_in_parts_under_its_whole_length(scripted: ScriptedServer, response: type[Response]) -> None:
    """Parts of a body are one body, whose length and media type are announced, on a second attempt too."""
    says(scripted, response(503), response(body=b"done"))
    parts: list[Part] = [b"head", memoryview(bytes(range(256)) * 10_000)]
    transport = Transport(scripted.url, timeout=10.0)
    transport.request("PUT", "/x", deadline=time.monotonic() + 30.0, max_bytes=100, body=parts, media_type="x/y")
    transport.close()
    assert [seen.body for seen in scripted.seen] == [b"".join(parts)] * 2
    assert scripted.seen[1].headers["Content-Type"] == "x/y"
    assert scripted.seen[1].headers["Content-Length"] == str(4 + 2_560_000)
    assert "Transfer-Encoding" not in scripted.seen[1].headers


def test_a_body_that_nobody_takes_exceeds_the_deadline() -> None:
    """A service that takes too little of a large body is a TimeoutError when the deadline comes, not later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = Transport(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)
        with pytest.raises(
            DeadlineExceededError,
            match=r"PUT .*/x was not answered in time .*not all of the request was sent.* after \d attempt",
        ):
            transport.request("PUT", "/x", deadline=time.monotonic() + 0.5, max_bytes=100, body=[bytes(2**26)])
        transport.close()


@pytest.mark.parametrize(("token", "header"), [(None, None), ("lrt_secret", "Bearer lrt_secret")])
def test_a_token_goes_with_every_request(
    scripted: ScriptedServer, response: type[Response], token: str | None, header: str | None
) -> None:
    """A token is sent as RFC 6750 says; without one, no Authorization header is."""
    says(scripted, response(503), response())
    transport = Transport(scripted.url, timeout=10.0, token=token)
    transport.request("GET", "/x", deadline=time.monotonic() + 30.0, max_bytes=100)
    transport.request("POST", "/x", deadline=time.monotonic() + 30.0, max_bytes=100, body=[b"{}"])
    transport.close()
    assert [seen.headers.get("Authorization") for seen in scripted.seen] == [header] * 3


@pytest.mark.parametrize("token", ["", "lrt_a b", "lrt_secret\n", "lrt_s\u00e9cret", "lrt_\x00", 5])
def test_a_token_that_no_header_can_hold_is_refused(token: Any) -> None:
    """A token that is not one printable word is refused at once, and the error does not contain it."""
    with pytest.raises(ValueError, match=r"^token \(or LRTABLES_TOKEN\) must be printable ASCII .*; it is not$"):
        Transport("http://127.0.0.1:9", timeout=1.0, token=token)


@pytest.mark.parametrize(
    ("status", "token"), [(401, None), (401, "lrt_secret"), (403, "lrt_secret"), (302, "lrt_secret")]
)
def test_no_error_shows_the_token(
    scripted: ScriptedServer,
    response: type[Response],
    caplog: pytest.LogCaptureFixture,
    status: int,
    token: str | None,
) -> None:
    """A token stands in no error, log or repr, and is not sent where a redirect points to."""
    caplog.set_level(logging.DEBUG)
    says(scripted, response(503), response(status, headers={"Location": scripted.url + "/elsewhere"}))
    transport = Transport(scripted.url, timeout=10.0, token=token)
    with pytest.raises(RequestRefusedError, match=f"answered {status}") as caught:
        transport.request("GET", "/x", deadline=time.monotonic() + 30.0, max_bytes=100)
    transport.close()
    assert isinstance(caught.value, NotAllowedError) == (status in (401, 403))
    assert [seen.path for seen in scripted.seen] == ["/x"] * 2
    said = "".join([str(caught.value), repr(caught.value), repr(transport), caplog.text, repr(caught.value.__dict__)])
    assert "secret" not in said
    assert "trying again" in caplog.text


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again(scripted: ScriptedServer, response: type[Response], status: int) -> None:
    """429 and 503 are tried again until there is a response."""
    says(scripted, response(status), response(status), response(body=b"at last"))
    assert request(scripted.url) == b"at last"
    assert len(scripted.seen) == 3


@pytest.mark.parametrize("status", [301, 400, 404, 422, 500, 502, 504])
def test_other_errors_are_final(scripted: ScriptedServer, response: type[Response], status: int) -> None:
    """Every other error is raised at once: the same request would fail in the same way."""
    says(scripted, response(status, headers={"Location": "/elsewhere"}))
    with pytest.raises(RequestRefusedError, match=f"answered {status}"):
        request(scripted.url)
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("wait", ["1", "date"])
def test_retry_after_is_honoured(scripted: ScriptedServer, response: type[Response], wait: str) -> None:
    """The next attempt comes no sooner than the service asked for, in seconds or as a date."""
    header = wait if wait == "1" else formatdate(time.time() + 2, usegmt=True)
    says(scripted, response(503, headers={"Retry-After": header}), response())
    request(scripted.url)
    first, second = scripted.seen
    assert second.at - first.at >= (1 if wait == "1" else 0.9)


def test_a_garbled_retry_after_hides_nothing(scripted: ScriptedServer, response: type[Response]) -> None:
    """A Retry-After that is neither seconds nor a date does not get in the way of the response or the next attempt."""
    says(scripted, response(503, headers={"Retry-After": "soon"}), response(404, headers={"Retry-After": "soon"}))
    with pytest.raises(RequestRefusedError, match="answered 404"):
        request(scripted.url)


def test_a_wait_beyond_the_deadline_is_not_begun(scripted: ScriptedServer, response: type[Response]) -> None:
    """Where the service asks for more patience than the deadline leaves, the error comes at once."""
    says(scripted, response(503, headers={"Retry-After": "3600"}))
    with pytest.raises(DeadlineExceededError, match=r"answered 503.* after 1 attempt") as caught:
        request(scripted.url)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value.__cause__, RequestRefusedError)
    assert len(scripted.seen) == 1


def test_a_lost_connection_is_made_again(scripted: ScriptedServer, response: type[Response]) -> None:
    """A connection that breaks before or in the middle of the response is made again."""
    says(scripted, response(hang_up=True), response(body=b"half", length=8), response(body=b"all"))
    assert request(scripted.url) == b"all"
    assert len(scripted.seen) == 3


def test_a_service_that_is_away_is_unreachable(free_port: int) -> None:
    """Nobody at the address is a ConnectionError that names it, after as many attempts as the deadline allows."""
    with pytest.raises(ServiceUnreachableError, match=f"http://127.0.0.1:{free_port}/x failed: .*refused") as caught:
        request(f"http://127.0.0.1:{free_port}", deadline=0.3)
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value.__cause__, ServiceUnreachableError)
    assert isinstance(caught.value.__cause__.__cause__, OSError)


def test_a_service_that_comes_up_late_is_reached(response: type[Response], scripted: ScriptedServer) -> None:
    """A job may start before its server: it waits."""
    says(scripted, response(body=b"up"))
    port = scripted.server_port
    scripted.shutdown()
    scripted.server_close()
    late = type(scripted)(port)
    late.script = scripted.script
    timer = threading.Timer(0.3, late.serve_forever, args=(0.01,))
    timer.start()
    assert request(f"http://127.0.0.1:{port}") == b"up"
    late.shutdown()
    timer.join()
    late.server_close()


def test_a_silent_service_exceeds_the_deadline(scripted: ScriptedServer, response: type[Response]) -> None:
    """A service that takes the request and does not answer is a TimeoutError when the deadline comes."""
    done = threading.Event()

    def silent(_: Seen) -> Response:
        done.wait(20)
        return response()

    scripted.script = silent
    with pytest.raises(DeadlineExceededError, match=r"GET .*/x was not answered in time .*attempt"):
        request(scripted.url, deadline=0.4, timeout=0.1)
    done.set()
    assert len(scripted.seen) > 1


def test_a_trickle_exceeds_the_deadline(scripted: ScriptedServer, response: type[Response]) -> None:
    """The deadline also ends a response whose bytes keep coming, but too slowly."""
    says(scripted, response(body=bytes(30), pause=0.1))
    with pytest.raises(DeadlineExceededError, match=r"in time \(\d+ bytes of the response had come\)"):
        request(scripted.url, deadline=0.5)


def test_the_jitter_leaves_the_random_sequence_alone(scripted: ScriptedServer, response: type[Response]) -> None:
    """Retries use no number of the generator that training scripts seed."""
    says(scripted, response(503), response())
    before = random.getstate()
    request(scripted.url)
    assert random.getstate() == before


@pytest.mark.parametrize(
    "url",
    [
        *["", "localhost:8000", "ftp://host", "http://", "http://[", "http://host/?a=b", "http://h#f", "http://h?"],
        *["http://h:99999", "http://h h", " http://h", "http://h\n", "http://h/a\r\nX: y", "http://h\0", "http://h\\x"],
        *["http://h\ud800", "http://b\u00fccher.example", "http://h/\x7f"],
        *[None, b"http://h"],
    ],
    ids=ascii,
)
def test_a_base_url_that_is_none_is_refused(url: Any) -> None:
    """A base URL without http or host, with a query, or with what no plain URL holds, is refused with its value."""
    with pytest.raises(ValueError, match=r"base_url must be like 'http://127.0.0.1:8000', got "):
        Transport(url, timeout=1.0)


@pytest.mark.parametrize(
    "url",
    [
        *["http://user:secret@host", "https://user:secret@host:8000/x", "http://:secret@host", "http://secret@host"],
        *["ftp://user:secret@host", "user:secret@host:80", "http://u:sec/secret@host", "http://u:secret@h?x"],
        *["http://u:secret\n@h", "http://u:secret@", "//u:secret@h", "HTTP://U:secret@h"],
    ],
    ids=ascii,
)
def test_a_password_in_the_address_is_refused_and_not_shown(url: str) -> None:
    """A name or password in the base URL is refused by an error that shows neither, whatever else is wrong with it."""
    with pytest.raises(ValueError, match=r"base_url must hold no '@'.* token=") as caught:
        Client(url)
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert (
        "secret"
        not in f"{caught.value}{caught.value!r}{[each for each in shown.splitlines() if 'Client(' not in each]}"
    )


def subclasses(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(each for child in kind.__subclasses__() for each in subclasses(child))]


@pytest.mark.parametrize("kind", sorted(set(subclasses(HTTPError)), key=str))
def test_every_error_of_urllib3_becomes_ours(kind: type[HTTPError]) -> None:
    """No error of urllib3 reaches the user, and the original is its cause."""
    error = kind.__new__(kind)
    error.args = ("pool: reason",)
    vars(error).update(partial=1, expected=2, length=b"1")  # what some of them print
    with pytest.raises(ClientError, match="GET http://h/x") as caught, translated("GET", "http://h/x"):
        raise error
    assert caught.value.__cause__ is error


def test_an_attempt_without_time_does_not_hide_why_the_one_before_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the deadline comes before an attempt begins, the error is that of the last one that was made."""
    not_begun = DeadlineExceededError("nothing was tried")
    not_begun.__cause__ = NotBegunError()
    errors: list[ClientError] = [RequestRefusedError("http://h/x", 503, b"")]

    def attempt(*_: object) -> bytearray:
        raise errors.pop() if errors else not_begun

    transport = Transport("http://127.0.0.1:9", timeout=10.0)
    monkeypatch.setattr(transport, "_attempt", attempt)
    with pytest.raises(DeadlineExceededError, match=r"answered 503.* after \d+ attempt"):
        transport.request("GET", "/x", deadline=time.monotonic() + 0.3, max_bytes=100)
