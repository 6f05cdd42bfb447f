"""Connections to one service, made by urllib3; each request on them has one deadline and a limit in bytes.

urllib3 and http.client know a timeout for each receive alone, and no limit on what precedes and surrounds a body. So
the sockets here are subclasses. They check before every operation how many seconds are left, and count the bytes they
receive. Every read (status line, header, chunk size, trailer, interim response) therefore respects both limits.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http.client import HTTPResponse
from threading import Thread
from typing import Any

from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.url import Url

_MOST_IDLE = 8  # connections that wait for a next request; the threads of a program rarely need more
_LONGEST_WAIT = 86400.0  # seconds: a socket takes no infinite timeout

Addresses = list[tuple[Any, ...]]
"""The result of `socket.getaddrinfo`."""


class ResponseError(Exception):
    """A response that must not be read further. Not a ValueError, which http.client would take for a bad chunk."""


class ResponseTooLargeError(ResponseError):
    """A response larger than its limit."""


class OutOfTimeError(TimeoutError):
    """The deadline passed before an operation began."""


class NotBegunError(TimeoutError):
    """The deadline passed before a connection was attempted."""


class NotConnectedError(ConnectionError):
    """No connection was made: nothing of the request was sent."""


class RefusedError(NotConnectedError):
    """The machine is there, and refuses the connection: nobody listens at the port."""


class UnknownHostError(NotConnectedError):
    """The look-up of the host's name has found no address."""


class Limits:
    """The limits of the current request: seconds until its deadline, and bytes of its response."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def start(self, deadline: float, timeout: float, nbytes: int) -> None:
        """Begin a request.

        Args:
            deadline: on the clock `time.monotonic`.
            timeout: seconds that one operation may wait.
            nbytes: bytes that may be received, until more are allowed.
        """
        self._deadline = deadline
        self._timeout = timeout
        self._nbytes = nbytes

    def allow(self, nbytes: int) -> None:
        """Raise the limit of bytes that may be received."""
        self._nbytes += nbytes

    def seconds(self, parts: int = 1) -> float:
        """Seconds that the next operation may take, where `parts` operations share what is left.

        Raises `OutOfTimeError` where nothing is left, `ConnectionAbortedError` in a process forked during the request:
        its parent goes on with the same connection.
        """
        if os.getpid() != self._process:
            raise ConnectionAbortedError("this process was forked in the middle of a request")
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise OutOfTimeError("the deadline came")
        return min(self._timeout, left / parts, _LONGEST_WAIT)

    def received(self, nbytes: int) -> int:
        """Count received bytes. Raises `ResponseTooLargeError` where they are too many."""
        self._nbytes -= nbytes
        if self._nbytes < 0:
            raise ResponseTooLargeError("it has more bytes than were asked for")
        return nbytes


class _Socket(socket.socket):
    """A socket that enforces the limits of the current request."""

    limits: Limits

    @override
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.limits.seconds())
        return self.limits.received(super().recv_into(*args, **kwargs))

    @override
    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.limits.seconds())
        return super().send(*args, **kwargs)

    @override
    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.limits.seconds())
        super().sendall(*args, **kwargs)


class _TLSSocket(_Socket, ssl.SSLSocket):
    """The same through TLS. The whole handshake is limited by the timeout of the underlying socket."""


class _Lookup:
    """Look-up of one host's addresses. The system's look-up has no timeout, so it runs in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._arguments = (host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        self._pending: Future[Addresses] | None = None

    def addresses(self, limits: Limits) -> Addresses:
        """All addresses. A host that is a number is not looked up."""
        try:
            return socket.getaddrinfo(*self._arguments, 0, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass
        pending = self._pending
        if pending is None or pending.done():  # one that outlasted its request is waited for again, not repeated
            pending = self._pending = Future()
            Thread(target=self._look_up, args=(pending,), daemon=True).start()
        return pending.result(limits.seconds())

    def _look_up(self, pending: Future[Addresses]) -> None:
        try:
            pending.set_result(socket.getaddrinfo(*self._arguments))
        except Exception as error:
            pending.set_exception(error)


def _kind_of(error: OSError) -> type[NotConnectedError]:
    if isinstance(error, ConnectionRefusedError):
        return RefusedError
    return UnknownHostError if isinstance(error, socket.gaierror) else NotConnectedError


class Connection(HTTPConnection):
    """A connection whose operations respect the `limits` of the current request."""

    def __init__(self, host: str, port: int, lookup: _Lookup, **kwargs: Any) -> None:
        super().__init__(host, port, **kwargs)
        self.limits = Limits()
        self.is_reusable = False
        """Whether the last response was the right one and was read completely, so the connection can be used again."""
        self._lookup = lookup
        self._wire: socket.socket | None = None  # `sock` is None once a response says that it is the last

    @override
    def connect(self) -> None:
        super().connect()
        self._wire = self.sock

    @override
    def _new_conn(self) -> socket.socket:
        try:
            return self._connected(self._lookup.addresses(self.limits))
        except OutOfTimeError as error:
            raise NotBegunError("the deadline came before a connection was tried") from error
        except OSError as error:
            raise _kind_of(error)(f"no connection to {self.host}: {error}") from error

    def _connected(self, addresses: Addresses) -> socket.socket:
        """A socket connected to the first address that answers; each has an equal share of the time that is left."""
        failure: OSError | None = None
        for index, (*kind, _, address) in enumerate(addresses):
            made = _Socket(*kind)
            try:
                made.settimeout(self.limits.seconds(parts=len(addresses) - index))
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.connect(address)
                made.settimeout(self.limits.seconds())  # which a TLS handshake has
            except OSError as error:
                made.close()
                failure = error if failure is None or not isinstance(error, OutOfTimeError) else failure
            else:
                made.limits = self.limits
                return made
        try:
            raise failure or OSError("the host has no address")
        finally:
            failure = None  # else the error and this frame would keep each other, and the caller's frames, alive

    def raw_response(self) -> HTTPResponse:
        """The response as http.client gives it, whose `readinto` receives straight into memory; urllib3's copies."""
        return http.client.HTTPConnection.getresponse(self)

    def end(self) -> None:
        """Close the connection, and its file too, to which a refused response may still refer."""
        self.close()
        self.close_file()

    def close_file(self) -> None:
        """Close the socket's file only: nothing is sent and no lock is taken. For a forked process."""
        wire, self._wire = self._wire, None
        descriptor = -1 if wire is None else wire.detach()
        if descriptor >= 0:
            os.close(descriptor)


class _TLSConnection(Connection, HTTPSConnection):
    """The same through TLS; the certificate is verified."""

    @override
    def connect(self) -> None:
        super().connect()
        assert isinstance(self.sock, _TLSSocket)
        self.sock.limits = self.limits


def _tls_context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_default_certs()
    context.sslsocket_class = _TLSSocket
    return context


class Connections:
    """The connections of one process to one service. Threads may share them; a forked process must not.

    No lock is ever held: a fork in the middle of anything leaves nothing locked.
    """

    def __init__(self, url: Url) -> None:
        self.process = os.getpid()
        host, port = (url.host or "").strip("[]"), url.port or {"http": 80, "https": 443}[url.scheme or "http"]
        self._arguments = (host, port, _Lookup(host, port))
        self._tls = _tls_context() if url.scheme == "https" else None
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        weakref.finalize(self, _close_all, self._open)

    @contextmanager
    def acquire(self, *, new: bool = False) -> Iterator[Connection]:
        """A connection for one request: an idle one, unless a `new` one is asked for.

        Afterwards it is kept for the next request if it `is_reusable`, else closed.
        """
        connection = self._make() if new else self._take()
        connection.is_reusable = False
        try:
            yield connection
        finally:
            if connection.is_reusable and connection.sock is not None and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
            else:
                self._close(connection)

    def _take(self) -> Connection:
        while (idle := self._pop_idle()) is not None:
            if idle.is_connected:  # not closed by the other end, and no unrequested bytes received
                return idle
            self._close(idle)
        return self._make()

    def _make(self) -> Connection:
        connection: Connection
        if self._tls is None:
            connection = Connection(*self._arguments)
        else:
            connection = _TLSConnection(*self._arguments, ssl_context=self._tls)
        self._open.add(connection)
        return connection

    def close(self) -> None:
        """Close the idle connections."""
        while (idle := self._pop_idle()) is not None:
            self._close(idle)

    def _pop_idle(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _close(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.end()

    def close_files(self) -> None:
        """In a forked process, close the files of all the parent's connections, including those in use."""
        for connection in list(self._open):
            connection.close_file()
        self._open.clear()
        self._idle.clear()


def _close_all(connections: set[Connection]) -> None:
    for connection in list(connections):
        connection.end()
