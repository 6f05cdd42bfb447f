"""Connections with deadlines: a client that is late, or does not take its answer, is not waited for without end.

uvicorn waits for ever for what a client sends or takes. Here one sweep per server looks at every connection from time
to time and ends those that have waited too long for their client; a request itself pays next to nothing for that.
"""

from __future__ import annotations

import asyncio
import math
import resource
import secrets
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from typing_extensions import override
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.http.error_status import ErrorStatus
from service.http.problems import Problem
from service.http.responses import Fields
from service.security.hosts import Hosts
from service.settings import Settings
from service.storage.store import Part

SLOWEST = 4 * 2**10  # bytes per second of a body or an answer: of a gigabit, 10,000 at a time have 12 kB each
LEAVING_SECONDS = 2.0  # in which a client may read why its connection is closed
SPARE_CONNECTIONS = 256  # beyond max_connections, which are told so; any more are closed without a word
_OTHER_FILES = 256  # of the store, the database and the interpreter
_MOST_HEADERS = 64 * 2**10  # bytes of a request that arrive after those that came with its first byte, without a body
_MOST_AHEAD = 128  # requests that wait for their turn on one connection: their objects are tens of times what was sent
_SWEEPS = 20  # per shortest deadline
_AT_ONCE = 16  # connections: a look takes some microseconds, and no request waits for many of them
_DRAIN_SHARE = 0.9  # of drain_seconds: the rest is for closing the store and the database
_MOVED = struct.Struct("=120xQQ")  # bytes acknowledged, bytes received: in Linux's struct tcp_info
_RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: what was not sent is dropped, and the other end told


class Wait(StrEnum):
    """What a connection waits for its client to do: the reason when it is cut."""

    REQUEST = "idle"
    HEADERS = "headers"
    BODY = "body"
    READING = "send"
    LEAVING = "leave"


_LATE = ErrorStatus(408, "request-timeout", retryable=True)
_MEANINGS: Mapping[str, ErrorStatus] = MappingProxyType(
    {
        "malformed": ErrorStatus(400, "malformed-http"),
        "host": ErrorStatus(421, "misdirected-request"),
        Wait.HEADERS: _LATE,
        Wait.BODY: _LATE,
        "long-headers": ErrorStatus(431, "headers-too-large"),
        "connections": ErrorStatus(503, "too-many-connections", retryable=True),
    }
)
"""What is answered, where an answer can still be sent, by the reason for ending a connection."""


FastResponse = Callable[[str, Fields], tuple[bytes, Part] | None]
"""A whole answer to a GET of this path with these headers, its head but for the server's own headers, and its body.

None where the application is to be asked, as it is where a body follows, which may prove to be no HTTP. It must not
block, and not wait.
"""


def protocol(
    settings: Settings, closed: Counter[str] | None = None, fast_response: FastResponse = lambda path, headers: None
) -> type[HttpToolsProtocol]:
    """The class of a server's connections, for `uvicorn.Config(http=...)`; one server per class.

    Args:
        settings: the deadlines, how many connections there may be, and the hosts that requests may name.
        cut: counts the connections that were ended, by reason.
        fast_response: is asked for a response before the application is.
    """

    class Connection(_Connection):
        monitor = _DeadlineMonitor(settings, Counter() if closed is None else closed)
        hosts = Hosts(settings)
        try_fast_response = staticmethod(fast_response)

    return Connection


def raise_file_limit(max_connections: int) -> None:
    """Let this process have as many files and connections open as its hard limit allows.

    Raises `ValueError` where that is not enough for `max_connections`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = SPARE_CONNECTIONS + _OTHER_FILES
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, max_connections + others)
    if max_connections + others > hard:
        raise ValueError(
            f"max_connections must be at most {hard - others}, got {max_connections}: "
            f"this process may open {hard} files (ulimit -Hn), and needs {others} of them for other things"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _DeadlineMonitor:
    """Looks at all connections of a server, again and again while there are any, and keeps their deadlines.

    A connection ends at the earliest at its deadline, and at the latest two sweeps later.
    """

    def __init__(self, settings: Settings, closed: Counter[str]) -> None:
        self.closed = closed
        self.max_connections = settings.max_connections
        self.limits = {
            Wait.REQUEST: settings.idle_seconds,
            Wait.HEADERS: settings.header_seconds,
            Wait.BODY: settings.body_seconds,
            Wait.READING: settings.send_seconds,
            Wait.LEAVING: LEAVING_SECONDS,
        }
        shortest = min(seconds for wait, seconds in self.limits.items() if wait is not Wait.LEAVING)
        self._interval = min(1.0, min(shortest, settings.drain_seconds) / _SWEEPS)
        self._drain_seconds = _DRAIN_SHARE * settings.drain_seconds
        self._end = math.inf
        self._last = -math.inf
        self._sweeping = False
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._lines = b""

    def begin(self, connections: Collection[_Connection], loop: asyncio.AbstractEventLoop) -> None:
        """Sweep until there are no connections left."""
        if not self._sweeping:
            self._sweeping = True
            self._last = loop.time()
            self._schedule(connections, loop)

    def _schedule(self, connections: Collection[_Connection], loop: asyncio.AbstractEventLoop) -> None:
        loop.call_at(self._last + self._interval, self._run, connections, loop)

    def always(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """These headers as lines: uvicorn's own, new objects once a second."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines

    def drain(self, now: float) -> None:
        """End what is left once `drain_seconds` are nearly over."""
        self._end = min(self._end, now + self._drain_seconds)

    def _run(self, connections: Collection[_Connection], loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        elapsed = min(now - self._last, 2 * self._interval)  # while the server stood still, no client was late
        self._last = now
        self._look(list(connections), connections, elapsed, loop)

    def _look(
        self,
        left: list[_Connection],
        connections: Collection[_Connection],
        elapsed: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Look at some of those that are left, then let requests have their turn."""
        is_over = loop.time() >= self._end
        for connection in filter(connections.__contains__, left[-_AT_ONCE:]):
            if is_over:
                connection.abort()
            else:
                connection.check_deadline(elapsed)
        del left[-_AT_ONCE:]
        if left:
            loop.call_soon(self._look, left, connections, elapsed, loop)
        elif connections:
            self._schedule(connections, loop)
        else:
            self._sweeping = False


class _Finished:
    """What uvicorn is to take for the request before a connection's first one."""

    response_complete = True
    message_event = asyncio.Event()  # set when the connection is lost; nobody waits for it


_NONE_YET = _Finished()
_TRAILERS: deque[tuple[bytes, bytes]] = deque(maxlen=0)  # where uvicorn is to put what follows a body: it keeps nothing


def _new_parser(connection: HttpToolsProtocol) -> HttpRequestParser:
    """A parser as uvicorn makes them."""
    parser = HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class _Connection(HttpToolsProtocol):
    """A connection that ends when its client is late. What it relies on in uvicorn, its tests look at step by step."""

    # beyond thirty attributes in its dictionary, an object of CPython loses the fast way to all of them
    __slots__ = (
        "_asked",
        "_closed_to_input",
        "_host",
        "_moved",
        "_parsed_again",
        "_refusal",
        "_request",
        "_running",
        "_unfinished",
        "_unfinished_bytes",
        "_wait",
        "_waited",
        "_whole",
    )

    monitor: _DeadlineMonitor
    hosts: Hosts
    try_fast_response: FastResponse

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = _NONE_YET  # type: ignore[assignment]  # no cycle, but all that is asked of a finished one
        self._running = self.cycle
        self._closed_to_input = False
        self._refusal: tuple[ErrorStatus, str] | None = None  # what is said once all is answered that came before
        self._host: bytes | None = None  # the last one that was let through
        self._parsed_again = b""  # the head of a request with an Upgrade, without it
        self._asked: object = None  # the last request whose headers have all come
        self._whole: object = None  # the last request that has come to its end
        self._unfinished: object = None  # the request whose headers, or what is around its body, have come in part
        self._unfinished_bytes = 0
        self._wait: Wait | None = None  # what the last look found
        self._request: object = None
        self._waited = 0.0  # seconds
        self._moved = 0  # bytes

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.monitor.begin(self.connections, self.loop)  # type: ignore[arg-type]  # they are all of this class
        too_many = len(self.connections) - self.monitor.max_connections
        if 0 < too_many <= SPARE_CONNECTIONS:
            self._refuse(
                "connections", f"there are {self.monitor.max_connections} connections already (max_connections)"
            )
        elif too_many > 0:
            self.monitor.closed["connections"] += 1
            self.abort()

    @override
    def data_received(self, data: bytes) -> None:
        if self._closed_to_input:
            return
        try:
            self._parse(data)
        except HttpParserError:
            self._refuse("malformed", "the request is not HTTP/1.1 as RFC 9112 has it")
        if self._whole is not self.scope:
            self._limit_headers(len(data))

    def _parse(self, data: bytes) -> None:
        """Parse what has come. A request with an Upgrade is parsed again without it, which a server may ignore.

        The parser takes none of its body, and of what follows nothing: that would be for the other protocol.
        """
        left: bytes | memoryview = data
        while left:
            try:
                self.parser.feed_data(left)
            except HttpParserUpgrade as upgrade:
                left = memoryview(left)[upgrade.args[0] :]
                head, self._parsed_again = self._parsed_again, b""
                self.parser = _new_parser(self)  # after a `Connection: close`, the one before would take nothing more
                self.parser.feed_data(head)
            else:
                return

    def _limit_headers(self, nbytes: int) -> None:
        if self._unfinished is not self.scope:
            self._unfinished, self._unfinished_bytes = self.scope, 0
            return
        self._unfinished_bytes += nbytes
        if self._unfinished_bytes > _MOST_HEADERS:
            self._refuse("long-headers", f"the request's headers, or trailers, must be at most {_MOST_HEADERS} bytes")

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._parsed_again = self._without_upgrade()
            return
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                host = value
        if hosts != 1:
            self._check_hosts(hosts)
        elif host != self._host:
            self._check_host(host)
        if not self._answered_fast():
            self._limit_requests()
            super().on_headers_complete()
        self._asked = self.scope
        self.headers = _TRAILERS  # type: ignore[assignment]  # no list, but what fields can be appended to

    @override
    def on_body(self, body: bytes) -> None:
        self._unfinished = None
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._parsed_again:
            return
        self._whole = self.scope
        if not self.cycle.response_complete:
            super().on_message_complete()

    def _without_upgrade(self) -> bytes:
        """The head of this request, but for the protocols that it would go over to."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._stop("malformed", "CONNECT is for proxies, and this is none")
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        return b"".join(lines) + b"\r\n"

    def _check_hosts(self, hosts: int) -> None:
        if hosts or self.parser.get_http_version() == "1.1":
            self._stop("malformed", f"a request has exactly one Host (RFC 9112, section 3.2), this one {hosts}")

    def _check_host(self, host: bytes) -> None:
        if not self.hosts.allow(host):
            self._stop("host", self.hosts.refusal(host))
        self._host = host

    def _limit_requests(self) -> None:
        if len(self.pipeline) >= _MOST_AHEAD:
            self._stop("pipelined", f"at most {_MOST_AHEAD} requests may be sent ahead")

    def _stop(self, reason: str, detail: str) -> NoReturn:
        """Refuse from within the parser, which is not to go on."""
        self._refuse(reason, detail)
        raise ValueError("there is nothing more to parse")

    def _answered_fast(self) -> bool:
        """Answer without a task, where it is this request's turn, the client takes its answers, and there is one."""
        parser = self.parser
        if (
            not self.cycle.response_complete
            or self.flow.write_paused
            or parser.get_method() != b"GET"
            or not parser.should_keep_alive()
            or parser.get_http_version() != "1.1"
        ):
            return False
        found = self.try_fast_response(self.url.decode("latin-1"), self.headers)
        if found is None:
            return False
        head, body = found
        self.transport.write(b"".join((head, self.monitor.always(self.server_state.default_headers), b"\r\n", body)))
        self.server_state.total_requests += 1
        return True

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.cycle = self._running  # which is told so; what is behind it is not begun any more
        self.pipeline.clear()
        super().connection_lost(exc)

    @override
    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:  # without the timer that uvicorn would start: the sweep keeps that deadline too
            self.server_state.total_requests += 1
            if self._refusal is None:
                self.flow.resume_reading()
            else:
                self._explain(*self._refusal)

    @override
    def shutdown(self) -> None:
        super().shutdown()
        self.monitor.drain(self.loop.time())

    def abort(self) -> None:
        """End it at once: what the client has not taken is dropped."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def check_deadline(self, elapsed: float) -> None:
        """Count the seconds since the last look, if it still waits for the same; end it where they are too many."""
        wait, request = self._waits_for()
        if wait is None:
            return
        if wait is not self._wait or request is not self._request:
            self._wait, self._request, self._waited = wait, request, 0.0
            self._moved = self._bytes_moved()
            return
        self._waited += elapsed
        if wait in (Wait.BODY, Wait.READING):
            self._credit()
        if self._waited >= self.monitor.limits[wait]:
            self._late(wait)

    def _waits_for(self) -> tuple[Wait | None, object]:
        """What the client has to do next, and for which request; None where it is the server's turn."""
        if self.transport.get_write_buffer_size():
            return Wait.READING, None
        cycle = self.cycle
        if not cycle.response_complete and not cycle.disconnected:
            held = self.flow.read_paused or self.pipeline or cycle.waiting_for_100_continue
            return Wait.BODY if cycle.more_body and not held else None, cycle
        if self._closed_to_input:
            return Wait.LEAVING, None
        return Wait.REQUEST if self._asked is self.scope else Wait.HEADERS, self.scope

    def _credit(self) -> None:
        """Take off the waiting what the bytes that moved meanwhile may last."""
        moved = self._bytes_moved()
        self._waited = max(0.0, self._waited - (moved - self._moved) / SLOWEST)
        self._moved = moved

    def _bytes_moved(self) -> int:
        """The bytes that the other end has sent, or acknowledged, as Linux counts them; 0 elsewhere."""
        if sys.platform != "linux":
            return 0
        found = self.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MOVED.size)
        return sum(_MOVED.unpack(found))

    def _late(self, wait: Wait) -> None:
        if wait is Wait.HEADERS or (wait is Wait.BODY and not self.cycle.response_started):
            self._refuse(wait, f"the request's {wait} took longer than {self.monitor.limits[wait]:g} seconds")
            return
        if wait is not Wait.LEAVING:  # which was counted when it was refused
            self.monitor.closed[wait] += 1
        if wait is Wait.REQUEST:
            self.transport.close()
        else:
            self.abort()

    def _refuse(self, reason: str, detail: str) -> None:
        """Take no more input, and say why, once all is answered that came before; see `_MEANINGS`.

        What was wrong with a request that is being answered, or was, is not said: its answer is the last.
        """
        if self._closed_to_input:
            return
        self._closed_to_input = True
        self.monitor.closed[reason] += 1
        error_status = _MEANINGS.get(reason)
        if error_status is None:
            self.abort()
        elif self._asked is not self.scope or self._whole is self.scope:
            self._explain_last(error_status, detail)
        elif self.pipeline:  # its last request, which is not begun, is the one that is refused
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running
            self._explain_last(error_status, detail)
        else:
            self._refuse_begun(error_status, detail)

    def _explain_last(self, error_status: ErrorStatus, detail: str) -> None:
        if self.cycle.response_complete:
            self._explain(error_status, detail)
        else:
            self._refusal = error_status, detail

    def _refuse_begun(self, error_status: ErrorStatus, detail: str) -> None:
        """Refuse the request whose turn it is, and whose body does not come to an end."""
        cycle = self.cycle
        if cycle.response_complete:
            self.transport.write_eof()
        elif cycle.response_started:
            cycle.keep_alive = False
        else:
            self._explain(error_status, detail)
            cycle.disconnected = True  # so the application is told, as when the client leaves
            cycle.message_event.set()

    def _explain(self, error_status: ErrorStatus, detail: str) -> None:
        """Send a problem, and nothing after it."""
        problem = Problem(
            title=HTTPStatus(error_status.status).phrase,
            status=error_status.status,
            code=error_status.code,
            detail=detail,
            request_id=secrets.token_hex(8),
            retryable=error_status.retryable,
        )
        self.transport.write(_answer(problem, self.monitor.always(self.server_state.default_headers)))
        self.transport.write_eof()


def _answer(problem: Problem, always: bytes) -> bytes:
    """A problem as the bytes of an HTTP answer, with the headers that every answer has."""
    body = problem.model_dump_json().encode()
    fields = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-request-id": problem.request_id,
        **({"retry-after": "1"} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {problem.status} {problem.title}\r\n".encode() + always + lines.encode() + b"\r\n" + body
