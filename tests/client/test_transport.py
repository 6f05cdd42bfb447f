"""Requests with one deadline, against a server that misbehaves as told."""

from __future__ import annotations

import random
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from urllib3.exceptions import HTTPError

from client import ClientError, DeadlineExceededError, RequestRefusedError, ServiceUnreachableError
from client.transport import Transport, _translated

if TYPE_CHECKING:
    from tests.client.conftest import Answer, ScriptedServer, Seen


def request(url: str, *, deadline: float = 30.0, timeout: float = 10.0, body: bytes | None = None) -> bytes:
    transport = Transport(url, timeout=timeout)
    try:
        method = "GET" if body is None else "POST"
        return bytes(transport.request(method, "/x", until=time.monotonic() + deadline, body=body))
    finally:
        transport.close()


def says(scripted: ScriptedServer, *answers: Answer) -> None:
    """Give these answers one after another, and the last one for ever."""
    left = list(answers)
    scripted.script = lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_a_request_carries_what_it_should(scripted: ScriptedServer, answer: type[Answer]) -> None:
    """A body goes out as JSON, the answer is asked for uncompressed, and the client says who it is."""
    says(scripted, answer(body=b"hello"))
    assert request(scripted.url + "/prefix/", body=b"{}") == b"hello"
    (seen,) = scripted.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/prefix/x", b"{}")
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Accept-Encoding"] == "identity"
    assert seen.headers["User-Agent"].startswith("lrtables/")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again(scripted: ScriptedServer, answer: type[Answer], status: int) -> None:
    """429 and 503 are tried again until there is an answer."""
    says(scripted, answer(status), answer(status), answer(body=b"at last"))
    assert request(scripted.url) == b"at last"
    assert len(scripted.seen) == 3


@pytest.mark.parametrize("status", [301, 400, 404, 422, 500, 502, 504])
def test_other_errors_are_final(scripted: ScriptedServer, answer: type[Answer], status: int) -> None:
    """Every other error is raised at once: the same request would fail in the same way."""
    says(scripted, answer(status, headers={"Location": "/elsewhere"}))
    with pytest.raises(RequestRefusedError, match=f"answered {status}"):
        request(scripted.url)
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("wait", ["1", "date"])
def test_retry_after_is_honoured(scripted: ScriptedServer, answer: type[Answer], wait: str) -> None:
    """The next attempt comes no sooner than the service asked for, in seconds or as a date."""
    header = wait if wait == "1" else formatdate(time.time() + 2, usegmt=True)
    says(scripted, answer(503, headers={"Retry-After": header}), answer())
    request(scripted.url)
    first, second = scripted.seen
    assert second.at - first.at >= (1 if wait == "1" else 0.9)


def test_a_garbled_retry_after_hides_nothing(scripted: ScriptedServer, answer: type[Answer]) -> None:
    """A Retry-After that is neither seconds nor a date does not get in the way of the answer or the next attempt."""
    says(scripted, answer(503, headers={"Retry-After": "soon"}), answer(404, headers={"Retry-After": "soon"}))
    with pytest.raises(RequestRefusedError, match="answered 404"):
        request(scripted.url)


def test_a_wait_beyond_the_deadline_is_not_begun(scripted: ScriptedServer, answer: type[Answer]) -> None:
    """Where the service asks for more patience than the deadline leaves, the error comes at once."""
    says(scripted, answer(503, headers={"Retry-After": "3600"}))
    with pytest.raises(DeadlineExceededError, match=r"answered 503.* after 1 attempt") as caught:
        request(scripted.url)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value.__cause__, RequestRefusedError)
    assert len(scripted.seen) == 1


def test_a_lost_connection_is_made_again(scripted: ScriptedServer, answer: type[Answer]) -> None:
    """A connection that breaks before or in the middle of the answer is made again."""
    says(scripted, answer(hang_up=True), answer(body=b"half", length=8), answer(body=b"all"))
    assert request(scripted.url) == b"all"
    assert len(scripted.seen) == 3


def test_a_service_that_is_away_is_unreachable(free_port: int) -> None:
    """Nobody at the address is a ConnectionError that names it, after as many attempts as the deadline allows."""
    with pytest.raises(ServiceUnreachableError, match=f"http://127.0.0.1:{free_port}/x failed: .*refused") as caught:
        request(f"http://127.0.0.1:{free_port}", deadline=0.3)
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value.__cause__, ServiceUnreachableError)
    assert isinstance(caught.value.__cause__.__cause__, HTTPError)


def test_a_service_that_comes_up_late_is_reached(answer: type[Answer], scripted: ScriptedServer) -> None:
    """A job may start before its server: it waits."""
    says(scripted, answer(body=b"up"))
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


def test_a_silent_service_exceeds_the_deadline(scripted: ScriptedServer, answer: type[Answer]) -> None:
    """A service that takes the request and does not answer is a TimeoutError when the deadline comes."""
    done = threading.Event()

    def silent(_: Seen) -> Answer:
        done.wait(20)
        return answer()

    scripted.script = silent
    with pytest.raises(DeadlineExceededError, match=r"GET .*/x was not answered in time .*attempt"):
        request(scripted.url, deadline=0.4, timeout=0.1)
    done.set()
    assert len(scripted.seen) > 1


def test_a_trickle_exceeds_the_deadline(scripted: ScriptedServer, answer: type[Answer]) -> None:
    """The deadline also ends an answer whose bytes keep coming, but too slowly."""
    says(scripted, answer(body=bytes(30), pause=0.1))
    with pytest.raises(DeadlineExceededError, match=r"had sent \d+ bytes when the deadline came"):
        request(scripted.url, deadline=0.5)


def test_the_jitter_leaves_the_random_sequence_alone(scripted: ScriptedServer, answer: type[Answer]) -> None:
    """Retries use no number of the generator that training scripts seed."""
    says(scripted, answer(503), answer())
    before = random.getstate()
    request(scripted.url)
    assert random.getstate() == before


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host", "http://", "http://[", "http://host/?a=b", "http://h#f"]
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    """A base URL without http or host, or with a query, is refused with its value."""
    with pytest.raises(ValueError, match=r"base_url must be like 'http://127.0.0.1:8000', got "):
        Transport(url, timeout=1.0)


def subclasses(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(each for child in kind.__subclasses__() for each in subclasses(child))]


@pytest.mark.parametrize("kind", sorted(set(subclasses(HTTPError)), key=str))
def test_every_error_of_urllib3_becomes_ours(kind: type[HTTPError]) -> None:
    """No error of urllib3 reaches the user, and the original is its cause."""
    error = kind.__new__(kind)
    error.args = ("pool: reason",)
    vars(error).update(partial=1, expected=2, length=b"1")  # what some of them print
    with pytest.raises(ClientError, match="GET http://h/x") as caught, _translated("GET", "http://h/x"):
        raise error
    assert caught.value.__cause__ is error
