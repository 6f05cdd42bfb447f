"""The one module that knows how uvicorn's connections work inside. What others need of them has names of our own here.

uvicorn waits without end for what a client sends or takes, and has no hook for anything else. So a connection of ours
is a subclass of uvicorn's, which reads and overrides names that uvicorn does not document and may change in any
version. `check_uvicorn` finds out before a server starts; `SUPPORTED` are the versions that were tested.
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
"""The versions of uvicorn that were tested, as pyproject.toml has them."""


class UnsupportedUvicornError(ImportError):
    """The installed uvicorn is another than the one that connections are built on."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"uvicorn {uvicorn.__version__} does not fit this server: {detail}; "
            f"pip install 'uvicorn[standard]{SUPPORTED}' installs a version that does"
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
"""The names of uvicorn's that are used here, and by `lrtables serve`."""
_BYTES_MOVED = struct.Struct("=120xQQ")  # bytes acknowledged, bytes received: in Linux's struct tcp_info
_RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: what was not sent is dropped, and the other end told


def check_uvicorn() -> None:
    """Raise `UnsupportedUvicornError` where the installed uvicorn lacks a name that is used here."""
    for owner, names in NEEDED.items():
        for name in sorted({*names} - _names_of(owner)):
            raise UnsupportedUvicornError(f"it has no {owner.__name__}.{name}")


def _names_of(owner: type) -> set[str]:
    """The attributes of an object of this class: those of the class, and those that its methods assign."""
    functions = [value for base in owner.__mro__ for value in vars(base).values() if isfunction(value)]
    assigned = [one.argval for function in functions for one in dis.get_instructions(function) if _assigns(one)]
    return {*dir(owner), *assigned}


def _assigns(instruction: dis.Instruction) -> bool:
    return instruction.opname == "STORE_ATTR"


class MalformedRequestError(Exception):
    """What a client sent is no HTTP, or its request was refused while it was parsed."""


class _Finished:
    """What uvicorn is to take for the request before a connection's first one."""

    response_complete = response_started = True
    message_event = asyncio.Event()  # set when the connection is lost; nobody waits for it


class _HeaderLines:
    """uvicorn's own headers as lines. uvicorn makes a new list of them once a second."""

    def __init__(self) -> None:
        self._made: tuple[object, bytes] = (None, b"")

    def __call__(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        made_of, lines = self._made
        if made_of is not headers:
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._made = headers, lines
        return lines


_NONE_YET = _Finished()
_TRAILERS: deque[tuple[bytes, bytes]] = deque(maxlen=0)  # where uvicorn is to put what follows a body: it keeps nothing
_header_lines = _HeaderLines()


def _new_parser(connection: HttpToolsProtocol) -> HttpRequestParser:
    """A parser as uvicorn makes them."""
    parser = HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class UvicornConnection(HttpToolsProtocol):
    """A connection of uvicorn's that asks its subclass what to do, and tells it how far it is.

    A subclass defines the methods of the first section, and asyncio's `data_received`.
    """

    # beyond thirty attributes in its dictionary, an object of CPython loses the fast way to all of them
    __slots__ = ("_parsed_again", "_request_complete", "_request_with_headers", "_running", "client_address")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = _NONE_YET  # type: ignore[assignment]  # no cycle, but all that is asked of a finished one
        self._running = self.cycle
        self._parsed_again = b""  # the head of a request with an Upgrade, without it
        self._request_with_headers: object = None  # the last request whose headers have all come
        self._request_complete: object = None  # the last request that has come to its end

    # -- what a subclass decides --------------------------------------------------------------------------------------

    @abstractmethod
    def opened(self, peers: Collection[Any]) -> None:
        """The connection stands; `peers` are all connections of the server, itself among them."""

    @abstractmethod
    def take_request(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether the request whose headers have come was answered, so that the application need not be asked."""

    @abstractmethod
    def body_arrived(self) -> None:
        """Some of the body of the last request has come."""

    @abstractmethod
    def stop(self, reason: str, detail: str) -> NoReturn:
        """Refuse what is being parsed."""

    @abstractmethod
    def all_answered(self) -> None:
        """The last request that came has its whole response."""

    @abstractmethod
    def draining(self) -> None:
        """The server was told to stop."""

    # -- what uvicorn and its parser call -----------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.client_address = self.client[0] if self.client else ""  # without the port
        self.opened(self.connections)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.cycle = self._running  # which is told so; what is behind it is not begun any more
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
        self.headers = _TRAILERS  # type: ignore[assignment]  # no list, but what fields can be appended to

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
        else:  # without the timer that uvicorn would start: the sweep keeps that deadline too
            self.server_state.total_requests += 1
            self.all_answered()

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # -- reading ------------------------------------------------------------------------------------------------------

    def parse(self, data: bytes) -> None:
        """Parse what has come. Raises `MalformedRequestError`.

        A request with an Upgrade is parsed again without it, which a server may ignore: the parser takes none of its
        body, and of what follows nothing, for that would be of the other protocol.
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
                return

    def _parse_again(self) -> None:
        head, self._parsed_again = self._parsed_again, b""
        self.parser = _new_parser(self)  # after a `Connection: close`, the one before would take nothing more
        try:
            self.parser.feed_data(head)
        except HttpParserError as error:
            raise MalformedRequestError from error

    def _without_upgrade(self) -> bytes:
        """The head of this request, but for the protocols that it would go over to."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.stop("malformed", "CONNECT is for proxies, and this is none")
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        return b"".join(lines) + b"\r\n"

    @property
    def http_version(self) -> str:
        """Of the request whose headers have come, `1.1`."""
        return self.parser.get_http_version()

    @property
    def request(self) -> object:
        """Stands for the last request that has begun to come; None before the first."""
        return self.scope

    @property
    def is_request_complete(self) -> bool:
        """Whether the last request has come to its end, or there is none yet."""
        return self._request_complete is self.scope

    @property
    def is_body_due(self) -> bool:
        """Whether the headers of the last request have come, and its body has not."""
        return self._request_with_headers is self.scope and self._request_complete is not self.scope

    @property
    def queued(self) -> int:
        """How many requests wait behind the one that is being answered."""
        return len(self.pipeline)

    def drop_queued(self) -> None:
        """Forget the last of the requests that wait."""
        self.pipeline.popleft()
        self.cycle = self.pipeline[0][0] if self.pipeline else self._running

    def plain_get(self) -> str | None:
        """The address that the request wants, where a response may be written at once; else None.

        It has to be a GET of HTTP/1.1, after which the connection stays open, and it has to be its turn; and the
        client must have taken what was sent before.
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
        """Read what the client sends, which may have been told to wait."""
        self.flow.resume_reading()

    # -- writing ------------------------------------------------------------------------------------------------------

    @property
    def common_headers(self) -> bytes:
        """The lines that every response of the server has."""
        return _header_lines(self.server_state.default_headers)

    def respond(self, head: bytes, body: bytes) -> None:
        """Write the response to the request whose headers have come: its head but for the common headers, and body."""
        self.transport.write(b"".join((head, _header_lines(self.server_state.default_headers), b"\r\n", body)))
        self.server_state.total_requests += 1

    def write_last(self, data: bytes) -> None:
        """Write this and nothing after it; the client may still read it."""
        self.transport.write(data)
        self.transport.write_eof()

    def finish(self) -> None:
        """Write nothing more."""
        self.transport.write_eof()

    def close_after_response(self) -> None:
        """Make the response that is under way the last one."""
        self.cycle.keep_alive = False

    def close(self) -> None:
        """Close the connection once what was written is sent."""
        self.transport.close()

    def abort(self) -> None:
        """End the connection at once: what the client has not taken is dropped."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def tell_disconnected(self) -> None:
        """Tell the application that the client of the request that it answers has left."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    @property
    def response_started(self) -> bool:
        """Whether some of the response to the last request has been sent."""
        return self.cycle.response_started

    @property
    def response_complete(self) -> bool:
        """Whether the last request that was passed on, if any, has its whole response."""
        return self.cycle.response_complete

    # -- how far it is ------------------------------------------------------------------------------------------------

    def progress(self, *, is_refused: bool) -> Progress:
        """How far the connection is."""
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
        """Whether the server keeps the client from sending more, or has not asked for it yet."""
        return self.flow.read_paused or bool(self.pipeline) or cycle.waiting_for_100_continue

    def bytes_moved(self) -> int:
        """The bytes that the other end has sent, or acknowledged, as Linux counts them; 0 elsewhere."""
        if sys.platform != "linux":
            return 0
        size = _BYTES_MOVED.size
        found = self.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
        return sum(_BYTES_MOVED.unpack(found))
