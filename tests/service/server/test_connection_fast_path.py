"""What memory holds is answered by the connection itself: real sockets."""

import re

import pytest

from service.representations.formats import NPY
from tests.support.servers.connections import (
    ASK,
    RESPONSE,
    bodies,
    connect,
    everything,
    patiently,
    problem,
    running,
    try_fast_response,
)
from tests.support.servers.herd import SPEC
from tests.support.servers.process import ServerProcess, post


def test_what_is_known_is_answered_without_the_application() -> None:
    """A response that is there goes out as it is, with uvicorn's own headers, and the connection stays open."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        for _ in range(2):
            connection.sendall(ASK)
            received = connection.recv(2**16)
            head, _, body = received.partition(b"\r\n\r\n")
            assert (head[: len(RESPONSE)], body) == (RESPONSE, b"at once")
            assert re.fullmatch(rb"date: [^\r]+ GMT\r\nserver: uvicorn", head[len(RESPONSE) :])


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        pytest.param(ASK.replace(b"GET", b"HEAD"), b"", id="HEAD"),
        pytest.param(ASK.replace(b"1.1", b"1.0"), b"well", id="HTTP/1.0"),
        pytest.param(ASK[:-2] + b"Connection: close\r\n\r\n", b"well", id="the last of its connection"),
        pytest.param(ASK.replace(b"/at-once", b"/at-once?x"), b"well", id="a query"),
        pytest.param(ASK.replace(b"/at-once", b"http://localhost/at-once"), b"well", id="a whole address"),
    ],
)
def test_what_is_not_plain_is_the_applications(request_bytes: bytes, expected: bytes) -> None:
    """Whatever is not a plain GET goes to the application, which answers by the rules."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        connection.sendall(request_bytes)
        assert bodies(everything(connection)) == [expected]


@pytest.mark.parametrize("framing", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_a_body_that_nobody_wants_is_passed_over(framing: bytes) -> None:
    """A GET with a body is answered, and so is the next one."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        connection.sendall(ASK[:-2] + framing + ASK)
        assert bodies(everything(connection)) == 2 * [b"at once"]


def test_nonsense_after_such_an_answer_is_answered_400() -> None:
    """What follows a response that was there is parsed as strictly as ever."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        connection.sendall(ASK + b"nonsense\r\n\r\n")
        assert problem(everything(connection).partition(b"at once")[2]) == (400, "malformed-http")


def test_answers_that_nobody_takes_do_not_pile_up(quick: ServerProcess) -> None:
    """Who asks without end and takes nothing fills a bounded part of the memory, and is cut."""
    digest = post(quick, SPEC)
    ask = f"GET /v1/tables/{digest}/manifest HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    quick.reset_peak()
    before = quick.memory("VmHWM")
    with (
        connect(quick.port, window=4096) as connection,
        pytest.raises(ConnectionError, match=r"reset by peer|Broken pipe"),
    ):
        connection.sendall(500_000 * ask)  # 60 MB, and 1 GB to take
    assert quick.memory("VmHWM") - before < 8 * 2**20


def test_answers_at_once_are_the_applications(quick: ServerProcess) -> None:
    """The bytes are those of the longer way, which a bad id takes; but for the order of the headers, and the id."""
    digest = post(quick, SPEC)
    etag = f"If-None-Match: {NPY.etag(digest).decode()}"
    for path, line in ((f"{digest}/manifest", "X: y"), (f"{digest}.npy", etag), (f"{digest}.npy", f"{etag}\r\nX: y")):
        asked = f"GET /v1/tables/{path} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n"
        answers = []
        with connect(quick.port) as connection:
            for more in ("", "X-Request-ID: mine\r\n", "X-Request-ID: not one\r\n"):
                connection.sendall(f"{asked}{more}\r\n".encode())
                with connection.makefile("rb") as reader:
                    first, *others = iter(reader.readline, b"\r\n")
                    body = reader.read(next((int(line[16:]) for line in others if line.startswith(b"content-le")), 0))
                answers.append((first, {line for line in others if not line.startswith(b"date: ")}, body))
        (first, headers, body), named, (*longer, _) = answers
        (made,) = [line for line in answers[2][1] if line.startswith(b"x-request-id: ")]
        assert named == (first, headers | {b"x-request-id: mine\r\n"}, body)
        assert longer == [first, headers | {made}]
        assert answers[2][2] == body
