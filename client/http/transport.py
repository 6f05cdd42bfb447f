"""Requests over HTTP with one deadline. Failures that may pass are retried until the deadline, and not longer."""

from __future__ import annotations

import logging
import os
import random
import re
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from importlib.metadata import version
from itertools import count
from typing import NamedTuple

import urllib3
from urllib3.exceptions import LocationParseError, ProtocolError, ReadTimeoutError

from client.errors import (
    ClientError,
    DeadlineExceededError,
    NotAllowedError,
    RequestRefusedError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from client.http.connections import Connection, Connections, NotBegunError, ResponseError, ResponseTooLargeError

MAX_HEAD = 2**18
"""Bytes of a response before its body: status line, header, interim responses."""
MAX_ERROR = 2**16
"""Most bytes read of an error's body."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds: the most that is waited after the first failure, and after any
_BUSY = (429, 503)
_NOT_ALLOWED = (401, 403)
_CHUNK = 2**20
_SENT_AT_ONCE = 2**16  # bytes of a body that must leave within `timeout`
_VISIBLE = re.compile(r"[!-~]+")  # ASCII without spaces and control characters
_LENGTH = re.compile(r"[0-9]{1,18}")
_SECONDS = re.compile(r"[0-9]{1,10}")

Part = bytes | memoryview

_logger = logging.getLogger(__name__)
# Not the shared generator: training scripts seed it, alike on every rank, and count on its sequence.
_uniform = random.SystemRandom().uniform


class _Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytearray


class Transport:
    """Requests to one service, over connections that are kept open.

    Every request of the client is safe to repeat, so each is tried again, after a random pause, when the connection
    fails, when no response comes within `timeout`, and when the service says that it is busy (429, 503). The pause is
    at most 0.1 s at first, doubles up to 5 s, and starts after the time that the service asked for (`Retry-After`).

    Every request carries a random X-Request-ID. The response to a POST or PUT must return it, and so must the problem
    document of an error; what is fetched by GET may come from a cache and is verified by its content. A process that
    was forked makes connections of its own.

    Args:
        base_url: where the service is, `http://host:port`; a path is kept. Raises `ValueError` for anything else.
        timeout: seconds to wait for a connection, and for the next bytes of a response.
        token: sent with each request, to this service only. A redirect is an error and not followed, and the proxy
            settings of the environment are not used.
    """

    def __init__(self, base_url: str, *, timeout: float, token: str | None = None) -> None:
        self._url = _checked(base_url)
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._authorization = {} if token is None else {"Authorization": f"Bearer {_checked_token(token)}"}
        agent = {"User-Agent": f"lrtables/{version('lrtables')}", "Accept-Encoding": "identity"}
        self._headers = {**agent, **self._authorization}
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
    ) -> bytearray:
        """Send a request and return the body of a successful response.

        Args:
            method: of HTTP.
            path: behind the base URL, beginning with a slash.
            deadline: on the clock `time.monotonic`, for everything from the look-up of the host's name to
                the last byte of the response.
            max_bytes: largest body that is accepted.
            body: the request's body, in parts. No part is copied as a whole.
            media_type: of the body.
        """
        headers = _body_headers(body, media_type) if body else {}
        last: ClientError | None = None
        for attempt in count():
            try:
                return self._attempt(method, path, deadline, max_bytes, body, headers)
            except ClientError as latest:
                # an attempt that had no time left says nothing: the one before it does
                error = last if last is not None and isinstance(latest.__cause__, NotBegunError) else latest
                last = error
                pause = _pause(error, attempt)
                if pause is None:
                    raise
                if time.monotonic() + pause >= deadline:
                    _give_up(error, attempt + 1)
                _logger.warning("%s; trying again in %.1f s", error, pause)
                time.sleep(pause)
        raise AssertionError("count() never ends")

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
    ) -> bytearray:
        url = self.base_url + path
        own_id = secrets.token_hex(16)
        with _translated(method, url), self._connections.acquire() as connection:
            connection.limits.start(deadline, self._timeout, MAX_HEAD)
            target = (self._url.path or "").rstrip("/") + path
            was_sent = _send(connection, method, target, body, {**self._headers, **headers, "X-Request-ID": own_id})
            response = _receive(connection, max_bytes)
            error = None if response.status < 300 else self._refusal(url, response)
            is_own = _returns_id(method, response, error, own_id)
            connection.is_reusable &= was_sent and is_own
            if not is_own:
                raise ResponseError("it belongs to another request, by its X-Request-ID")
        if error is not None:
            raise error
        return response.body

    def _refusal(self, url: str, response: _Response) -> RequestRefusedError:
        body = bytes(response.body)
        if response.status in _NOT_ALLOWED:
            return NotAllowedError(url, response.status, body, with_token=bool(self._authorization))
        return RequestRefusedError(url, response.status, body, _retry_after(response.headers.get("Retry-After", "")))


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


def _receive(connection: Connection, max_bytes: int) -> _Response:
    """Read the response. The status of an error is kept even where its body cannot be read."""
    with closing(connection.getresponse()) as response:
        if response.status < 200:
            raise ResponseError(f"its status is {response.status}, which is not final")
        body = bytearray()
        if response.status < 300:
            _read(connection, response, body, max_bytes)
            connection.is_reusable = True
        else:
            with suppress(Exception):  # from a proxy in trouble, say: the status tells more than what broke its body
                _read(connection, response, body, MAX_ERROR)
                connection.is_reusable = True
        return _Response(response.status, response.headers, body)


def _read(connection: Connection, response: urllib3.BaseHTTPResponse, body: bytearray, max_bytes: int) -> None:
    """Append the body to `body` as it comes."""
    _check_framing(response, max_bytes)
    connection.limits.allow(2 * max_bytes)  # with what is around chunks; their content is at most half of that
    try:
        while chunk := response.read1(min(_CHUNK, max_bytes + 1 - len(body))):
            body += chunk
            if len(body) > max_bytes:
                raise ResponseTooLargeError(f"it has more than the {max_bytes} bytes that were asked for")
    except ReadTimeoutError as error:
        raise TimeoutError(f"{len(body)} bytes of the response had come") from error


def _check_framing(response: urllib3.BaseHTTPResponse, max_bytes: int) -> None:
    """Refuse, before reading it, a body that is encoded, is too long, or has contradictory lengths."""
    headers = response.headers
    if (encoding := headers.get("Content-Encoding", "identity").lower()) != "identity":
        raise ResponseError(f"it is encoded, which was not asked for: Content-Encoding is {encoding!r}")
    transfer, lengths = headers.get("Transfer-Encoding"), set(headers.getlist("Content-Length"))
    if transfer is not None and (transfer.lower() != "chunked" or lengths):
        raise ResponseError(f"Transfer-Encoding is {transfer!r}, and Content-Length {sorted(lengths)}")
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise ResponseError(f"Content-Length must be one number, got {sorted(lengths)}")
    if lengths and int(min(lengths)) > max_bytes:
        raise ResponseTooLargeError(f"it has {min(lengths)} bytes, and at most {max_bytes} were asked for")


def _returns_id(method: str, response: _Response, error: RequestRefusedError | None, own_id: str) -> bool:
    """Whether the response may belong to the request with this X-Request-ID."""
    if error is None:
        return method == "GET" or response.headers.get("X-Request-ID") == own_id
    # a connection that the service ends before it has read a request has an id of its own
    closes = response.headers.get("Connection", "").lower() == "close"
    return closes or error.request_id in ("", own_id)


def _retry_after(header: str) -> float | None:
    """Seconds to wait, from a Retry-After header; None where it is malformed, which must not hide the error itself."""
    if _SECONDS.fullmatch(header):
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _pause(error: ClientError, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None where another would fail in the same way."""
    after = 0.0
    if isinstance(error, RequestRefusedError):
        if error.status not in _BUSY:
            return None
        after = error.retry_after or 0.0
    elif not isinstance(error, (ServiceUnreachableError, DeadlineExceededError)):
        return None
    return after + _uniform(0.0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt, 10)))


def _give_up(error: ClientError, attempts: int) -> None:
    message = f"{error} (the deadline came after {attempts} {'attempt' if attempts == 1 else 'attempts'})"
    if isinstance(error, ServiceUnreachableError):
        raise ServiceUnreachableError(message) from error
    raise DeadlineExceededError(message) from error


@contextmanager
def _translated(method: str, url: str) -> Iterator[None]:
    """The one place where errors of sockets, TLS, http.client and urllib3 become ours."""
    try:
        yield
    except ClientError:
        raise
    except TimeoutError as error:
        raise DeadlineExceededError(f"{method} {url} was not answered in time ({error})") from error
    except ResponseError as error:
        raise UnexpectedResponseError(f"the response to {method} {url} is refused: {error}") from error
    except Exception as error:
        kind = ServiceUnreachableError if _is_broken_connection(error) else UnexpectedResponseError
        raise kind(f"{method} {url} failed: {_said(error)}") from error


def _is_broken_connection(error: Exception) -> bool:
    """Whether the connection failed, as opposed to a response that is invalid."""
    if isinstance(error, ssl.SSLError):  # a certificate, a protocol: the next attempt would find them as they are
        return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    return isinstance(_cause(error), (OSError, IncompleteRead))


def _cause(error: Exception) -> Exception:
    """The error that urllib3 wrapped in one that says "Connection broken"."""
    inner = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    return inner if isinstance(inner, Exception) else error


def _said(error: Exception) -> str:
    return str(_cause(error)) or type(error).__name__


def _checked(base_url: object) -> urllib3.util.Url:
    if not isinstance(base_url, str):  # None, say, of an environment variable that is not set
        raise ValueError(f"base_url must be like 'http://127.0.0.1:8000', got {base_url!r}")  # noqa: TRY004  # as for any other
    if "@" in base_url:
        raise ValueError("base_url must hold no '@': a name and password in it would be shown; give a token by token=")
    try:
        url = urllib3.util.parse_url(base_url)
    except LocationParseError:
        url = urllib3.util.Url()
    plain = _VISIBLE.fullmatch(base_url) and not set("?#\\") & set(base_url)
    if url.scheme not in ("http", "https") or not url.host or url.auth or not plain:
        raise ValueError(f"base_url must be like 'http://127.0.0.1:8000', got {base_url!r}")
    return url


def _checked_token(token: object) -> str:
    if not isinstance(token, str) or not _VISIBLE.fullmatch(token):  # the message must not show it
        raise ValueError("token (or LRTABLES_TOKEN) must be printable ASCII without spaces and line ends; it is not")
    return token
