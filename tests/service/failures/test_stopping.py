"""What does not stop: a server computes other tables beside it, says so, and ends when it is told to."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from service.strict_json import SMALL
from tests.support.misbehaving import ENDLESS, UNREADABLE, constant, misbehaving_path
from tests.support.servers.herd import SPEC
from tests.support.servers.process import ServerProcess

OTHER = {**SPEC, "total_steps": 1000}
DRAIN = 4.0  # seconds: on a busy machine what is quick takes some


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    """A server whose processes compute some values without end."""
    path = os.pathsep.join([misbehaving_path(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    with ServerProcess(tmp_path / "data", drain_seconds=DRAIN) as running:
        yield running


@contextmanager
def asked(server: ServerProcess, body: bytes) -> Iterator[socket.socket]:
    """A client that has posted a body, and waits."""
    head = f"POST /v1/tables HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        yield connection


def make(server: ServerProcess, spec: object) -> int:
    """The status of a POST."""
    with urllib3.PoolManager(timeout=120, retries=False) as pool:
        return pool.request("POST", f"{server.url}/v1/tables", json=spec).status


def eventually(server: ServerProcess, path: str, said: bytes) -> bool:
    """Wait until the server says that."""
    deadline = time.monotonic() + 120
    while said not in server.get(path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return True


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for found in Path(f"/proc/{pid}/task").glob("*/children") for child in found.read_text().split()]


def test_what_never_ends_is_in_nobodys_way(server: ServerProcess) -> None:
    """Other tables are computed meanwhile, and afterwards; readiness, metrics and the log say what there is."""
    endless = constant(ENDLESS).model_dump_json().encode()
    with asked(server, endless):
        assert eventually(server, "/readyz?verbose", b'"computations":"one has run for ')
        assert make(server, OTHER) == 201
        assert b"lrtables_computation_running_seconds 0.0" not in server.get("/metrics")
        assert server.get("/readyz").startswith(b'{"status":"ok"')
    assert eventually(server, "/metrics", b"lrtables_computations_killed_total 1.0")
    assert make(server, {**OTHER, "total_steps": 1001}) == 201
    assert eventually(server, "/readyz?verbose", b'"computations":"ok"')
    status, log = server.stop()
    assert status == 0
    assert "the computation did not stop; its process was killed" in log


def test_what_never_ends_ends_with_the_server(server: ServerProcess) -> None:
    """A server that computes without end stops when it is told to, and none of its processes is left."""
    with asked(server, constant(ENDLESS).model_dump_json().encode()):
        assert eventually(server, "/readyz?verbose", b'"computations":"one has run for ')
        workers = children(server.process.pid)
        assert server.stop()[0] == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_processes_end_with_a_server_that_is_killed(server: ServerProcess) -> None:
    """Where the server is killed its processes end by themselves, though one of them computes without end."""
    with asked(server, constant(ENDLESS).model_dump_json().encode()):
        assert eventually(server, "/readyz?verbose", b'"computations":"one has run for ')
        workers = children(server.process.pid)
        server.kill()
    deadline = time.monotonic() + 120
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_text_that_is_read_without_end_does_not_keep_the_server(server: ServerProcess) -> None:
    """Told to stop while a thread does not come to an end, the server ends all the same, and says so."""
    unreadable = json.dumps({**json.loads(constant(UNREADABLE).model_dump_json()), "padding": "x" * SMALL})
    with asked(server, unreadable.encode()):
        assert make(server, OTHER) == 201
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(120) == 0
    assert "the server did not stop within drain_seconds and 1 s: exiting now" in server.log()
