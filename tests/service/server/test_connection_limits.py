"""What no server takes is refused, and so is a connection too many: real sockets."""

import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from service.server.limits import SPARE_CONNECTIONS
from tests.support.servers.attackers import Attacker
from tests.support.servers.connections import (
    GET,
    PATIENT,
    answer,
    asked,
    attack,
    bodies,
    connect,
    everything,
    patiently,
    problem,
    running,
    try_fast_response,
    until,
)
from tests.support.servers.process import ServerProcess


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param("GET /\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), id="a path beyond ASCII"),
        pytest.param(b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", id="no path"),
        pytest.param(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", id="CONNECT"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", id="two lengths"),
        pytest.param(b"POST /v1/tables HTTP/1.1\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(
            b"POST /v1/tables HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            id="a chunk without size",
        ),
    ],
)
def test_what_is_not_http_is_answered_400(quick: ServerProcess, request_bytes: bytes) -> None:
    """What is not HTTP is answered with a problem, and ends the connection."""
    with connect(quick.port) as connection:
        connection.sendall(request_bytes)
        assert problem(everything(connection)) == (400, "malformed-http")


@pytest.mark.parametrize("path", [b"/at-once", b"/livez"])
@pytest.mark.parametrize("more", [b"", b"Host: localhost\r\nAccept: */*\r\nhost: other\r\n"], ids=["none", "two"])
def test_a_request_has_one_host(path: bytes, more: bytes) -> None:
    """A request of HTTP/1.1 names its host once; HTTP/1.0 knows no hosts, but nobody may name two."""
    with running(patiently, fast_response=try_fast_response) as port:
        with connect(port) as connection:
            connection.sendall(b"GET %b HTTP/1.1\r\n%b\r\n" % (path, more))
            answered = everything(connection)
        assert problem(answered) == (400, "malformed-http")
        assert b"exactly one Host" in answered
        with connect(port) as connection:
            connection.sendall(b"GET %b HTTP/1.0\r\n%b\r\n" % (path, more))
            assert (bodies(everything(connection)) == [b"well"]) is (more == b"")


def test_long_headers_are_answered_431(quick: ServerProcess) -> None:
    """Headers without end do not fill the server's memory."""
    life = attack(Attacker(b"GET / HTTP/1.1\r\nX: ", bytes([97]) * 2**15), quick.port)
    assert problem(life.received) == (431, "headers-too-large")


TRAILER = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with the names of the headers, once the body is there."""
    while (await receive()).get("more_body"):
        pass
    await answer(send, b" ".join(name for name, _ in scope["headers"]))


def test_a_trailer_is_no_header() -> None:
    """Fields after a body in chunks are not taken for headers, which a proxy may have looked at, and checked."""
    with running(read_all) as port, connect(port) as connection:
        for end in (b"Authorization: Bearer x\r\n\r\n", b"\r\n"):
            connection.sendall(TRAILER + end)
            assert bodies(connection.recv(2**16)) == [b"host transfer-encoding"]


@pytest.mark.parametrize(
    ("opening", "drip"),
    [
        pytest.param(TRAILER, 2**12 * b"a: b\r\n", id="many fields"),
        pytest.param(TRAILER + b"a: ", bytes([97]) * 2**15, id="a long field"),
        pytest.param(TRAILER[:-3] + b"1;", bytes([97]) * 2**15, id="the extension of a chunk"),
    ],
)
def test_long_trailers_are_answered_431(opening: bytes, drip: bytes) -> None:
    """What comes with a body and is not of it does not fill the server's memory; who is answered gets nothing more."""
    with running(read_all) as port:
        assert problem(attack(Attacker(opening, drip), port).received) == (431, "headers-too-large")

    async def promptly(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)

    with running(promptly, fast_response=try_fast_response) as port:
        assert bodies(attack(Attacker(opening, drip), port).received) == [b"well"]
        opening = opening.replace(b"POST /", b"GET /at-once")
        assert bodies(attack(Attacker(opening, drip), port).received) == [b"at once"]


def test_who_is_refused_is_refused_once() -> None:
    """Headers that are too long and then no HTTP are one reason to end a connection, not two."""
    closed: Counter[str] = Counter()
    with running(patiently, closed) as port, connect(port) as connection:
        for part in (b"GET / HTTP/1.1\r\nX: ", bytes([97]) * 60_000, bytes([97]) * 6000 + b"\r\nY: \0\r\n\r\n"):
            connection.sendall(part)
            time.sleep(0.1)
        assert problem(everything(connection)) == (400, "malformed-http")
    assert closed == {"malformed": 1}


def test_headers_ahead_of_others_are_not_added_up(quick: ServerProcess) -> None:
    """The limit is on one request's headers, not on all that are sent ahead."""
    request = GET[:-2] + b"X: " + bytes([97]) * 2**11 + b"\r\n\r\n"
    with connect(quick.port) as connection:
        for _ in range(40):
            connection.sendall(request + request[:20])
            connection.sendall(request[20:])
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 80


def test_a_connection_too_many_is_answered_503(tmp_path: Path) -> None:
    """Beyond max_connections a connection is answered 503 and closed; the others go on, and make room when they end."""
    with ServerProcess(tmp_path, **{**PATIENT, "max_connections": 3}) as server:
        held = [connect(server.port) for _ in range(3)]
        asked(held[0])
        with connect(server.port) as one_more:
            answered = everything(one_more)
        assert problem(answered) == (503, "too-many-connections")
        assert b"\r\nretry-after: 1\r\n" in answered
        asked(held[1])
        held[2].close()
        until(lambda: b"200 OK" in first_answer(server.port))
        for connection in held:
            connection.close()


def test_far_too_many_connections_are_closed_at_once(tmp_path: Path) -> None:
    """However many connect, those who were there first are served, and the server keeps files free."""
    with ServerProcess(tmp_path, **{**PATIENT, "max_connections": 3}) as server, ExitStack() as stack:
        held = [stack.enter_context(connect(server.port)) for _ in range(3)]
        asked(held[0])
        for _ in range(2 * SPARE_CONNECTIONS):
            with suppress(ConnectionResetError):  # closed before it stood, on a busy machine
                stack.enter_context(connect(server.port))
        asked(held[2])
        opened = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        assert opened < SPARE_CONNECTIONS + 3 + 100


def first_answer(port: int) -> bytes:
    with connect(port) as connection:
        connection.sendall(GET)
        return connection.recv(2**16)
