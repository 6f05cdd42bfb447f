"""A raw server that writes whatever a test likes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any


@dataclass
class Request:
    """The request that the client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its X-Request-ID."""
        return self.headers.get("x-request-id", "")


Script = Callable[[Request, socket.socket], None]
"""Answers a request in raw bytes; the connection is closed where it raises OSError."""


class HostileServer:
    """A raw server on the loopback: it reads requests, and its `script` writes whatever it likes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.script: Script = lambda request, connection: None
        self.serve: Callable[[socket.socket], None] = self.answer_requests
        """Handler of a connection."""
        self.seen: list[Request] = []
        self._connections: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """End every connection and thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.add(connection)
                thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
                self._threads = [thread, *(other for other in self._threads if other.is_alive())]
                thread.start()

    def _run(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self.serve(connection)
        self._connections.discard(connection)

    def answer_requests(self, connection: socket.socket) -> None:
        """Let the script answer each request on a connection."""
        with connection, connection.makefile("rb") as lines:
            while (request := _read(lines)) is not None:
                self.seen.append(request)
                self.script(request, connection)


def _read(lines: Any) -> Request | None:
    first = lines.readline().decode()
    if not first.strip():
        return None
    method, path, _ = first.split()
    headers = {}
    while line := lines.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, path, headers, lines.read(int(headers.get("content-length", 0))))


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """A server that runs meanwhile."""
    server = HostileServer()
    try:
        yield server
    finally:
        server.close()


def through_tls(server: HostileServer, context: ssl.SSLContext) -> str:
    """Let a server speak TLS; its address."""
    plain = server.serve
    server.serve = lambda connection: plain(context.wrap_socket(connection, server_side=True))
    return server.url.replace("http:", "https:")


def response(request: Request, body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A sound response; headers are given as `content_length="3"`, and left out by "-"."""
    fields = {"content_length": str(len(body)), "x_request_id": request.id, **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value != "-"]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body
