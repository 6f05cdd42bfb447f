"""A stand-in for a server behind nginx that records every request as it arrives, and answers as it is told."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

CHECK = "/v1/token/"
YES = b"HTTP/1.1 204 No Content\r\nCache-Control: max-age=5, stale-if-error=300\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """One request: its line, its headers by their names in lower case, its body."""

    line: bytes
    headers: dict[str, str]
    body: bytes

    @property
    def method(self) -> str:
        """The method."""
        return self.line.split(b" ")[0].decode("latin-1")

    @property
    def target(self) -> bytes:
        """What is between the method and the version."""
        return self.line.partition(b" ")[2].rpartition(b" ")[0]

    @property
    def is_check(self) -> bool:
        """Whether nginx asks for itself what a token allows."""
        return self.target.startswith(CHECK.encode())


def echo(request: Request) -> bytes:
    """Yes to a check; else 200 and a body that names the request's target and its Accept header."""
    if request.is_check:
        return YES
    body = named(request.target, request.headers.get("accept", ""))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nVary: Accept\r\nAccept-Ranges: bytes\r\n"
    head += "Cache-Control: private, max-age=9, immutable\r\n\r\n"
    return head.encode() + (b"" if request.method == "HEAD" else body)


def named(target: bytes, accept: str = "") -> bytes:
    """The body of `echo`."""
    return b"response to " + target + b" as " + accept.encode()


@dataclass
class Upstream:
    """Listens on a free port of the loopback, a thread for each connection, until it is stopped."""

    answer: Callable[[Request], bytes] = echo
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the listener and all connections: from now on nobody answers."""
        for one in (self._listener, *self._connections):
            with suppress(OSError):  # closed by the other end already
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def taken(self) -> list[Request]:
        """The requests since the last call."""
        found, self.requests = self.requests, []
        return found

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as stream:
                while (request := _read(stream.readline, stream.read)) is not None:
                    self.requests.append(request)
                    connection.sendall(self.answer(request))
        except (OSError, ValueError):
            pass  # stopped, or the answer is to go away
        finally:
            connection.close()


def _read(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> Request | None:
    line = readline()
    if not line:
        return None
    headers = {}
    while (field_line := readline()).strip():
        name, _, value = field_line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(line.rstrip(b"\r\n"), headers, _body(headers, readline, read))


def _body(headers: dict[str, str], readline: Callable[[], bytes], read: Callable[[int], bytes]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return read(int(headers.get("content-length", "0")))
    body = b""
    while size := int(readline(), 16):
        body += read(size)
        readline()
    readline()
    return body
