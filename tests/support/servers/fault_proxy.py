"""A proxy between clients and a real server, on a free port of 127.0.0.1: it counts what passes, and fails as told.

It reads whole HTTP requests and responses, so that a profile can fail at a byte of a body, or answer something else.
`tests.support.servers.faults` has a simpler proxy, which knows streams of bytes only, for what is behind a server.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")
_MOST_HEAD = 2**18
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER without patience: close sends RST instead of FIN
_PIECE = 2**16


class Message(NamedTuple):
    """A request or a response."""

    head: bytes
    """The lines before the body, with the empty one that ends them."""
    body: bytes

    @property
    def data(self) -> bytes:
        """All of its bytes."""
        return self.head + self.body


class Exchange(NamedTuple):
    """A client's request, and what the server answered to it."""

    request: Message
    response: Message


@dataclass
class Counts:
    """What passed since the proxy began: `sent` and `received` are bytes to and from clients, `at` in seconds."""

    connections: int = 0
    sent: int = 0
    received: int = 0
    at: list[float] = field(default_factory=list)
    """When each request had arrived, on the clock `time.monotonic`."""


class Visit:
    """One connection of a client."""

    def __init__(self, target: int, counts: Counts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._target = target
        self._counts = counts
        self._reader = reader
        self._writer = writer

    async def requests(self) -> AsyncIterator[Message]:
        """The client's requests, until it closes."""
        while (request := await _read(self._reader)) is not None:
            self._counts.at.append(time.monotonic())
            self._counts.received += len(request.data)
            yield request

    async def exchanges(
        self, change: Callable[[Message], Message] = lambda request: request
    ) -> AsyncIterator[Exchange]:
        """The client's requests, each sent on to the server as `change` makes it, with the answers."""
        server: asyncio.StreamWriter | None = None
        try:
            async for request in self.requests():
                if server is None:
                    answers, server = await _connect(self._target)
                server.write((request if change is None else change(request)).data)
                await server.drain()
                response = await _read(answers, to=request)
                if response is None:
                    return
                yield Exchange(request, response)
        finally:
            if server is not None:
                server.close()

    async def send(self, data: bytes) -> None:
        """Send bytes to the client."""
        self._counts.sent += len(data)
        self._writer.write(data)
        await self._writer.drain()

    async def reset(self) -> None:
        """End the connection with RST."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    def stop_reading(self) -> None:
        """Take nothing of what the client sends any more."""
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    async def until_closed(self) -> None:
        """Read, and forget what is read, until the client closes."""
        while await self._reader.read(_PIECE):
            pass


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the server. A connection that comes about after this was cancelled is closed."""
    task = asyncio.create_task(asyncio.open_connection("127.0.0.1", port))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_abort)
        raise


def _abort(task: asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result()[1].transport.abort()


async def _read(reader: asyncio.StreamReader, to: Message | None = None) -> Message | None:
    """The next request, or the response `to` one; None where the other end closed before it was whole."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        has_body = length is not None and not (to is not None and to.head.startswith(b"HEAD "))
        has_body = has_body and b" 304 " not in head.partition(b"\r\n")[0]
        return Message(head, await reader.readexactly(int(length[1])) if has_body and length else b"")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


@dataclass(frozen=True)
class Profile:
    """A named way to fail."""

    name: str
    serve: Callable[[Visit], Awaitable[None]] | None
    """What becomes of a connection; None where there is no listener at all."""

    def __str__(self) -> str:
        return self.name


async def _pass_on(visit: Visit) -> None:
    async for exchange in visit.exchanges():
        await visit.send(exchange.response.data)


FAITHFUL = Profile("faithful", _pass_on)
"""Everything arrives as it was sent."""


class FaultProxy:
    """A port that leads to another one: faithfully, but within `faulty`."""

    def __init__(self, target: int) -> None:
        self.counts = Counts()
        self._target = target
        self._profile = FAITHFUL
        self._left = 0  # connections that the profile still applies to
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener: socket.socket | None = None
        self._taking: set[asyncio.Task[Any]] = set()
        # Bound and never listening, it keeps the port while there is no listener: no other process takes it, and no
        # client that connects to it gets it as its own port, which TCP would then connect to itself.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port: int = self._place.getsockname()[1]
        self._wait(self._listen())
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._place.close()

    @contextmanager
    def faulty(self, profile: Profile, first: int | None = None) -> Iterator[None]:
        """Let connections fail like this, or only the `first` ones from now; those that stand are dropped."""
        self._wait(self._change(profile, first))
        try:
            yield
        finally:
            self._wait(self._change(FAITHFUL, None))

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _change(self, profile: Profile, first: int | None) -> None:
        self._profile, self._left = profile, -1 if first is None else first
        await self._drop()
        if profile.serve is None:
            await self._stop_listening()
        elif self._listener is None:
            await self._listen()

    async def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=4096)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._take, self._listener)

    def _take(self, listener: socket.socket) -> None:
        """Take a connection. asyncio's own server leaks those that come while it is closed."""
        with suppress(OSError):
            connection, _ = listener.accept()
            reader = asyncio.StreamReader(_MOST_HEAD)
            protocol = asyncio.StreamReaderProtocol(reader, self._accept)
            task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: protocol, connection))
            self._taking.add(task)  # never cancelled, which would lose the connection
            task.add_done_callback(self._taking.discard)

    async def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _drop(self) -> None:
        tasks = tuple(self._tasks)
        for writer in tuple(self._writers):
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self) -> None:
        await self._stop_listening()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:  # those that accept and connect, too
            await self._drop()
            await asyncio.wait(others, timeout=1)
        await self._loop.shutdown_asyncgens()
        for _ in range(2):  # transports that were aborted close their sockets in the next turn
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        self._writers.add(writer)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        profile = self._profile if self._left else FAITHFUL
        self._left -= self._left > 0
        serve = profile.serve
        try:
            with suppress(ConnectionError):
                if serve is not None:
                    await serve(Visit(self._target, self.counts, reader, writer))
        finally:
            self._writers.discard(writer)
            writer.close()
