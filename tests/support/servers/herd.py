"""A herd of clients that ask for one table all at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import Any, cast

import uvloop

STEPS = 1_000_000
SPEC = {
    "schedule": {
        "kind": "custom.WarmupWithDecay",
        "base_lr": 5e-4,
        "warmup_steps": STEPS // 10,
        "total_steps": STEPS,
        "min_lr": 1e-6,
    },
    "total_steps": STEPS,
}
TABLE = 8 * STEPS  # bytes of its table


def memory_bound(clients: int) -> int:
    """The bytes that a server may take for so many clients of one table: five tables, and 16 kB for each client."""
    return 5 * TABLE + 16_000 * clients


class Response:
    """An HTTP response as it comes in: status, headers, and how many bytes of the body are there."""

    def __init__(self) -> None:
        self.head = b""
        self.received = 0
        self.length = -1

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.head.split(b" ", 2)[1])

    def header(self, name: bytes) -> bytes:
        """The value of a header that is there."""
        return self.head.lower().split(b"\r\n" + name + b": ")[1].split(b"\r\n")[0]


class HerdClient(asyncio.BufferedProtocol):
    """One connection that posts a spec, then fetches the table that the response points at.

    `expected`, where given, is compared with every byte of the table as it arrives.
    """

    scratch = bytearray(2**20)  # what arrives is looked at and forgotten: one buffer for all

    def __init__(self, post: bytes, done: asyncio.Future[None], expected: bytes | None) -> None:
        self.status = 0
        self.location = b""
        self._post = post
        self._done = done
        self._expected = expected
        self._response = Response()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's has the methods and not the base class

    def start(self) -> None:
        """Ask."""
        self.transport.write(self._post)

    def get_buffer(self, sizehint: int) -> bytearray:
        """The buffer for the next bytes."""
        return self.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        try:
            self._take(bytes(self.scratch[:nbytes]) if self._wants_bytes else b"", nbytes)
        except Exception as error:
            self._fail(error)

    @property
    def _wants_bytes(self) -> bool:
        return self._response.length < 0 or self._expected is not None

    def _take(self, data: bytes, nbytes: int) -> None:
        response = self._response
        if response.length < 0:
            response.head += data
            head, found, data = response.head.partition(b"\r\n\r\n")
            if not found:
                return
            response.head, nbytes = head + b"\r\n", len(data)
            response.length = int(response.header(b"content-length"))
        if self.location and self._expected is not None:
            assert data == self._expected[response.received : response.received + nbytes], "other bytes than expected"
        response.received += nbytes
        if response.received == response.length:
            self._finish(response)

    def _finish(self, response: Response) -> None:
        if self.location:
            assert response.status == 200, response.head
            self.transport.close()
            self._done.set_result(None)
            return
        assert response.status in (200, 201), response.head
        self.status, self.location = response.status, response.header(b"location")
        self._response = Response()
        self.transport.write(b"GET %s.safetensors HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.location)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._fail(exc or ConnectionError("closed before the response was whole"))

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)
        self.transport.close()


class Herd:
    """Results of a herd: seconds from the first request to the last byte, statuses of the POSTs, addresses."""

    def __init__(self, seconds: float, clients: Sequence[HerdClient]) -> None:
        self.seconds = seconds
        self.statuses = sorted(client.status for client in clients)
        self.locations = {client.location for client in clients}


def herd(ports: int | Sequence[int], spec: Mapping[str, Any], clients: int, expected: bytes | None = None) -> Herd:
    """Connect `clients` times, to these ports in turn, then ask with all of them at once for the table of a spec."""
    return uvloop.run(_herd([ports] if isinstance(ports, int) else ports, spec, clients, expected))


def _same(protocol: HerdClient) -> HerdClient:
    return protocol


async def _herd(ports: Sequence[int], spec: Mapping[str, Any], clients: int, expected: bytes | None) -> Herd:
    loop = asyncio.get_running_loop()
    body = json.dumps(spec).encode()
    head = (
        b"POST /v1/tables HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    post = head % len(body) + body
    done = [loop.create_future() for _ in range(clients)]
    protocols = [HerdClient(post, one, expected) for one in done]
    for protocol, port in zip(protocols, cycle(ports), strict=False):
        await loop.create_connection(partial(_same, protocol), "127.0.0.1", port)
    started = time.perf_counter()
    for protocol in protocols:
        protocol.start()
    async with asyncio.timeout(300):
        await asyncio.gather(*done)
    return Herd(time.perf_counter() - started, protocols)
