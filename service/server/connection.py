"""Connections with deadlines, limits, and a fast path for responses in the memory cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, NoReturn

from typing_extensions import override

from service.http.error_status import ErrorStatus
from service.http.responses import Fields
from service.middleware.cross_origin import CrossOrigin
from service.security.hosts import Hosts
from service.server.deadlines import Deadlines, DeadlineTimer, Ending, Wait, ending
from service.server.fast_path import FastResponse
from service.server.limits import MAX_HEADER_BYTES, MAX_PIPELINED, Admission, HeaderLimit, admission
from service.server.monitor import DeadlineMonitor
from service.server.refusals import STATUSES, RefusalStep, RefusedRequest, refusal, refusal_step
from service.server.uvicorn_adapter import MalformedRequestError, UvicornConnection
from service.settings import Settings


def connection_class(
    settings: Settings, closed: Counter[str] | None = None, fast_response: FastResponse = lambda *_: None
) -> type[Connection]:
    """Return the class of a server's connections, for `uvicorn.Config(http=...)`. Each server needs its own class.

    Args:
        settings: the deadlines, the maximum number of connections, and the accepted hosts.
        closed: counter of the connections that the server ended, by reason.
        fast_response: called before the application; returns a response or None.
    """
    of_server = Deadlines.of(settings)
    counter = Counter[str]() if closed is None else closed

    class OfServer(Connection):
        closed = counter
        cross_origin = CrossOrigin.of(settings)
        deadlines = of_server
        hosts = Hosts(settings)
        max_connections = settings.max_connections
        monitor = DeadlineMonitor(of_server)
        try_fast_response = staticmethod(fast_response)

    return OfServer


class Connection(UvicornConnection):
    """A connection that ends when its client misses a deadline, exceeds a limit or sends malformed HTTP."""

    __slots__ = ("_header_limit", "_host", "_is_refused", "_refusal", "_timer")

    closed: Counter[str]
    cross_origin: CrossOrigin | None
    deadlines: Deadlines
    hosts: Hosts
    max_connections: int
    monitor: DeadlineMonitor
    try_fast_response: FastResponse

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_limit = HeaderLimit()
        self._host: bytes | None = None  # the last one that was accepted
        self._is_refused = False  # if so, nothing more is read
        self._refusal: tuple[ErrorStatus, str] | None = None  # the error to send after the earlier responses
        self._timer = DeadlineTimer(self.deadlines)

    # -- events -------------------------------------------------------------------------------------------------------

    @override
    def opened(self, peers: Collection[Any]) -> None:
        self.monitor.begin(peers, self.loop)
        admitted = admission(len(peers), self.max_connections)
        if admitted is Admission.REFUSE:
            self._refuse("connections", f"the server already has {self.max_connections} connections (max_connections)")
        elif admitted is Admission.ABORT:
            self.closed["connections"] += 1
            self.abort()

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        try:
            is_complete = self.parse(data)
        except MalformedRequestError:
            self._refuse("malformed", "the request is not valid HTTP/1.1 (RFC 9112)")
            return
        if not is_complete and self._header_limit.is_exceeded(self.request, len(data)):
            self._refuse("long-headers", f"the request's headers or trailers must be at most {MAX_HEADER_BYTES} bytes")

    @override
    def take_request(self, headers: Fields) -> bool:
        hosts = 0
        for name, value in headers:
            if name == b"host":
                hosts += 1
                host = value
        if hosts != 1:
            self._check_hosts(hosts)
        elif host != self._host:
            self._check_host(host)
        path = self.plain_get()
        if path is not None and (found := self.try_fast_response(path, headers, self.client_address)) is not None:
            self.respond(*found)
            return True
        if self.queued >= MAX_PIPELINED:
            self.stop("pipelined", f"at most {MAX_PIPELINED} requests may be pipelined")
        return False

    def _check_hosts(self, hosts: int) -> None:
        if hosts or self.http_version == "1.1":
            self.stop("malformed", f"a request must have exactly one Host (RFC 9112, section 3.2), got {hosts}")

    def _check_host(self, host: bytes) -> None:
        if not self.hosts.is_allowed(host):
            self.stop("host", self.hosts.refusal(host))
        self._host = host

    @override
    def body_arrived(self) -> None:
        self._header_limit.restart()

    @override
    def all_answered(self) -> None:
        if self._refusal is None:
            self.resume_reading()
        else:
            self._explain(*self._refusal)

    @override
    def draining(self) -> None:
        self.monitor.drain(self.loop.time())

    # -- ending the connection ----------------------------------------------------------------------------------------

    def check_deadline(self, elapsed: float) -> None:
        """Add the elapsed seconds, and end the connection if its client has missed a deadline."""
        wait = self._timer.missed(self.progress(is_refused=self._is_refused), elapsed, self.bytes_moved)
        if wait is None:
            return
        how = ending(wait, response_started=self.response_started)
        if how is Ending.EXPLAIN:
            self._refuse(wait, f"the request's {wait} took longer than {self.deadlines.seconds[wait]:g} seconds")
            return
        if wait is not Wait.LEAVING:  # then the refusal was counted already
            self.closed[wait] += 1
        if how is Ending.CLOSE:
            self.close()
        else:
            self.abort()

    @override
    def stop(self, reason: str, detail: str) -> NoReturn:
        self._refuse(reason, detail)
        raise ValueError("there is nothing more to parse")  # raised in a callback of the parser, it stops the parser

    def _refuse(self, reason: str, detail: str) -> None:
        """Stop reading, and send an error after the responses to earlier requests; see `STATUSES`."""
        if self._is_refused:
            return
        self._is_refused = True
        self.closed[reason] += 1
        status = STATUSES.get(reason)
        if status is None:
            self.abort()
        else:
            self._take_step(self._refusal_step(), status, detail)

    def _refusal_step(self) -> RefusalStep:
        refused = RefusedRequest.LAST
        if self.is_body_due:
            refused = RefusedRequest.QUEUED if self.queued else RefusedRequest.RUNNING
        if refused is RefusedRequest.QUEUED:
            self.drop_queued()
        return refusal_step(refused, response_started=self.response_started, response_complete=self.response_complete)

    def _take_step(self, step: RefusalStep, status: ErrorStatus, detail: str) -> None:
        if step is RefusalStep.EXPLAIN_LATER:
            self._refusal = status, detail
        elif step is RefusalStep.FINISH:
            self.close_after_response()
        elif step is RefusalStep.END:
            self.finish()
        else:
            self._explain(status, detail)
            if step is RefusalStep.EXPLAIN_INSTEAD:
                self.tell_disconnected()

    def _explain(self, status: ErrorStatus, detail: str) -> None:
        added = b"" if self.cross_origin is None else self.cross_origin.lines(self.received_headers)
        self.write_last(refusal(status, detail, self.common_headers + added))
