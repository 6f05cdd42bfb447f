"""Connections end when their client is late, and only then: real sockets, small deadlines."""

import asyncio
import errno
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.http.responses import Fields
from service.representations.formats import NPY
from service.server.connection import FastResponse, connection_class
from service.server.limits import SPARE_CONNECTIONS
from service.settings import Settings
from tests.support.servers.attackers import BODY, HEADERS, SILENT, Attacker, Life, live, reader
from tests.support.servers.herd import SPEC, TABLE
from tests.support.servers.process import ServerProcess, post

PATIENCE = 30.0  # seconds: far beyond every deadline here
QUICK: dict[str, Any] = {"header_seconds": 0.5, "body_seconds": 0.6, "idle_seconds": 0.7, "send_seconds": 0.8}
PATIENT: dict[str, Any] = {"header_seconds": 600, "body_seconds": 600, "idle_seconds": 600, "send_seconds": 600}
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with short deadlines."""
    with ServerProcess(tmp_path_factory.mktemp("quick"), **QUICK) as server:
        yield server


@pytest.fixture(scope="module")
def table(quick: ServerProcess) -> str:
    """The path of a table of 8 MB."""
    return f"/v1/tables/{post(quick, SPEC)}.npy"


def connect(port: int, window: int | None = None) -> socket.socket:
    """A connection; with a window, the system takes only so many bytes for it that nobody has read."""
    connection = socket.socket()
    if window is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    return connection


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    return b"".join(iter(partial(connection.recv, 2**20), b""))


def attack(attacker: Attacker, port: int) -> Life:
    return asyncio.run(asyncio.wait_for(live(attacker, port, beat=0.03), PATIENCE))


def problem(answer: bytes) -> tuple[int, str]:
    """The status and code of an answer that is a problem and the last of its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    found = json.loads(body)
    assert {"content-type: application/problem+json", "connection: close", f"content-length: {len(body)}"} <= {*lines}
    assert lines[0] == f"HTTP/1.1 {found['status']} {found['title']}"
    assert f"x-request-id: {found['request_id']}" in lines
    return found["status"], found["code"]


# -- who is late ------------------------------------------------------------------------------------------------------


def test_a_connection_without_a_request_is_closed(quick: ServerProcess) -> None:
    """A connection over which nothing comes is closed after idle_seconds, without an answer."""
    life = attack(SILENT, quick.port)
    assert (life.received, life.seconds >= QUICK["idle_seconds"]) == (b"", True)


def test_a_connection_that_is_kept_open_is_closed(quick: ServerProcess) -> None:
    """After an answer, too, a connection may be kept open for idle_seconds."""
    life = attack(Attacker(GET), quick.port)
    assert (life.received[-15:], life.seconds >= QUICK["idle_seconds"]) == (b'{"status":"ok"}', True)


def test_empty_lines_are_no_request(quick: ServerProcess) -> None:
    """Empty lines before a request do not keep a connection open."""
    assert attack(Attacker(drip=b"\r\n"), quick.port).received == b""


def test_dripped_headers_are_answered_408(quick: ServerProcess) -> None:
    """Headers that come a byte at a time are answered 408 after header_seconds."""
    life = attack(HEADERS, quick.port)
    assert problem(life.received) == (408, "request-timeout")
    assert life.seconds >= QUICK["header_seconds"]


def test_a_dripped_body_is_answered_408(quick: ServerProcess) -> None:
    """A body that comes a byte at a time is answered 408 after body_seconds, and the application is told."""
    life = attack(BODY, quick.port)
    assert problem(life.received) == (408, "request-timeout")
    assert life.seconds >= QUICK["body_seconds"]


def test_the_rest_of_an_answered_body_is_not_waited_for(quick: ServerProcess) -> None:
    """Who was refused before the body was there cannot drip the rest of it without end, and gets no second answer."""
    refused = Attacker(BODY.opening.replace(b"application/json", b"text/plain"), b" ")
    life = attack(refused, quick.port)
    assert life.received.startswith(b"HTTP/1.1 415 ")
    assert life.received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("takes", [0, 16], ids=["stalled", "slow"])
def test_a_reader_that_does_not_keep_up_is_cut(quick: ServerProcess, table: str, takes: int) -> None:
    """Who takes nothing of an answer, or 500 bytes a second, is cut after send_seconds with most of it unsent."""
    life = attack(reader(table, takes), quick.port)
    assert len(life.received) < TABLE / 2
    assert life.seconds >= QUICK["send_seconds"]


def test_pipelined_answers_must_be_taken(quick: ServerProcess, table: str) -> None:
    """Requests that are sent ahead do not help a reader that takes nothing."""
    one = reader(table, takes=0)
    assert attack(Attacker(20 * one.opening, takes=0), quick.port).seconds >= QUICK["send_seconds"]


def test_others_are_answered_meanwhile(quick: ServerProcess, table: str) -> None:
    """While clients of every kind hold on, other requests are answered, and all who hold on are ended."""

    async def hold() -> list[Life]:
        kinds = (SILENT, HEADERS, BODY, reader(table, 16), reader(table, 0))
        lives = [asyncio.create_task(live(kind, quick.port, 0.03)) for kind in kinds for _ in range(5)]
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(quick.get, "/livez") == b'{"status":"ok"}'
        assert not any(one.done() for one in lives)
        return await asyncio.gather(*lives)

    assert len(asyncio.run(asyncio.wait_for(hold(), PATIENCE))) == 25


# -- who is not -------------------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(quick: ServerProcess, table: str) -> None:
    """Requests that are sent ahead are answered, each whole, in their order."""
    with connect(quick.port) as connection:
        connection.sendall(GET + f"GET {table} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() + GET)
        answers = everything(connection).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [len(answer.partition(b"\r\n\r\n")[2]) for answer in answers] == [15, len(quick.get(table)), 15]


def test_a_slow_upload_is_taken(tmp_path: Path, spec: dict[str, Any]) -> None:
    """A body that comes slowly, but within body_seconds, is read to its end, whatever the other deadlines are."""
    body = json.dumps(spec).encode()
    head = (
        b"POST /v1/tables HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    with ServerProcess(tmp_path, **{**QUICK, "body_seconds": PATIENCE}) as server, connect(server.port) as connection:
        connection.sendall(head % len(body))
        for byte in body:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)
        assert connection.recv(12) == b"HTTP/1.1 201"


def test_a_large_upload_may_take_longer() -> None:
    """A body that comes faster than 4 KiB/s may take longer than body_seconds."""

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        await answer(send)

    with running(read) as port, connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(50):
            connection.sendall(bytes(2000))
            time.sleep(2 * QUICK["body_seconds"] / 50)
        assert connection.recv(2**16).endswith(b"well")


@pytest.mark.parametrize(
    "rate", [pytest.param(8_000_000, id="8 MB/s"), pytest.param(1_000_000, marks=pytest.mark.slow, id="1 MB/s")]
)
def test_a_slow_download_is_finished(quick: ServerProcess, table: str, rate: int) -> None:
    """Who takes an answer slowly, but faster than 4 KiB/s, gets all of it, however long it takes."""
    body = quick.get(table)
    received = bytearray()
    with connect(quick.port, window=2**16) as connection:
        connection.sendall(f"GET {table} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not received.endswith(body[-64:]):
            received += connection.recv(2**15)
            time.sleep(2**15 / rate)
    assert received.partition(b"\r\n\r\n")[2] == body


def test_a_slow_download_of_unknown_length_is_finished() -> None:
    """Who keeps up gets all of an answer that is written while it is sent, too."""
    parts = 64 * [bytes(2**16)]
    with running(streaming(parts)) as port, connect(port, window=2**16) as connection:
        connection.sendall(GET)
        received = bytearray()
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += connection.recv(2**15)
            time.sleep(2**15 / 2_000_000)
    assert received.count(b"\0") == 64 * 2**16


def test_a_long_computation_is_waited_for() -> None:
    """While the server has to do something for a request, no deadline counts against the client."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(2 * max(QUICK.values()))
        await answer(send)

    with running(slow) as port, connect(port) as connection:
        connection.sendall(GET)
        assert connection.recv(2**16).endswith(b"well")


def test_a_server_that_is_slow_to_read_waits_for_nobody() -> None:
    """Time in which the server does not take the body counts for no deadline of its sender."""

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(2 * max(QUICK.values()))
        while (await receive())["more_body"]:
            pass
        await answer(send)

    with running(busy) as port, connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n" + bytes(10**7))
        assert connection.recv(2**16).endswith(b"well")


# -- who is not understood, or one too many ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("ahead", [1, 2])
def test_nonsense_does_not_get_into_an_answer(quick: ServerProcess, table: str, ahead: int) -> None:
    """What was asked before nonsense is answered, byte for byte; then the nonsense is, and nothing after it."""
    with connect(quick.port) as connection:
        connection.sendall(ahead * f"GET {table} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() + b"nonsense\r\n\r\n")
        answers, begins, last = everything(connection).partition(b"HTTP/1.1 400 ")
    assert bodies(answers) == ahead * [quick.get(table)]
    assert problem(begins + last) == (400, "malformed-http")


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


def test_a_sweep_lets_requests_have_their_turn() -> None:
    """However many connections there are, few are looked at between two turns of the loop, and each once a sweep."""
    looked = Counter[int]()

    class Watched:
        def check_deadline(self, elapsed: float) -> None:
            looked[id(self)] += 1

        def abort(self) -> None:
            raise AssertionError

    async def most_at_once() -> int:
        connections = {Watched() for _ in range(1000)}
        monitor = connection_class(Settings(**QUICK)).monitor
        monitor.begin(connections, asyncio.get_running_loop())
        most = 0
        while looked.total() < 2 * len(connections):
            before = looked.total()
            await asyncio.sleep(0)
            most = max(most, looked.total() - before)
        assert set(looked.values()) == {2}
        connections.clear()
        return most

    assert asyncio.run(asyncio.wait_for(most_at_once(), PATIENCE)) == 16


def first_answer(port: int) -> bytes:
    with connect(port) as connection:
        connection.sendall(GET)
        return connection.recv(2**16)


def asked(connection: socket.socket) -> None:
    """Ask over a connection that stays open."""
    connection.sendall(GET)
    received = b""
    while not received.endswith(b'{"status":"ok"}'):
        received += connection.recv(2**16)


# -- what is counted --------------------------------------------------------------------------------------------------


def test_what_was_ended_is_counted() -> None:
    """Every connection that the server ends is counted under its reason."""
    closed: Counter[str] = Counter()
    refused = Attacker(b"nonsense\r\n\r\n")
    with running(streaming(100 * [bytes(2**20)]), closed) as port:
        for attacker in (SILENT, HEADERS, reader("/", takes=0), refused, refused):
            attack(attacker, port)
    assert closed == {"idle": 1, "headers": 1, "send": 1, "malformed": 2}


def test_the_application_is_told_of_a_late_body() -> None:
    """An application that waits for a body that is late is told that its client is gone."""
    told: list[str] = []

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        while told[-1:] != ["http.disconnect"]:
            told.append((await receive())["type"])

    with running(read) as port:
        assert problem(attack(BODY, port).received) == (408, "request-timeout")
    assert told[-1] == "http.disconnect"


@pytest.mark.parametrize("ahead", [1, 2])
def test_the_application_is_told_of_a_client_that_left(ahead: int) -> None:
    """That a client is gone is told to the request that runs, though others wait behind it; those are not begun."""
    told: list[tuple[str, str]] = []
    left = threading.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        told.append((scope["path"], (await receive())["type"]))
        with suppress(TimeoutError):  # so that the test ends
            async with asyncio.timeout(5):
                told.append((scope["path"], (await receive())["type"]))
        left.set()

    with running(wait) as port:
        with connect(port) as connection:
            connection.sendall(GET + ahead * ASK)
            until(lambda: len(told) == 1)
        assert left.wait(PATIENCE)
    assert told == [("/livez", "http.request"), ("/livez", "http.disconnect")]


def test_too_many_requests_ahead_end_their_connection() -> None:
    """Who sends requests without end ahead of the answers does not fill the server's memory with them."""
    closed: Counter[str] = Counter()
    with running(patiently, closed) as port, connect(port) as connection:
        connection.sendall(100 * GET)
        assert bodies(connection.recv(2**16)) == [b"well"]
    with running(patiently, closed) as port, connect(port) as connection:
        connection.sendall(1000 * GET)
        with pytest.raises(ConnectionResetError, match="reset"):
            everything(connection)
    assert closed == {"pipelined": 1}


# -- how it stops -----------------------------------------------------------------------------------------------------


def test_stopping_closes_idle_connections_and_finishes_requests(tmp_path: Path, spec: dict[str, Any]) -> None:
    """Told to stop, the server closes idle connections, takes no new ones, and finishes what it was asked before."""
    body = json.dumps(spec).encode()
    head = BODY.opening.replace(b"Length: 100000", b"Length: %d\r\nExpect: 100-continue" % len(body))
    with (
        ServerProcess(tmp_path, **PATIENT) as server,
        connect(server.port) as silent,
        connect(server.port) as asking,
        connect(server.port) as idle,
    ):
        asking.sendall(head)
        assert asking.recv(2**16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        asked(idle)
        server.process.send_signal(signal.SIGTERM)
        assert (everything(idle), everything(silent)) == (b"", b"")
        until(lambda: refused(server.port))
        asking.sendall(body)
        assert everything(asking).startswith(b"HTTP/1.1 201 ")
        assert server.process.wait(PATIENCE) == 0


def test_stopping_does_not_wait_for_a_stalled_reader(tmp_path: Path) -> None:
    """Told to stop, the server ends within drain_seconds, though a client takes nothing of its answer."""
    with ServerProcess(tmp_path, **{**PATIENT, "drain_seconds": 1}) as server:
        path = f"/v1/tables/{post(server, SPEC)}.npy"
        with connect(server.port, window=4096) as stalled:
            stalled.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert stalled.recv(12) == b"HTTP/1.1 200"
            assert server.stop() == (0, "")


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def until(met: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    end = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


# -- how many files it may open ---------------------------------------------------------------------------------------


def test_the_file_limit_is_raised() -> None:
    """The server may open as many files as the system lets it, not as many as the shell happens to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = (
        "import resource; from service.server.file_limit import raise_file_limit; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard})); raise_file_limit(1000); "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    finished = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(finished.stdout) == hard


def test_more_connections_than_files_are_refused(tmp_path: Path) -> None:
    """A server that could not hold max_connections does not start, and says how many it could."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "LRTABLES_MAX_CONNECTIONS": str(10**9)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert re.match(r"lrtables: max_connections must be at most \d+, got 1000000000: .*ulimit -Hn", finished.stderr)


# -- what is answered at once -----------------------------------------------------------------------------------------

ASK = b"GET /at-once HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n"


def try_fast_response(path: str, headers: Fields) -> tuple[bytes, bytes] | None:
    return (ANSWER, b"at once") if path == "/at-once" else None


async def patiently(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that takes its time: what it answers is "well"."""
    await asyncio.sleep(0.1)
    await answer(send)


def bodies(answers: bytes) -> list[bytes]:
    """The bodies of the answers that came over a connection."""
    return [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]


def test_what_is_known_is_answered_without_the_application() -> None:
    """An answer that is there goes out as it is, with uvicorn's own headers, and the connection stays open."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        for _ in range(2):
            connection.sendall(ASK)
            received = connection.recv(2**16)
            head, _, body = received.partition(b"\r\n\r\n")
            assert (head[: len(ANSWER)], body) == (ANSWER, b"at once")
            assert re.fullmatch(rb"date: [^\r]+ GMT\r\nserver: uvicorn", head[len(ANSWER) :])


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


def test_answers_keep_the_order_of_their_requests() -> None:
    """What could be answered at once waits for what was asked before it."""

    def every_third(path: str, headers: Fields) -> tuple[bytes, bytes] | None:
        return (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n", path.encode()) if int(path[1:]) % 3 == 0 else None

    async def its_path(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)
        await answer(send, scope["path"].encode())

    paths = [b"/%03d" % number for number in range(10)]
    with running(its_path, fast_response=every_third) as port, connect(port) as connection:
        connection.sendall(b"".join(GET.replace(b"/livez", path) for path in paths))
        assert bodies(everything(connection)) == paths


@pytest.mark.parametrize("framing", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_a_body_that_nobody_wants_is_passed_over(framing: bytes) -> None:
    """A GET with a body is answered, and so is the next one."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        connection.sendall(ASK[:-2] + framing + ASK)
        assert bodies(everything(connection)) == 2 * [b"at once"]


def test_a_connection_that_asks_is_not_idle() -> None:
    """As long as requests come, a connection stays open; after the last one for idle_seconds."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        for _ in range(8):
            connection.sendall(ASK)
            assert connection.recv(2**16).endswith(b"at once")
            time.sleep(QUICK["idle_seconds"] / 3)
        began = time.monotonic()
        assert everything(connection) == b""
        assert time.monotonic() - began > QUICK["idle_seconds"] / 3


def test_headers_after_such_an_answer_have_their_deadline() -> None:
    """Headers that do not end are answered 408, also after answers that were there."""
    with running(patiently, fast_response=try_fast_response) as port:
        life = attack(Attacker(ASK + HEADERS.opening, HEADERS.drip), port)
    answered, _, refused = life.received.partition(b"at once")
    assert answered.startswith(ANSWER)
    assert problem(refused) == (408, "request-timeout")


def test_nonsense_after_such_an_answer_is_answered_400() -> None:
    """What follows an answer that was there is parsed as strictly as ever."""
    with running(patiently, fast_response=try_fast_response) as port, connect(port) as connection:
        connection.sendall(ASK + b"nonsense\r\n\r\n")
        assert problem(everything(connection).partition(b"at once")[2]) == (400, "malformed-http")


def test_answers_that_nobody_takes_do_not_pile_up(quick: ServerProcess) -> None:
    """Who asks without end and takes nothing fills a bounded part of the memory, and is cut."""
    digest = post(quick, SPEC)
    ask = f"GET /v1/tables/{digest}/manifest HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    quick.forget_peak()
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


# -- what this relies on ----------------------------------------------------------------------------------------------


def test_uvicorn_keeps_the_state_that_connections_read() -> None:
    """uvicorn's connection says, step by step, how far it is with a request, in the attributes that ours reads."""
    asyncio.run(asyncio.wait_for(_steps_of_a_request(), PATIENCE))


async def _steps_of_a_request() -> None:
    permission = asyncio.Event()

    async def wait_and_answer(scope: Scope, receive: Receive, send: Send) -> None:
        await permission.wait()
        await answer(send)

    made: list[HttpToolsProtocol] = []
    config = uvicorn.Config(wait_and_answer, ws="none", log_config=None)
    config.load()

    def make() -> HttpToolsProtocol:
        made.append(HttpToolsProtocol(config, ServerState(), {}))
        return made[0]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    _, writing = await asyncio.open_connection(*server.sockets[0].getsockname())
    await _until(lambda: bool(made) and made[0].transport is not None)
    one = made[0]
    seen: list[Any] = [one.scope, one.cycle, one.flow.read_paused, *one.pipeline]
    assert seen == [None, None, False]
    assert one.connections == {one}
    writing.write(b"POST / HTTP/1.1\r\nHost: local")
    await _until(lambda: one.scope is not None)
    assert one.cycle is None
    writing.write(b"host\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nx")
    await _until(lambda: one.cycle is not None)
    first = one.cycle
    assert first.scope is one.scope
    assert (first.more_body, first.response_started, first.response_complete, first.disconnected) == (
        (True, False, False, False)
    )
    assert first.waiting_for_100_continue
    writing.write(b"y" + GET)
    await _until(lambda: len(one.pipeline) == 1)
    assert (first.more_body, one.flow.read_paused, one.cycle is not first) == (False, True, True)
    permission.set()
    await _until(lambda: one.cycle.response_complete)
    assert (first.response_complete, one.cycle.keep_alive, list(one.pipeline)) == (True, True, [])
    writing.close()
    server.close()
    await _until(lambda: not one.connections)


async def _until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)


# -- servers with an application of the test's own --------------------------------------------------------------------

App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def answer(send: Send, body: bytes = b"well") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def streaming(parts: list[bytes]) -> App:
    """An application that sends these parts, without saying how much it will be."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return stream


@contextmanager
def running(app: App, closed: Counter[str] | None = None, **more: FastResponse) -> Iterator[int]:
    """The port of an application that answers in a thread of this process, with short deadlines."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        http = connection_class(Settings(**QUICK), closed, **more)
        config = uvicorn.Config(app, loop="uvloop", http=http, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
