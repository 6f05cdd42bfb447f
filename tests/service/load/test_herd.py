"""Many clients at once, against a real server."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from scheduler import Spec, Table
from service.server.file_limit import raise_file_limit
from tests.support.servers.herd import SPEC, STEPS, herd, memory_bound
from tests.support.servers.process import ServerProcess


@pytest.mark.parametrize("clients", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_herd_shares_one_computation(server: ServerProcess, clients: int) -> None:
    """However many ask at once for a cold table of a million steps: one computation, the same bytes for all."""
    table = Table.compute(Spec.model_validate_json(json.dumps(SPEC)))
    server.get("/readyz")
    idle = server.memory()
    server.reset_peak()
    fared = herd(server.port, SPEC, clients, expected=table.to_bytes())
    assert server.counters()["computations"] == 1
    assert fared.statuses == [200] * (clients - 1) + [201]
    assert fared.locations == {f"/v1/tables/{table.digest}".encode()}
    assert server.memory("VmHWM") - idle <= memory_bound(clients)


@pytest.mark.slow(10)
def test_a_cluster_is_served(server: ServerProcess) -> None:
    """4,096 clients at once get a table that nobody had asked for, and get it again: one computation, little memory."""
    clients, steps = 4096, STEPS // 4  # 16 GB for all of them
    raise_file_limit(clients)
    server.get("/readyz")
    idle = server.memory()
    server.reset_peak()
    cold, warm = (herd(server.port, {**SPEC, "total_steps": steps}, clients) for _ in ("cold", "warm"))
    assert cold.statuses == [200] * (clients - 1) + [201]
    assert warm.statuses == [200] * clients
    assert cold.locations == warm.locations
    assert len(cold.locations) == 1
    assert server.counters()["computations"] == 1
    assert server.memory("VmHWM") - idle <= memory_bound(clients)


def test_two_tables_do_not_wait_for_each_other(shared_server: ServerProcess) -> None:
    """Two specs asked for at once by many are two computations, each answered with its own table."""
    specs = [{**SPEC, "total_steps": steps} for steps in (100_001, 200_001)]
    digests = [Table.compute(Spec.model_validate_json(json.dumps(spec))).digest for spec in specs]
    before = shared_server.counters()["computations"]
    with urllib3.PoolManager(maxsize=20) as pool, ThreadPoolExecutor(20) as executors:

        def ask(number: int) -> str:
            manifest = pool.request("POST", f"{shared_server.url}/v1/tables", json=specs[number % 2]).json()
            digest: str = manifest["digest"]
            return digest

        assert list(executors.map(ask, range(40))) == digests * 20
    assert shared_server.counters()["computations"] == before + 2


def asking(spec: dict[str, Any]) -> bytes:
    """A request for the table of a spec."""
    body = json.dumps(spec).encode()
    head = (
        f"POST /v1/tables HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    return head.encode() + b"\r\n\r\n" + body


def test_clients_that_leave_harm_nobody(server: ServerProcess) -> None:
    """Clients that go away, while their table is computed or while they ask, leave those who stay undisturbed."""
    for _ in range(5):
        leave(server.port, asking(SPEC))
        leave(server.port, asking(SPEC)[:-20])
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", f"{server.url}/v1/tables", json=SPEC)
    assert answer.status in (200, 201)
    assert server.stop() == (0, "")


def test_nothing_is_computed_for_nobody(server: ServerProcess) -> None:
    """A computation that would take minutes ends when those who asked for it are gone, and another one begins."""
    constant = {"kind": "Constant", "value": 1.0}
    endless = {"kind": "Product", "schedules": [{"kind": "Product", "schedules": [constant] * 90}] * 90}
    for _ in range(2):
        leave(server.port, asking({"schedule": endless, "total_steps": 10_000_000}))
    with urllib3.PoolManager(timeout=60, retries=False) as pool:
        answer = pool.request("POST", f"{server.url}/v1/tables", json=SPEC)
    assert answer.status == 201


def leave(port: int, request: bytes) -> None:
    """Send something and hang up."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)


def test_stalled_readers_cost_little(server: ServerProcess) -> None:
    """Thirty-two clients that ask for 8 MB and do not read cost the server far less than what they asked for."""
    with urllib3.PoolManager() as pool:
        manifest: dict[str, Any] = pool.request("POST", f"{server.url}/v1/tables", json=SPEC).json()
    request = f"GET {manifest['links']['npy']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    before = server.memory()
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(32)]
    for connection in connections:
        connection.sendall(request)
    for connection in connections:
        assert connection.recv(20) == b"HTTP/1.1 200 OK\r\ndat"
    assert server.get("/livez") == b'{"status":"ok"}'
    assert server.memory() - before <= 8 * 2**20
    for connection in connections:
        connection.close()
