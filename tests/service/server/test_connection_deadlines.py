"""Connections end when their client is late, and only then: real sockets, small deadlines."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tests.support.servers.attackers import BODY, HEADERS, SILENT, Attacker, Life, live, reader
from tests.support.servers.connections import (
    ASK,
    GET,
    PATIENCE,
    QUICK,
    RESPONSE,
    answer,
    attack,
    connect,
    everything,
    patiently,
    problem,
    running,
    streaming,
    try_fast_response,
)
from tests.support.servers.herd import TABLE
from tests.support.servers.process import ServerProcess


def test_a_connection_without_a_request_is_closed(quick: ServerProcess) -> None:
    """A connection over which nothing comes is closed after idle_seconds, without a response."""
    life = attack(SILENT, quick.port)
    assert (life.received, life.seconds >= QUICK["idle_seconds"]) == (b"", True)


def test_a_connection_that_is_kept_open_is_closed(quick: ServerProcess) -> None:
    """After a response, too, a connection may be kept open for idle_seconds."""
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
    """Who takes nothing of a response, or 500 bytes a second, is cut after send_seconds with most of it unsent."""
    life = attack(reader(table, takes), quick.port)
    assert len(life.received) < TABLE / 2
    assert life.seconds >= QUICK["send_seconds"]


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
    """Who takes a response slowly, but faster than 4 KiB/s, gets all of it, however long it takes."""
    body = quick.get(table)
    received = bytearray()
    with connect(quick.port, window=2**16) as connection:
        connection.sendall(f"GET {table} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not received.endswith(body[-64:]):
            received += connection.recv(2**15)
            time.sleep(2**15 / rate)
    assert received.partition(b"\r\n\r\n")[2] == body


def test_a_slow_download_of_unknown_length_is_finished() -> None:
    """Who keeps up gets all of a response that is written while it is sent, too."""
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
    assert answered.startswith(RESPONSE)
    assert problem(refused) == (408, "request-timeout")
