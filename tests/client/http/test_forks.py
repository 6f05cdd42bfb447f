"""A client that is used, and then forked: no process gets another's response."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from client.http.connections import Connection
from client.http.transport import Transport
from tests.support.client.hostile_server import HostileServer, hostile_server, response, through_tls

FORKS = os.environ.get("LRTABLES_FORKS", "40")


def test_no_fork_gets_the_table_of_another_process() -> None:
    """Children and threads of the parent each get what they asked for, and none of them fails."""
    command = [sys.executable, "-m", "tests.client.forks", "--forks", FORKS]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ends = {end: int(number) for number, end in (line.split(maxsplit=1) for line in output.splitlines())}
    assert ends.keys() == {"right"}, output
    assert ends["right"] >= 2 * int(FORKS)


def numbers(server: HostileServer, before: Callable[[int], None] = lambda number: None) -> None:
    """Let a server answer each request with the number of its connection; `before` is called with it first."""
    made = count(1)
    known: dict[int, int] = {}

    def serve(connection: socket.socket) -> None:
        number = known[connection.fileno()] = next(made)
        before(number)
        server.answer_requests(connection)

    server.serve = serve
    server.script = lambda request, connection: connection.sendall(
        response(request, b"%d" % known[connection.fileno()])
    )


def ask(transport: Transport) -> int:
    """The number of the connection that a request went on."""
    return int(transport.request("POST", "/x", deadline=time.monotonic() + 20, max_bytes=100, body=[b"{}"]))


def in_child(what: Callable[[], int]) -> int:
    """The result of a function in a forked process; -1 where it raises."""
    reads, writes = os.pipe()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forks beside threads
        process = os.fork()
    if process == 0:
        result = -1
        with suppress(BaseException):
            result = what()
        os.write(writes, str(result).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as report:
        result = int(report.read())
    os.waitpid(process, 0)
    return result


def test_a_child_makes_connections_of_its_own_and_leaves_the_parent_its_own() -> None:
    """A forked process asks on another connection, its own child on a third; the parent goes on with the first."""
    with hostile_server() as server:
        numbers(server)
        transport = Transport(server.url, timeout=10.0)
        assert [ask(transport), ask(transport)] == [1, 1]
        assert in_child(lambda: 10 * ask(transport) + in_child(lambda: ask(transport))) == 23
        assert ask(transport) == 1
        transport.close()


@pytest.mark.needs("openssl")
def test_a_child_leaves_its_parent_a_connection_through_tls(certificate: ssl.SSLContext) -> None:
    """A child that lets go of its parent's connection sends nothing on it, not even the end of TLS."""
    with hostile_server() as server:
        numbers(server)
        transport = Transport(through_tls(server, certificate), timeout=10.0)
        assert [ask(transport), ask(transport)] == [1, 1]
        assert in_child(lambda: ask(transport)) == 2
        assert [ask(transport), ask(transport)] == [1, 1]
        transport.close()


def test_a_child_of_a_process_in_the_middle_of_a_request_is_free() -> None:
    """A fork while another thread waits for a response: the child asks anew, and the thread gets its own response."""
    taken, goes_on = threading.Event(), threading.Event()

    def waits(number: int) -> None:
        if number == 1:
            taken.set()
            goes_on.wait(20)

    with hostile_server() as server:
        numbers(server, waits)
        transport = Transport(server.url, timeout=10.0)
        responses: list[int] = []
        thread = threading.Thread(target=lambda: responses.append(ask(transport)))
        thread.start()
        assert taken.wait(20)
        assert in_child(lambda: ask(transport)) == 2
        goes_on.set()
        thread.join()
        assert responses == [1]
        transport.close()


def test_a_fork_in_the_middle_of_its_own_request_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is forked while it reads a response does not read the rest of it: that is its parent's."""
    with hostile_server() as server:
        numbers(server)
        transport = Transport(server.url, timeout=10.0)
        forked: list[int] = []
        real = Connection.raw_response

        def forks(connection: Connection) -> object:
            if not forked:
                forked.append(os.fork())
            return real(connection)

        monkeypatch.setattr(Connection, "raw_response", forks)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            answered = ask(transport)
        if forked == [0]:
            os._exit(answered)
        assert answered == 1
        assert os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]) == 2
        transport.close()
