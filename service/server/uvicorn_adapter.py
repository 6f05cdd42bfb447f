"""The adapter to uvicorn's connections. Only this module uses uvicorn's private names; it gives others public ones.

uvicorn waits forever for a client to send or read, and has no hook to change that. So our connections are a subclass of
uvicorn's, which reads and overrides undocumented names that may change in any version. `check_uvicorn` checks them
before a server starts. `SUPPORTED` are the tested versions.
"""

from __future__ import annotations

import asyncio
import dis
import socket
import struct
import sys
from abc import abstractmethod
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from inspect import isfunction
from typing import Any, NoReturn

import uvicorn
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from typing_extensions import override

from service.server.deadlines import Progress

SUPPORTED = ">=0.45,<0.55"
"""The tested versions of uvicorn, the same as in pyproject.toml."""


class UnsupportedUvicornError(ImportError):
    """The installed uvicorn lacks a name that connections use."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"uvicorn {uvicorn.__version__} is not supported: {detail}; "
            f"pip install 'uvicorn[standard]{SUPPORTED}' installs a supported version"
        )


try:
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
    from uvicorn.server import Server, ServerState
except ImportError as error:
    raise UnsupportedUvicornError(str(error)) from error

NEEDED: Mapping[type, Sequence[str]] = {
    HttpToolsProtocol: (
        *("_start_asgi_task", "connection_lost", "connection_made", "on_body", "on_headers_complete"),
        *("on_message_complete", "on_response_complete", "shutdown"),
        *("client", "connections", "cycle", "flow", "headers", "loop", "parser", "pipeline", "scope", "server_state"),
        *("transport", "url"),
    ),
    RequestResponseCycle: (
        *("disconnected", "keep_alive", "message_event", "more_body", "response_complete", "response_started"),
        "waiting_for_100_continue",
    ),
    FlowControl: ("read_paused", "resume_reading", "write_paused"),
    ServerState: ("default_headers", "total_requests"),
    Server: ("handle_exit",),
}
"""The names of uvicorn that this module and `lrtables serve` use."""
_BYTES_MOVED = struct.Struct("=120xQQ")  # bytes acknowledged, bytes received: in Linux's struct tcp_info
_RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: drop unsent bytes, and send a reset to the client


def check_uvicorn() -> None:
    """Raise `UnsupportedUvicornError` if the installed uvicorn lacks a name in `NEEDED`."""
    for owner, names in NEEDED.items():
        for name in sorted({*names} - _names_of(owner)):
            raise UnsupportedUvicornError(f"it has no {owner.__name__}.{name}")


def _names_of(owner: type) -> set[str]:
    """Return the attributes of instances of a class: those of the class, and those that its methods assign."""
    functions = [value for base in owner.__mro__ for value in vars(base).values() if isfunction(value)]
    assigned = [one.argval for function in functions for one in dis.get_instructions(function) if _assigns(one)]
    return {*dir(owner), *assigned}


def _assigns(instruction: dis.Instruction) -> bool:
    return instruction.opname == "STORE_ATTR"


class MalformedRequestError(Exception):
    """A client sent invalid HTTP, or its request was refused while it was parsed."""


class _Finished:
    """A finished request, as placeholder for the one before a connection's first request."""

    response_complete = response_started = True
    message_event = asyncio.Event()  # set when the connection is lost; nobody waits for it


class _CommonHeaders:
    """uvicorn's default headers as lines. uvicorn makes a new list of them each second."""

    __slots__ = ("lines", "made_of")

    def __init__(self) -> None:
        self.made_of: object = None
        self.lines = b""

    def update(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Write the lines of another list."""
        self.made_of, self.lines = headers, b"".join(b"%b: %b\r\n" % header for header in headers)


_NONE_YET = _Finished()
_TRAILERS: deque[tuple[bytes, bytes]] = deque(maxlen=0)  # uvicorn appends trailers to this list: it drops them
_common = _CommonHeaders()


def _new_parser(connection: HttpToolsProtocol) -> HttpRequestParser:
    """Return a parser with the same options as uvicorn's."""
    parser = HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class UvicornConnection(HttpToolsProtocol):
    """A uvicorn connection with hooks for a subclass, and public properties of its state.

    A subclass defines the methods of the first section, and asyncio's `data_received`.
    """

    # In CPython, more than thirty attributes in an object's dictionary make access to all of them slower.
    __slots__ = ("_parsed_again", "_request_complete", "_request_with_headers", "_running", "client_address")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = _NONE_YET  # type: ignore[assignment]  # not a cycle, but it has the attributes used of a finished one
        self._running = self.cycle
        self._parsed_again = b""  # the head of a request with an Upgrade header, without that header
        self._request_with_headers: object = None  # the last request with complete headers
        self._request_complete: object = None  # the last complete request

    # -- hooks for a subclass -----------------------------------------------------------------------------------------

    @abstractmethod
    def opened(self, peers: Collection[Any]) -> None:
        """Called when the connection is open. `peers` are all connections of the server, including this one."""

    @abstractmethod
    def take_request(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Called with a request's complete headers. Return whether the response was sent, without the application."""

    @abstractmethod
    def body_arrived(self) -> None:
        """Called when a part of the last request's body has arrived."""

    @abstractmethod
    def stop(self, reason: str, detail: str) -> NoReturn:
        """Refuse the request that is being parsed."""

    @abstractmethod
    def all_answered(self) -> None:
        """Called when the response to the last request is complete."""

    @abstractmethod
    def draining(self) -> None:
        """Called when the server starts to stop."""

    # -- callbacks of uvicorn and its parser --------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.client_address = self.client[0] if self.client else ""  # without the port
        self.opened(self.connections)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.cycle = self._running  # uvicorn tells this one of the disconnect; queued requests never start
        self.pipeline.clear()
        super().connection_lost(exc)

    @override
    def shutdown(self) -> None:
        super().shutdown()
        self.draining()

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._parsed_again = self._without_upgrade()
            return
        if not self.take_request(self.headers):
            super().on_headers_complete()
        self._request_with_headers = self.scope
        self.headers = _TRAILERS  # type: ignore[assignment]  # not a list, but uvicorn only appends to it

    @override
    def on_body(self, body: bytes) -> None:
        self.body_arrived()
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._parsed_again:
            return
        self._request_complete = self.scope
        if not self.cycle.response_complete:
            super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:  # without uvicorn's own timer for idle connections: the sweep checks that deadline too
            self.server_state.total_requests += 1
            self.all_answered()

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # -- reading ------------------------------------------------------------------------------------------------------

    def parse(self, data: bytes) -> bool:
        """Parse received data, and return whether the last request is complete. Raises `MalformedRequestError`.

        A request with an Upgrade header is parsed again without it, because a server may ignore that header. Otherwise
        the parser would treat the request's body and everything after it as another protocol.
        """
        left: bytes | memoryview = data
        while left:
            try:
                self.parser.feed_data(left)
            except HttpParserUpgrade as upgrade:
                left = memoryview(left)[upgrade.args[0] :]
                self._parse_again()
            except HttpParserError as error:
                raise MalformedRequestError from error
            else:
                break
        return self._request_complete is self.scope

    def _parse_again(self) -> None:
        head, self._parsed_again = self._parsed_again, b""
        self.parser = _new_parser(self)  # after `Connection: close`, the old parser would accept nothing more
        try:
            self.parser.feed_data(head)
        except HttpParserError as error:
            raise MalformedRequestError from error

    def _without_upgrade(self) -> bytes:
        """Return the head of this request without its Upgrade header."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.stop("malformed", "CONNECT is only for proxies: this server is not a proxy")
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        return b"".join(lines) + b"\r\n"

    @property
    def http_version(self) -> str:
        """The HTTP version of the last request with complete headers, such as `1.1`."""
        return self.parser.get_http_version()

    @property
    def request(self) -> object:
        """An object that identifies the last request that has started to arrive; None before the first."""
        return self.scope

    @property
    def received_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The headers of that request, as far as they have arrived."""
        return [*self.scope["headers"]] if self.scope else []

    @property
    def is_body_due(self) -> bool:
        """Whether the headers of the last request are complete, and its body is not."""
        return self._request_with_headers is self.scope and self._request_complete is not self.scope

    @property
    def queued(self) -> int:
        """The number of requests that wait behind the current one."""
        return len(self.pipeline)

    def drop_queued(self) -> None:
        """Remove the last of the waiting requests."""
        self.pipeline.popleft()
        self.cycle = self.pipeline[0][0] if self.pipeline else self._running

    def plain_get(self) -> str | None:
        """Return the request's URL if its response may be written immediately; else None.

        The request must be an HTTP/1.1 GET that keeps the connection open, and no earlier request may be active. The
        client must have read the earlier responses.
        """
        parser = self.parser
        if (
            not self.cycle.response_complete
            or self.flow.write_paused
            or parser.get_method() != b"GET"
            or not parser.should_keep_alive()
            or parser.get_http_version() != "1.1"
        ):
            return None
        return self.url.decode("latin-1")

    def resume_reading(self) -> None:
        """Resume reading from the client, if it was paused."""
        self.flow.resume_reading()

    # -- writing ------------------------------------------------------------------------------------------------------

    @property
    def common_headers(self) -> bytes:
        """The lines that every response of the server has."""
        headers = self.server_state.default_headers
        if headers is not _common.made_of:
            _common.update(headers)
        return _common.lines

    def respond(self, head: bytes, body: bytes) -> None:
        """Write a response: its head, which the common headers are added to, and its body."""
        state = self.server_state
        if state.default_headers is not _common.made_of:
            _common.update(state.default_headers)
        self.transport.write(b"".join((head, _common.lines, b"\r\n", body)))
        state.total_requests += 1

    def write_last(self, data: bytes) -> None:
        """Write this as the last data of the connection. The client can still read it."""
        self.transport.write(data)
        self.transport.write_eof()

    def finish(self) -> None:
        """Close the connection for writing."""
        self.transport.write_eof()

    def close_after_response(self) -> None:
        """Close the connection after the current response."""
        self.cycle.keep_alive = False

    def close(self) -> None:
        """Close the connection after all written data is sent."""
        self.transport.close()

    def abort(self) -> None:
        """End the connection immediately, and drop all unsent data."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def tell_disconnected(self) -> None:
        """Tell the application that the client of the current request has disconnected."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    @property
    def response_started(self) -> bool:
        """Whether the response to the current request, or to the last one, has started."""
        return self.cycle.response_started

    @property
    def response_complete(self) -> bool:
        """Whether the response to the current request, or to the last one, is complete."""
        return self.cycle.response_complete

    # -- state --------------------------------------------------------------------------------------------------------

    def progress(self, *, is_refused: bool) -> Progress:
        """Return the state of the connection."""
        cycle = self.cycle
        is_responding = not cycle.response_complete and not cycle.disconnected
        return Progress(
            has_unsent_bytes=self.transport.get_write_buffer_size() > 0,
            is_responding=is_responding,
            awaits_body=is_responding and cycle.more_body and not self._holds_body_back(cycle),
            is_refused=is_refused,
            is_within_headers=self._request_with_headers is not self.scope,
            request=self.scope,
        )

    def _holds_body_back(self, cycle: RequestResponseCycle) -> bool:
        """Return whether the server has paused reading the body, or has not sent 100 Continue yet."""
        return self.flow.read_paused or bool(self.pipeline) or cycle.waiting_for_100_continue

    def bytes_moved(self) -> int:
        """Return the number of bytes that the client has sent or acknowledged, as Linux counts them; 0 elsewhere."""
        if sys.platform != "linux":
            return 0
        size = _BYTES_MOVED.size
        found = self.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
        return sum(_BYTES_MOVED.unpack(found))
