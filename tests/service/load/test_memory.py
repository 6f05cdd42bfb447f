"""Memory for what clients send and do not take, in a server's process of its own."""

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import urllib3

from tests.support.servers.herd import SPEC
from tests.support.servers.process import ServerProcess

MIB = 2**20


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(stack: ExitStack, server: ServerProcess) -> socket.socket:
    """A connection that stays open until the test ends."""
    return stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))


def grown(server: ServerProcess, before: int) -> int:
    """How many bytes more than before the server has, once its clients have waited for a while."""
    time.sleep(0.5)
    assert server.get("/livez") == b'{"status":"ok"}'
    return server.memory() - before


def test_unfinished_bodies_share_some_memory(server: ServerProcess, stack: ExitStack) -> None:
    """Three hundred bodies that lack one byte take little more than sixteen may; small ones pass."""
    server.get("/readyz")
    before = server.memory()
    head = f"POST /v1/tables HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {MIB}\r\n"
    connections = [connect(stack, server) for _ in range(300)]
    for connection in connections:
        with suppress(ConnectionError):  # the response came before all was sent
            connection.sendall(head.encode() + b"\r\n" + bytes(MIB - 1))
    assert grown(server, before) <= 100 * MIB
    refused = connections[-1].recv(MIB)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in refused.lower()
    with urllib3.PoolManager(retries=False, timeout=60) as pool:
        assert pool.request("POST", f"{server.url}/v1/tables", json=SPEC).status == 201


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("kind=Constant&value=1&steps=" + "0," * 24_999 + "0", id="long"),
        pytest.param("kind=Constant&value=1&steps=" + "9" * 59_000, id="no-step"),
        pytest.param("kind=Constant&steps=0&" + "&".join(f"x{number}=1" for number in range(6000)), id="many-unknown"),
        pytest.param("kind=Literal&steps=0&given=" + "x," * 29_000, id="many-items"),
        pytest.param("kind=" + "Constant" * 7000 + "&steps=0", id="no-kind"),
        pytest.param("kind=Constant&steps=0&" + "x" * 59_000 + "=1", id="long-name"),
        pytest.param("x" * 62_000, id="too-long"),
    ],
)
def test_a_long_query_is_answered_at_once(shared_server: ServerProcess, query: str) -> None:
    """However a query fills what there is room for, it is a table's values or a refusal that names what is wrong."""
    with urllib3.PoolManager(retries=False, timeout=60) as pool:
        answer = pool.request("GET", f"{shared_server.url}/v1/lr?{query}")
    assert answer.status in (200, 414, 422), answer.data[:500]
    assert answer.status == 200 or json.loads(answer.data)["code"] in {
        "invalid-request",
        "limit-exceeded",
        "query-too-long",
    }
    assert len(answer.data) < MIB


def test_long_headers_of_tables_take_little(server: ServerProcess) -> None:
    """A table whose header is too long is refused by its length; one that is as long as it may be keeps no memory."""
    size = 2 * MIB
    text = json.dumps({"__metadata__": {str(number): "x" * 100 for number in range(16_000)}}).encode()
    with urllib3.PoolManager(retries=False, timeout=60) as pool:

        def put(header: bytes) -> int:
            body = struct.pack("<Q", len(header)) + header + bytes(128)
            headers = {"content-type": "application/octet-stream"}
            return pool.request("PUT", f"{server.url}/v1/tables", body=body, headers=headers).status

        assert put(text.ljust(size)) == 422
        before = server.memory()
        assert [put(text.ljust(size)) for _ in range(8)] == [422] * 8
        for _ in range(8):
            with suppress(urllib3.exceptions.ProtocolError):  # the response came before all was sent
                assert put(bytes(8 * size)) == 422
    assert grown(server, before) <= 32 * MIB
