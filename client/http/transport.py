"""Requests over HTTP with one deadline. Failures that may pass are retried until the deadline, and not longer."""

from __future__ import annotations

import os
import secrets
from collections.abc import Container, Iterator, Mapping, Sequence
from importlib.metadata import version
from types import MappingProxyType

from client.errors import ClientError, NotAllowedError, OutcomeUnknownError, RequestRefusedError
from client.http.addresses import GivenToken, Token, parsed_url
from client.http.connections import Connection, Connections, NotConnectedError, ResponseError
from client.http.failures import translated
from client.http.responses import MAX_HEAD, Download, Response, receive
from client.http.retries import Retries, RetryBudget, retry_after
from client.http.statistics import Statistics

REFUSED_PATIENCE = 45.0
"""Seconds for which a refused connection is tried again: a service that moves to another machine is back within 30."""
START_PATIENCE = 20.0
"""The same before the service has ever answered: twice what one needs to start again, and soon for a wrong address."""

_NOT_ALLOWED = (401, 403)
_LOST = (502, 503, 504)  # statuses that also a proxy gives, or a service that lost its database in the middle
_TURNED_AWAY = ("not-ready", "queue-full")  # codes of the service's 503 for what it has not begun
_SENT_AT_ONCE = 2**16  # bytes of a body that must leave within `timeout`
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

Part = bytes | memoryview


class Transport:
    """Requests to one service, over connections that are kept open.

    A request is tried again, after a random pause, when the connection fails, when no response comes within `timeout`,
    and when the service says that it is busy (429, 503). The pause is at most 0.1 s at first. The
    bound doubles, or is the time that the call has taken if that is more, up to 15 s. The pause starts after the time
    that the service asked for (`Retry-After`). A client that retries much waits longer (see
    `client.http.retries.RetryBudget`).

    Every request carries a random X-Request-ID. The response to a POST or PUT must return it, and so must the problem
    document of an error; what is fetched by GET may come from a cache and is verified by its content. A process that
    was forked makes connections of its own.

    Args:
        base_url: where the service is, `http://host:port`; a path is kept. Raises `ValueError` for anything else.
        timeout: seconds to wait for a connection, and for the next bytes of a response.
        token: sent with each request, to this service only (see `client.http.addresses.Token`). After a 401 it is read
            again, once a call. A redirect is an error and not followed, and the proxy settings of the environment are
            not used.
        refused_patience: seconds for which a refused connection is tried again: nobody listens there, which a
            restart explains for a while. The deadline ends it too. Without it, `START_PATIENCE` until the service has
            answered once, then `REFUSED_PATIENCE`. Until it has answered, a host's name that is not known is tried
            again for as long, and after that until the deadline.
    """

    def __init__(
        self,
        base_url: str | None,
        *,
        timeout: float,
        token: GivenToken = None,
        refused_patience: float | None = None,
    ) -> None:
        self._has_answered = False
        self._url = parsed_url(base_url)
        self.base_url = str(base_url).rstrip("/")
        self.statistics = Statistics()
        self._timeout = timeout
        self._patience = refused_patience
        self._token = Token(token)
        self._headers = {"User-Agent": f"lrtables/{version('lrtables')}", "Accept-Encoding": "identity"}
        self._budget = RetryBudget()
        self._made = Connections(self._url)

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        max_bytes: int,
        body: Sequence[Part] = (),
        media_type: str = "application/json",
    ) -> bytearray | memoryview:
        """Send a request that may be repeated, and return the body of a successful response: see `send`."""
        return self.send(method, path, deadline=deadline, max_bytes=max_bytes, body=body, media_type=media_type).body

    def send(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        max_bytes: int,
        body: Sequence[Part] = (),
        media_type: str = "application/json",
        headers: Mapping[str, str] = _NO_HEADERS,
        repeatable: bool = True,
        returned: Container[int] = (),
        download: Download | None = None,
        refused_patience: float | None = None,
    ) -> Response:
        """Send a request and return its response.

        Args:
            method: of HTTP.
            path: behind the base URL, beginning with a slash.
            deadline: on the clock `time.monotonic`, for everything from the look-up of the host's name to
                the last byte of the response.
            max_bytes: largest body that is accepted.
            body: the request's body, in parts. No part is copied as a whole.
            media_type: of the body.
            headers: more headers, such as `If-Match`.
            repeatable: whether the service may get the request twice. Otherwise it is sent again only where it cannot
                have arrived, or was turned away before it was begun.
            returned: statuses above 299 that are returned as a response, such as 304, instead of raised.
            download: memory for the body, received straight into it and resumed after a broken connection.
            refused_patience: for this request, instead of the transport's.

        Raises `RequestRefusedError` for any other status above 299, `ServiceUnreachableError` and
        `DeadlineExceededError` where no response came in time, `UnexpectedResponseError` for one that is not the
        service's, and `OutcomeUnknownError` where a request that must not be repeated may or may not have taken effect.
        """
        own = {**headers, **(_body_headers(body, media_type) if body else {})}
        patience = self._refused_patience if refused_patience is None else refused_patience
        retries = Retries(self._budget, deadline, patience, is_new=not self._has_answered)
        has_new_token = False
        while True:
            sent = self._token.headers
            every = {**self._headers, **own, **sent, **(download.headers if download else {})}
            try:
                response = self._attempt(method, path, deadline, max_bytes, body, every, download, repeatable)
                return self._accepted(response, returned)
            except NotAllowedError as error:
                if error.status != 401 or has_new_token or not self._token.renew(sent):
                    raise
                has_new_token = True
            except ClientError as error:
                if not repeatable and _is_lost(error):
                    raise OutcomeUnknownError(
                        f"{error}; {method} {path} may or may not have taken effect: read before you repeat it"
                    ) from error
                retries.wait(error)
                self.statistics.retries += 1

    @property
    def _refused_patience(self) -> float:
        if self._patience is not None:
            return self._patience
        return REFUSED_PATIENCE if self._has_answered else START_PATIENCE

    @property
    def _connections(self) -> Connections:
        """The connections of this process."""
        made = self._made
        if made.process != os.getpid():
            made.close_files()
            made = self._made = Connections(self._url)
        return made

    def _attempt(
        self,
        method: str,
        path: str,
        deadline: float,
        max_bytes: int,
        body: Sequence[Part],
        headers: Mapping[str, str],
        download: Download | None,
        repeatable: bool,
    ) -> Response:
        url = self.base_url + path
        own_id = secrets.token_hex(16)
        # an idle connection may be closed just when it is used again, so what must not be repeated gets a new one
        with translated(method, url), self._connections.acquire(new=not repeatable) as connection:
            connection.limits.start(deadline, self._timeout, MAX_HEAD)
            target = (self._url.path or "").rstrip("/") + path
            was_sent = _send(connection, method, target, body, {**headers, "X-Request-ID": own_id})
            self.statistics.requests += 1
            response = receive(connection, url, max_bytes, download)
            self._has_answered = True
            self.statistics.received += len(response.body)
            is_own = _returns_id(method, response, own_id)
            connection.is_reusable &= was_sent and is_own
            if not is_own:
                raise ResponseError("it belongs to another request, by its X-Request-ID")
        return response

    def _accepted(self, response: Response, returned: Container[int]) -> Response:
        """A successful response, or one whose status the caller takes; raises the error that another one is."""
        if response.status < 300 or response.status in returned:
            return response
        url, status, body = response.url, response.status, bytes(response.body)
        if status in _NOT_ALLOWED:
            raise NotAllowedError(url, status, body, with_token=self._token.is_sent)
        raise RequestRefusedError(url, status, body, retry_after(response.headers.get("Retry-After", "")))


def _is_lost(error: ClientError) -> bool:
    """Whether a request may have taken effect although it failed."""
    if isinstance(error, RequestRefusedError):
        return error.status in _LOST and error.code not in _TURNED_AWAY
    return not isinstance(error.__cause__, NotConnectedError)


def _body_headers(body: Sequence[Part], media_type: str) -> Mapping[str, str]:
    return {"Content-Type": media_type, "Content-Length": str(sum(map(len, body)))}


def _send(connection: Connection, method: str, target: str, body: Sequence[Part], headers: Mapping[str, str]) -> bool:
    """Send the request. Returns whether all of it was sent: a service that refuses a body may respond and hang up."""
    if connection.sock is None:
        connection.connect()
    chunks = _chunks(body) if body else None
    try:
        connection.request(method, target, chunks, headers, preload_content=False, decode_content=False)
    except (BrokenPipeError, ConnectionResetError):
        return False
    except TimeoutError as error:
        raise TimeoutError("not all of the request was sent") from error
    return True


def _chunks(body: Sequence[Part]) -> Iterator[bytes]:
    for part in body:
        for start in range(0, len(part), _SENT_AT_ONCE):
            yield bytes(part[start : start + _SENT_AT_ONCE])


def _returns_id(method: str, response: Response, own_id: str) -> bool:
    """Whether the response may belong to the request with this X-Request-ID."""
    if response.status < 300:
        return method == "GET" or response.headers.get("X-Request-ID") == own_id
    # a connection that the service ends before it has read a request has an id of its own
    closes = response.headers.get("Connection", "").lower() == "close"
    request_id = RequestRefusedError(response.url, response.status, bytes(response.body)).request_id
    return closes or request_id in ("", own_id)
