"""Requests that are sent ahead of their responses: real sockets."""

import asyncio
import threading
from collections import Counter
from contextlib import suppress

import pytest
from starlette.types import Receive, Scope, Send

from service.http.responses import Fields
from tests.support.servers.attackers import Attacker, reader
from tests.support.servers.connections import (
    ASK,
    GET,
    PATIENCE,
    QUICK,
    answer,
    attack,
    bodies,
    connect,
    everything,
    patiently,
    problem,
    running,
    until,
)
from tests.support.servers.process import ServerProcess


def test_pipelined_answers_must_be_taken(quick: ServerProcess, table: str) -> None:
    """Requests that are sent ahead do not help a reader that takes nothing."""
    one = reader(table, takes=0)
    assert attack(Attacker(20 * one.opening, takes=0), quick.port).seconds >= QUICK["send_seconds"]


def test_pipelined_requests_are_answered_in_order(quick: ServerProcess, table: str) -> None:
    """Requests that are sent ahead are answered, each whole, in their order."""
    with connect(quick.port) as connection:
        connection.sendall(GET + f"GET {table} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() + GET)
        answers = everything(connection).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [len(answer.partition(b"\r\n\r\n")[2]) for answer in answers] == [15, len(quick.get(table)), 15]


@pytest.mark.parametrize("ahead", [1, 2])
def test_nonsense_does_not_get_into_an_answer(quick: ServerProcess, table: str, ahead: int) -> None:
    """What was asked before nonsense is answered, byte for byte; then the nonsense is, and nothing after it."""
    with connect(quick.port) as connection:
        connection.sendall(ahead * f"GET {table} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() + b"nonsense\r\n\r\n")
        answers, begins, last = everything(connection).partition(b"HTTP/1.1 400 ")
    assert bodies(answers) == ahead * [quick.get(table)]
    assert problem(begins + last) == (400, "malformed-http")


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
    """Who sends requests without end ahead of the responses does not fill the server's memory with them."""
    closed: Counter[str] = Counter()
    with running(patiently, closed) as port, connect(port) as connection:
        connection.sendall(100 * GET)
        assert bodies(connection.recv(2**16)) == [b"well"]
    with running(patiently, closed) as port, connect(port) as connection:
        connection.sendall(1000 * GET)
        with pytest.raises(ConnectionResetError, match="reset"):
            everything(connection)
    assert closed == {"pipelined": 1}


def test_answers_keep_the_order_of_their_requests() -> None:
    """What could be answered at once waits for what was asked before it."""

    def every_third(path: str, headers: Fields, client: str) -> tuple[bytes, bytes] | None:
        return (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n", path.encode()) if int(path[1:]) % 3 == 0 else None

    async def its_path(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)
        await answer(send, scope["path"].encode())

    paths = [b"/%03d" % number for number in range(10)]
    with running(its_path, fast_response=every_third) as port, connect(port) as connection:
        connection.sendall(b"".join(GET.replace(b"/livez", path) for path in paths))
        assert bodies(everything(connection)) == paths
