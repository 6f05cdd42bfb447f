"""A large body: received straight into its memory, and resumed where a connection broke."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from client import Client, UnexpectedResponseError
from client.http.responses import Download
from client.http.transport import Transport
from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay
from tests.support.client.hostile_server import HostileServer, Request, hostile_server, response
from tests.support.servers.fault_proxy import FaultProxy, Profile, Visit
from tests.support.servers.process import ServerProcess

BODY = bytes(range(256)) * 4000
HALF = len(BODY) // 2
TAG = '"v1"'


class Kept:
    """Memory that counts how often it was asked for."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def allocate(self, nbytes: int) -> memoryview:
        self.lengths.append(nbytes)
        return memoryview(bytearray(nbytes))


def fetch(server: HostileServer, kept: Kept, *, max_bytes: int = 2**24) -> bytes:
    transport = Transport(server.url, timeout=10.0)
    try:
        found = transport.send(
            "GET", "/x", deadline=time.monotonic() + 30.0, max_bytes=max_bytes, download=Download(kept.allocate)
        )
        return bytes(found.body)
    finally:
        transport.close()


def breaks(server: HostileServer, *, etag: str = TAG, **second: Any) -> None:
    """Break the first response in its middle; answer the second request as told, else with the part it asks for."""

    def script(request: Request, connection: socket.socket) -> None:
        if len(server.seen) == 1:
            connection.sendall(response(request, BODY, etag=etag)[:-HALF])
            connection.shutdown(socket.SHUT_WR)
            return
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        part = {"content_range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}", "status": "206 Partial Content"}
        given = {"body": BODY[start:], "etag": etag, **(part if start else {}), **second}
        connection.sendall(response(request, **given))

    server.script = script


def test_a_broken_body_is_resumed_under_its_tag() -> None:
    """The second request asks for what is missing, under the strong tag of the first; the whole is in one memory."""
    with hostile_server() as server:
        breaks(server)
        kept = Kept()
        assert fetch(server, kept) == BODY
    first, second = server.seen
    assert "range" not in first.headers
    start = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= HALF
    assert second.headers["if-range"] == TAG
    assert kept.lengths == [len(BODY)]


def test_a_whole_body_in_answer_to_a_range_starts_again() -> None:
    """A 200 to the request for a part is the whole body, of another version too: nothing of the two is mixed."""
    other = bytes(reversed(BODY)) + b"more"
    with hostile_server() as server:
        breaks(server, status="200 OK", body=other, content_length=str(len(other)), content_range="-", etag='"v2"')
        kept = Kept()
        assert fetch(server, kept) == other
    assert kept.lengths == [len(BODY), len(other)]


@pytest.mark.parametrize("etag", ["-", 'W/"v1"'], ids=["none", "weak"])
def test_without_a_strong_tag_the_whole_is_asked_for(etag: str) -> None:
    """A weak tag, or none, does not prove that two parts belong together."""
    with hostile_server() as server:
        breaks(server, etag=etag)
        assert fetch(server, Kept()) == BODY
    assert "range" not in server.seen[1].headers


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"content_range": "bytes 5-9/10", "body": b"12345"}, id="another-part"),
        pytest.param({"content_range": "-"}, id="no-range"),
        pytest.param({"content_range": "bytes 0-1/2", "body": b"12"}, id="another-length"),
        pytest.param({"content_range": "nonsense"}, id="nonsense"),
        pytest.param({"body": b"123", "content_length": "3"}, id="shorter-than-said"),
        pytest.param(
            {"content_length": "-", "transfer_encoding": "chunked", "body": b"1\r\nx\r\n0\r\n\r\n"}, id="chunks"
        ),
    ],
)
def test_another_part_than_asked_for_is_refused(second: dict[str, str]) -> None:
    """A part that does not follow on what is here is an error, never stitched to it."""
    with hostile_server() as server:
        breaks(server, **second)
        with pytest.raises(UnexpectedResponseError, match=r"a part that was not asked for|its part has 3 bytes"):
            fetch(server, Kept())


def test_a_part_that_nobody_asked_for_is_refused() -> None:
    """A 206 to a request for the whole is an error, with memory for a download or without."""
    with hostile_server() as server:
        server.script = lambda request, connection: connection.sendall(
            response(request, b"12345", "206 Partial Content", content_range="bytes 0-4/5")
        )
        with pytest.raises(UnexpectedResponseError, match="a part that was not asked for"):
            fetch(server, Kept())
        transport = Transport(server.url, timeout=10.0)
        with pytest.raises(UnexpectedResponseError, match="a part that was not asked for"):
            transport.request("GET", "/x", deadline=time.monotonic() + 30.0, max_bytes=100)
        transport.close()


def test_no_memory_is_made_for_a_body_that_is_too_long() -> None:
    """The announced length is checked before memory is asked for."""
    with hostile_server() as server:
        server.script = lambda request, connection: connection.sendall(
            response(request, b"", content_length=str(10**15))
        )
        kept = Kept()
        with pytest.raises(UnexpectedResponseError, match=f"it has {10**15} bytes, and at most 1000 were asked for"):
            fetch(server, kept, max_bytes=1000)
    assert kept.lengths == []


def test_a_real_service_resumes_through_breaking_connections(shared_server: ServerProcess, tmp_path: Path) -> None:
    """Where each connection breaks after a third of 8 MB, the table comes whole, and less than twice is sent."""
    steps = 1_000_000
    spec = Spec(schedule=WarmupWithDecay(7e-4, 10_000, steps), total_steps=steps)
    table = Table.compute(spec)
    with Client(shared_server.url, cache=False) as client:
        client.fetch(spec)
    third = table.nbytes // 3

    async def cut(visit: Visit) -> None:
        async for exchange in visit.exchanges():
            whole = exchange.response
            await visit.send(whole.head + whole.body[:third])
            if len(whole.body) > third:
                return  # FIN, and not RST, with which this end would throw away what the client has yet to read

    with (
        FaultProxy(shared_server.port) as proxy,
        proxy.faulty(Profile("cut", cut)),
        Client(proxy.url, compute=False, cache=tmp_path) as client,
    ):
        assert client.get(table.digest) == table
        assert 2 <= client.stats().retries <= 6
        assert proxy.counts.sent < 2 * table.nbytes
