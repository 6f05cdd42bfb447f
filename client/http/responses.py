"""Responses: reading one within its limits, and receiving a large body straight into the memory that keeps it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPResponse, IncompleteRead
from typing import Any

from urllib3 import HTTPHeaderDict

from client.errors import UnexpectedResponseError, is_page
from client.http.connections import Connection, ResponseError, ResponseTooLargeError
from scheduler.texts import json_object

MAX_HEAD = 2**18
"""Bytes of a response before its body: status line, header, interim responses."""
MAX_ERROR = 2**16
"""Most bytes read of an error's body."""

_CHUNK = 2**18  # bytes that are received at once: what a broken connection may lose of a body that is resumed
_LENGTH = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_REPR_DIGEST = re.compile(r"\bsha-256=:([^:]*):")  # RFC 9530
_WITHOUT_BODY = (204, 304)
_PARTIAL = 206


@dataclass(frozen=True)
class Response:
    """A response that was read completely.

    Args:
        url: of the request.
        status: of HTTP.
        headers: names to values, whatever the case of the name.
        body: the bytes; those of a `Download` are in its memory.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytearray | memoryview

    @property
    def etag(self) -> str | None:
        """The entity tag, with its quotes, as `If-Match` takes it; None where there is none."""
        return self.headers.get("ETag")

    def json_object(self) -> dict[str, Any]:
        """The JSON object in the body. Raises `UnexpectedResponseError` where it holds anything else."""
        return parse_object(self.body, self.url)


def parse_object(body: bytes | bytearray | memoryview, source: str) -> dict[str, Any]:
    """The JSON object in a body. Raises `UnexpectedResponseError`, which names the source, for anything else."""
    found = json_object(body)
    if found is None:
        raise UnexpectedResponseError(f"{source} did not answer with a JSON object, but with {bytes(body[:80])!r}")
    return found


class Download:
    """A large body: received straight into memory of its own, and resumed where the connection broke.

    A body is resumed by `Range` and `If-Range` only under a strong entity tag, so that no two versions are mixed. A
    service that sends the whole body again (200) is read from its start.

    Args:
        allocate: gives writable memory of so many bytes; called again where another length is announced.
    """

    def __init__(self, allocate: Callable[[int], memoryview]) -> None:
        self._allocate = allocate
        self._memory: memoryview | None = None
        self._received = 0
        self._etag: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that ask for the bytes that are missing."""
        if not self._received or self._etag is None:
            return {}
        return {"Range": f"bytes={self._received}-", "If-Range": self._etag}

    @property
    def resumed_from(self) -> int:
        """Bytes of the body that are here already."""
        return self._received

    def start(self, status: int, headers: Mapping[str, str], length: int) -> None:
        """Prepare for the body of a response, of `length` bytes.

        Raises `ResponseError` for a partial response to a request that asked for no part, or another part.
        """
        if status == _PARTIAL:
            self._check_part(headers.get("Content-Range", ""), length)
            return
        if self._memory is None or len(self._memory) != length:
            self._memory = self._allocate(length)
        self._received = 0
        etag = headers.get("ETag", "")
        self._etag = etag if etag.startswith('"') else None  # a weak one is none for ranges

    def _check_part(self, content_range: str, length: int) -> None:
        match = _RANGE.fullmatch(content_range)
        memory = self._memory
        asked = bool(self.headers) and memory is not None
        places = tuple(map(int, match.groups())) if match else ()
        if not asked or memory is None or places != (self._received, len(memory) - 1, len(memory)):
            self._received = 0  # the next attempt asks for the whole
            raise ResponseError(f"it is a part that was not asked for: Content-Range is {content_range!r}")
        if length != len(memory) - self._received:
            raise ResponseError(f"its part has {length} bytes, and Content-Range is {content_range!r}")

    def receive(self, response: HTTPResponse) -> memoryview:
        """Read the rest of the body and return the whole of it."""
        memory = self._memory
        assert memory is not None
        while self._received < len(memory):
            some = response.readinto(memory[self._received : self._received + _CHUNK])
            if not some:
                raise IncompleteRead(b"", len(memory) - self._received)
            self._received += some
        return memory


def receive(connection: Connection, url: str, max_bytes: int, download: Download | None = None) -> Response:
    """Read the response to the request that was sent on a connection.

    The status of an error is kept even where its body cannot be read. Afterwards the connection's `is_reusable` tells
    whether the whole response was read. Raises `ResponseError` for a response that must not be used.
    """
    with closing(connection.raw_response()) as response:
        if response.status < 200:
            raise ResponseError(f"its status is {response.status}, which is not final")
        headers = HTTPHeaderDict((name, str(value)) for name, value in response.msg.items())
        if response.status < 300:
            body = _read(connection, response, headers, max_bytes, download)
            _refuse_html(headers, body)
            _check_digest(headers, body)
            connection.is_reusable = True
            return Response(url, response.status, headers, body)
        problem = bytearray()
        with suppress(Exception):  # from a proxy in trouble, say: the status tells more than what broke its body
            _append(connection, response, headers, MAX_ERROR, problem)
            connection.is_reusable = True
        return Response(url, response.status, headers, problem)


def is_html(headers: Mapping[str, str], start: bytes) -> bool:
    """Whether a body is a web page, which the service never sends to a client."""
    return headers.get("Content-Type", "").lower().startswith("text/html") or is_page(start)


def _refuse_html(headers: Mapping[str, str], body: bytearray | memoryview) -> None:
    if is_html(headers, bytes(body[:200])):
        raise ResponseError(
            "it is an HTML page, not data: something between here and the service answers in its place, such as a "
            "proxy or the log-in page of a network"
        )


def _check_digest(headers: Mapping[str, str], body: bytearray | memoryview) -> None:
    """Raise `ConnectionError` where a JSON document is not the one whose SHA-256 the service sent with it.

    Most of a document's bytes prove nothing, such as a digit of the version. Tables have a digest of their own.
    """
    if not headers.get("Content-Type", "").lower().startswith("application/json"):
        return
    sent = _REPR_DIGEST.search(headers.get("Repr-Digest", ""))
    if sent is not None and sent[1].encode() != base64.b64encode(sha256(body).digest()):
        raise ConnectionError("the response was changed on its way: its bytes do not have the SHA-256 of Repr-Digest")


def _read(
    connection: Connection, response: HTTPResponse, headers: HTTPHeaderDict, max_bytes: int, download: Download | None
) -> bytearray | memoryview:
    if download is None or response.length is None or is_html(headers, b""):
        if response.status == _PARTIAL:
            raise ResponseError("it is a part that was not asked for, or of unknown length")
        body = bytearray()
        _append(connection, response, headers, max_bytes, body)
        return body
    offset = download.resumed_from if response.status == _PARTIAL else 0
    _check_framing(headers, max_bytes - offset)
    connection.limits.allow(response.length)
    download.start(response.status, headers, response.length)
    return download.receive(response)


def _append(
    connection: Connection, response: HTTPResponse, headers: HTTPHeaderDict, max_bytes: int, body: bytearray
) -> None:
    """Append the body to `body` as it comes."""
    length = _check_framing(headers, max_bytes)
    connection.limits.allow(2 * max_bytes)  # with what is around chunks; their content is at most half of that
    try:
        while chunk := response.read1(min(_CHUNK, max_bytes + 1 - len(body))):
            body += chunk
            if len(body) > max_bytes:
                raise ResponseTooLargeError(f"it has more than the {max_bytes} bytes that were asked for")
    except TimeoutError as error:
        raise TimeoutError(f"{len(body)} bytes of the response had come") from error
    if length is not None and len(body) < length and response.status not in _WITHOUT_BODY:
        raise IncompleteRead(b"", length - len(body))


def _check_framing(headers: HTTPHeaderDict, max_bytes: int) -> int | None:
    """The announced length of a body; None where it has no such.

    Refuses, before it is read, a body that is encoded, is too long, or has contradictory lengths.
    """
    if (encoding := headers.get("Content-Encoding", "identity").lower()) != "identity":
        raise ResponseError(f"it is encoded, which was not asked for: Content-Encoding is {encoding!r}")
    transfer, lengths = headers.get("Transfer-Encoding"), set(headers.getlist("Content-Length"))
    if transfer is not None and (transfer.lower() != "chunked" or lengths):
        raise ResponseError(f"Transfer-Encoding is {transfer!r}, and Content-Length {sorted(lengths)}")
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise ResponseError(f"Content-Length must be one number, got {sorted(lengths)}")
    if lengths and int(min(lengths)) > max_bytes:
        raise ResponseTooLargeError(f"it has {min(lengths)} bytes, and at most {max_bytes} were asked for")
    return int(min(lengths)) if lengths else None
