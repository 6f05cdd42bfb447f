"""A TCP proxy that makes real trouble between a client and a server: slow, silent, damaged, cut."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

Stream = Iterator[bytes]
Fault = Callable[[Stream], Stream]  # what one side of a connection sends, and what of it arrives

_VERSION = b"HTTP/1.1"
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


def unchanged(stream: Stream) -> Stream:
    """No fault."""
    return stream


def hung(stream: Stream) -> Stream:
    """Everything is taken, nothing arrives, and the connection stays."""
    for _ in stream:
        yield b""


def slow(bytes_per_second: int) -> Fault:
    """Everything arrives, in its own time."""

    def drip(stream: Stream) -> Stream:
        piece = max(1, bytes_per_second // 20)
        for chunk in stream:
            for start in range(0, len(chunk), piece):
                time.sleep(1 / 20)
                yield chunk[start : start + piece]

    return drip


def cut(bytes_before: int) -> Fault:
    """The connection ends after so many bytes."""

    def stop(stream: Stream) -> Stream:
        left = bytes_before
        for chunk in stream:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    return stop


def flipped(stream: Stream) -> Stream:
    """One bit of every piece of an HTTP body is another; heads are as they were."""
    for chunk in stream:
        head, body = _split(chunk)
        yield head + bytes([body[0] ^ 1]) + body[1:] if body else head


def shortened(stream: Stream) -> Stream:
    """Every HTTP body lacks its last byte, and its length says so: a well-formed response with too little in it."""
    left = 0
    for chunk in stream:
        head, body = _split(chunk)
        if head and (length := _LENGTH.search(head)):
            left = max(0, int(length[1]) - 1)
            head = _LENGTH.sub(b"content-length: %d" % left, head)
        yield head + body[:left]
        left -= len(body[:left])


def failing(stream: Stream) -> Stream:
    """Every HTTP response says 500, though the server has done what it was asked for."""
    for chunk in stream:
        if chunk.startswith(_VERSION):
            yield _ERROR


def _split(chunk: bytes) -> tuple[bytes, bytes]:
    """Split a chunk into the head of an HTTP request or response, and its body."""
    if _VERSION not in chunk.partition(b"\r\n")[0]:
        return b"", chunk
    head, found, body = chunk.partition(b"\r\n\r\n")
    return head + found, body


class Proxy:
    """A free port of 127.0.0.1 that leads to another one: faithfully, but within `faulty`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._responses: Fault = unchanged
        self._requests: Fault = unchanged
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for a connection, which `close` does not
        self._listener.close()
        self._drop()

    @contextmanager
    def faulty(self, responses: Fault = unchanged, requests: Fault = unchanged) -> Iterator[None]:
        """Let what the server sends, or what the client sends, suffer this; connections that stand are dropped."""
        self._responses, self._requests = responses, requests
        self._drop()
        try:
            yield
        finally:
            self._responses = self._requests = unchanged
            self._drop()

    def _drop(self) -> None:
        for connection in tuple(self._open):
            _end(connection)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed: this is the end
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            ends = {client, server}
            self._open |= ends
            up = threading.Thread(target=_pump, args=(client, server, self._requests), daemon=True)
            up.start()
            _pump(server, client, self._responses)
            up.join()
            self._open -= ends


def _pump(source: socket.socket, sink: socket.socket, fault: Fault) -> None:
    """Carry bytes until one side or the fault ends the connection."""
    with suppress(OSError):
        for chunk in fault(_chunks(source)):
            sink.sendall(chunk)
    _end(source)
    _end(sink)


def _chunks(source: socket.socket) -> Stream:
    while chunk := source.recv(2**16):
        yield chunk


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
