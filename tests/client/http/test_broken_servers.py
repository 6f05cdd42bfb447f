"""The client against servers that are broken in every way: each call ends in time, and with a named error."""

from __future__ import annotations

import gc
import pickle
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from client import (
    ClientError,
    DeadlineExceededError,
    RequestRefusedError,
)
from client.http.connections import _Socket  # counted where they may be left open
from client.http.responses import MAX_ERROR, MAX_HEAD
from tests.support.client.broken_servers import (
    AWAY,
    DEADLINE,
    HEAD,
    LATE,
    NEVER,
    NO,
    PATIENCE,
    PROFILES,
    REFUSED,
    RETRIES,
    fails,
)
from tests.support.client.hostile_server import Request, hostile_server
from tests.support.own_process import in_own_process


def deadline_of(name: str) -> float:
    """Seconds for the call of a profile: few where only the deadline ends it, many where it ends by itself."""
    kind = PROFILES[name][1]
    if kind is LATE:
        return DEADLINE
    return RETRIES if kind is AWAY or name == "a dripped error" else PATIENCE


def of_profile(name: str) -> tuple[str, ClientError, float]:
    with hostile_server() as server:
        server.script = PROFILES[name][0]
        return name, *fails(server.url, deadline=deadline_of(name))


def open_sockets() -> set[int]:
    """The open sockets of clients in this process. No object is asked for its class: some of torch would warn."""
    return {id(each) for each in gc.get_objects() if issubclass(type(each), _Socket) and each.fileno() >= 0}


def test_every_broken_server_ends_a_call_in_time_with_its_named_error() -> None:
    """Whatever a server does, the call ends about when its deadline comes, in an error that travels and prints."""
    before = open_sockets()
    with ThreadPoolExecutor(12) as pool:
        ends = list(pool.map(of_profile, PROFILES))
    assert open_sockets() - before == set()  # though the errors still hold the frames that they went through
    wrong = [(name, repr(error)) for name, error, _ in ends if type(error) is not PROFILES[name][1]]
    assert wrong == []
    assert [(name, seconds) for name, _, seconds in ends if seconds > NEVER] == []
    for _, error, _ in ends:
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error)
        f"{error}{error!r}{again!r}".encode()
        assert all(each.isprintable() or each in "\n\t" for each in str(error))


def test_an_error_keeps_its_status_whatever_its_body_is() -> None:
    """An error whose body cannot be read, or is endless, keeps its status and the part that was read."""
    names = [name for name, (_, kind) in PROFILES.items() if kind is REFUSED]
    with ThreadPoolExecutor(12) as pool:
        for name, error, _ in pool.map(of_profile, names):
            assert isinstance(error, RequestRefusedError)
            assert error.status in (302, 304, 404), name
            assert len(error.args[2]) <= MAX_ERROR + 1
    assert len(names) > 10


def taken_by_an_endless_response(start: bytes) -> tuple[int, int]:
    """Bytes of memory that a call takes for an endless response with this start, and bytes that the server sent."""
    wave, sent = bytes(2**20), [0]

    def endless(_: Request, connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            sent[0] += connection.send(wave)

    with hostile_server() as server:
        server.script = endless
        before = psutil.Process().memory_info().rss
        fails(server.url, deadline=PATIENCE)
        return psutil.Process().memory_info().rss - before, sent[0]


@pytest.mark.parametrize("start", [HEAD + b"\r\n", HEAD + b"X: ", NO + b"\r\n"], ids=["body", "head", "error"])
def test_memory_is_bound_by_what_was_asked_for(start: bytes) -> None:
    """An endless body, head or error takes no more memory than the limits say; the server cannot send much of it."""
    taken, sent = in_own_process(taken_by_an_endless_response, start)
    assert taken < 2**25
    assert sent < 2**24 + MAX_HEAD  # what the system's buffers hold


@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["nothing", "drops"])
def test_a_body_that_is_hardly_taken_ends_in_time(pause: float) -> None:
    """A server that takes nothing of a body, or drops of it, does not hold a call past its deadline."""

    def take(connection: socket.socket) -> None:
        with connection:
            while pause and not done.is_set() and connection.recv(1000):
                time.sleep(pause)
            done.wait(NEVER)

    done = threading.Event()
    with hostile_server() as server:
        server.serve = take
        error, seconds = fails(server.url, method="PUT", body=bytes(2**25))
        done.set()
    assert isinstance(error, DeadlineExceededError)
    assert seconds < NEVER


def test_a_refusal_that_comes_before_the_body_was_taken_is_heard() -> None:
    """A service that answers 413 and hangs up in the middle of a body is understood, not taken for a dead one."""

    def refuse(connection: socket.socket) -> None:
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(2**16):
                pass

    with hostile_server() as server:
        server.serve = refuse
        error, _ = fails(server.url, method="PUT", body=bytes(2**22), deadline=PATIENCE)
    assert isinstance(error, RequestRefusedError)
    assert error.status == 413
