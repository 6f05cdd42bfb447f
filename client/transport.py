"""Requests over HTTP with one deadline: what is worth trying again is tried again until then, and not longer."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import count

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    LocationParseError,
    ProtocolError,
    ReadTimeoutError,
)

from client.errors import (
    ClientError,
    DeadlineExceededError,
    NotAllowedError,
    RequestRefusedError,
    ServiceUnreachableError,
)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds: the most that is waited after the first failure, and after any
_BUSY = (429, 503)
_NOT_ALLOWED = (401, 403)
_CHUNK = 2**20
_TOKEN = re.compile(r"[!-~]+")  # what may stand in a header, in one piece

Part = bytes | memoryview

_logger = logging.getLogger(__name__)
# Not the shared generator: training scripts seed it, alike on every rank, and count on its sequence.
_uniform = random.SystemRandom().uniform


class Transport:
    """A pool of connections to one service.

    Every request of the client is safe to repeat, so each is tried again, after a random pause, when the connection
    fails, when no answer comes within `timeout`, and when the service says that it is busy (429, 503). The pause is at
    most 0.1 s at first, doubles up to 5 s, and starts after the time that the service asked for (`Retry-After`).

    Args:
        base_url: where the service is, `http://host:port`; a path is kept. Raises `ValueError` for anything else.
        timeout: seconds to wait for a connection, and for the next bytes of an answer.
        token: what each request is allowed by. It goes to this service only: a redirect is an error, not followed.
    """

    def __init__(self, base_url: str, *, timeout: float, token: str | None = None) -> None:
        self.base_url = _checked(base_url)
        self._timeout = timeout
        self._authorization = {} if token is None else {"Authorization": f"Bearer {_checked_token(token)}"}
        headers = {"User-Agent": f"lrtables/{version('lrtables')}", "Accept-Encoding": "identity"}
        self._pool = urllib3.PoolManager(headers={**headers, **self._authorization}, retries=False)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.clear()

    def request(
        self,
        method: str,
        path: str,
        *,
        until: float,
        body: Sequence[Part] = (),
        media_type: str = "application/json",
    ) -> bytearray:
        """The body of the answer, when it is a success.

        Args:
            method: of HTTP.
            path: behind the base URL, beginning with a slash.
            until: the deadline, on the clock `time.monotonic`.
            body: what is sent, in parts: none of them is copied as a whole.
            media_type: of the body.
        """
        headers = _body_headers(body, media_type) if body else {}
        for attempt in count():
            try:
                return self._attempt(method, self.base_url + path, until, body, headers)
            except ClientError as error:
                pause = _pause(error, attempt)
                if pause is None:
                    raise
                if time.monotonic() + pause >= until:
                    _give_up(error, attempt + 1)
                _logger.warning("%s; trying again in %.1f s", error, pause)
                time.sleep(pause)
        raise AssertionError("count() never ends")

    def _attempt(
        self, method: str, url: str, until: float, body: Sequence[Part], headers: Mapping[str, str]
    ) -> bytearray:
        remaining = max(until - time.monotonic(), 0.001)
        timeout = urllib3.Timeout(connect=min(self._timeout, remaining), read=min(self._timeout, remaining))
        with _translated(method, url):
            response = self._pool.request(
                method,
                url,
                body=_chunks(body, until) if body else None,
                headers={**self._pool.headers, **headers},
                timeout=timeout,
                redirect=False,
                preload_content=False,
            )
            try:
                content = _read(response, url, until)
            except BaseException:
                response.close()  # half an answer is on this connection: it cannot be used again
                raise
            response.release_conn()
            if response.status >= 300:
                raise self._refusal(url, response, bytes(content))
            return content

    def _refusal(self, url: str, response: urllib3.BaseHTTPResponse, content: bytes) -> RequestRefusedError:
        if response.status in _NOT_ALLOWED:
            return NotAllowedError(url, response.status, content, with_token=bool(self._authorization))
        return RequestRefusedError(url, response.status, content, _retry_after(response))


def _body_headers(body: Sequence[Part], media_type: str) -> Mapping[str, str]:
    return {"Content-Type": media_type, "Content-Length": str(sum(map(len, body)))}


def _chunks(body: Sequence[Part], until: float) -> Iterator[bytes]:
    sent = 0
    for part in body:
        for start in range(0, len(part), _CHUNK):
            if time.monotonic() > until:
                raise TimeoutError(f"{sent} bytes were sent when the deadline came")
            chunk = bytes(part[start : start + _CHUNK])
            yield chunk
            sent += len(chunk)


def _read(response: urllib3.BaseHTTPResponse, url: str, until: float) -> bytearray:
    content = bytearray()
    while chunk := response.read1(_CHUNK):  # what has come: waiting for more would pass the deadline by
        content += chunk
        if time.monotonic() > until:
            raise DeadlineExceededError(f"{url} had sent {len(content)} bytes when the deadline came")
    return content


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    try:
        return urllib3.Retry().get_retry_after(response)
    except InvalidHeader:
        return None  # it must not hide the error that it came with


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
    """The one place where errors of urllib3 become ours."""
    try:
        yield
    except ReadTimeoutError as error:
        raise DeadlineExceededError(f"{method} {url} was not answered in time") from error
    except (ConnectTimeoutError, ProtocolError) as error:  # a refused connection is a ConnectTimeoutError in urllib3
        if isinstance(error.args[-1], TimeoutError):  # of the socket while it sends, or of `_chunks`
            raise DeadlineExceededError(f"{method} {url} was not taken in time: {error.args[-1]}") from error
        raise ServiceUnreachableError(f"{method} {url} failed: {_reason(error)}") from error
    except HTTPError as error:
        raise ClientError(f"{method} {url} failed: {error}") from error


def _reason(error: HTTPError) -> str:
    """What went wrong, without the representation of the pool that urllib3 puts before it."""
    return str(error).partition(": ")[2] or str(error)


def _checked(base_url: str) -> str:
    try:
        url = urllib3.util.parse_url(base_url)
    except LocationParseError:
        url = urllib3.util.Url()
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ValueError(f"base_url must be like 'http://127.0.0.1:8000', got {base_url!r}")
    return base_url.rstrip("/")


def _checked_token(token: str) -> str:
    if not _TOKEN.fullmatch(token):  # the message must not show it
        raise ValueError("token (or LRTABLES_TOKEN) must be printable ASCII without spaces and line ends; it is not")
    return token
