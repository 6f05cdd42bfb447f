"""A server that is told to stop ends its connections: real sockets."""

import errno
import json
import signal
import socket
from pathlib import Path
from typing import Any

from tests.support.servers.attackers import BODY
from tests.support.servers.connections import PATIENCE, PATIENT, asked, connect, everything, until
from tests.support.servers.herd import SPEC
from tests.support.servers.process import ServerProcess, post


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
    """Told to stop, the server ends within drain_seconds, though a client takes nothing of its response."""
    with ServerProcess(tmp_path, **{**PATIENT, "drain_seconds": 4}) as server:
        path = f"/v1/tables/{post(server, SPEC)}.npy"
        with connect(server.port, window=4096) as stalled:
            stalled.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert stalled.recv(12) == b"HTTP/1.1 200"
            assert server.stop() == (0, "")


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
