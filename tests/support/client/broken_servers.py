"""Servers that are broken in every way, and how a call to one ends."""

from __future__ import annotations

import gzip
import json
import socket
import time
from contextlib import suppress
from itertools import repeat
from typing import Any

import pytest

from client import (
    ClientError,
    DeadlineExceededError,
    RequestRefusedError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from client.http.transport import Transport
from tests.support.client.hostile_server import Request, Script, response

DEADLINE = 0.4

RETRIES = 2.0  # seconds for a call that is tried again, or read on, until its deadline
PATIENCE = 30.0  # seconds for a call that ends by itself, on a busy machine
NEVER = 60.0  # seconds after which a call is taken for one that does not end

HEAD = b"HTTP/1.1 200 OK\r\n"

NO = b"HTTP/1.1 404 No\r\n"

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def says(data: bytes) -> Script:
    """Send these bytes and close."""

    def script(_: Request, connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    return script


def drips(data: bytes, drop: bytes = b"1") -> Script:
    """Send these bytes, and then a drop again and again, for ever."""

    def script(_: Request, connection: socket.socket) -> None:
        connection.sendall(data)
        connection.settimeout(0.02)
        for each in repeat(drop):
            connection.sendall(each)
            with suppress(TimeoutError):
                if not connection.recv(1):  # the client has closed
                    return

    return script


def floods(data: bytes, wave: bytes) -> Script:
    """Send these bytes, and then a wave again and again, as fast as they are taken."""

    def script(_: Request, connection: socket.socket) -> None:
        connection.sendall(data)
        while True:
            connection.sendall(wave)

    return script


def answers(body: bytes = b"", status: str = "200 OK", **headers: str) -> Script:
    """Send a response."""

    def script(request: Request, connection: socket.socket) -> None:
        connection.sendall(response(request, body, status, **headers))

    return script


def resets(_: Request, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raise OSError("reset")


def problem(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


BOMB = gzip.compress(bytes(2**26), 9)

WRONG, LATE, AWAY, REFUSED = (
    UnexpectedResponseError,
    DeadlineExceededError,
    ServiceUnreachableError,
    RequestRefusedError,
)

PROFILES: dict[str, tuple[Script, type[ClientError]]] = {
    "silence": (drips(b"", b""), LATE),
    "silence after the status": (drips(HEAD, b""), LATE),
    "dripped status line": (drips(b"HTTP/1.1 200 O"), LATE),
    "dripped version": (drips(b"HTTP/1."), LATE),
    "dripped header name": (drips(HEAD + b"X"), LATE),
    "dripped header value": (drips(HEAD + b"X: "), LATE),
    "dripped header lines": (drips(HEAD, b"X: 1\r\n"), LATE),
    "dripped interim responses": (drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), LATE),
    "dripped interim header": (drips(b"HTTP/1.1 100 Continue\r\n", b"X: 1\r\n"), LATE),
    "dripped body": (drips(HEAD + b"Content-Length: 900\r\n\r\n"), LATE),
    "dripped body without length": (drips(HEAD + b"\r\n"), LATE),
    "dripped chunk size": (drips(CHUNKED, b"0"), LATE),
    "dripped chunk extension": (drips(CHUNKED + b"5;", b"x"), LATE),
    "dripped chunk": (drips(CHUNKED + b"100\r\n"), LATE),
    "dripped chunks": (drips(CHUNKED, b"1\r\nx\r\n"), LATE),
    "dripped end of a chunk": (drips(CHUNKED + b"1\r\nx", b""), LATE),
    "dripped trailer": (drips(CHUNKED + b"0\r\n", b"X: 1\r\n"), LATE),
    "dripped trailer line": (drips(CHUNKED + b"0\r\nX"), LATE),
    "endless header lines": (floods(HEAD, b"X: 1\r\n" * 1000), WRONG),
    "endless header": (floods(HEAD + b"X: ", b"x" * 2**16), WRONG),
    "endless status line": (floods(b"HTTP/1.1 200 ", b"x" * 2**16), WRONG),
    "endless interim responses": (floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), WRONG),
    "endless early hints": (floods(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000), WRONG),
    "endless body": (floods(HEAD + b"\r\n", bytes(2**16)), WRONG),
    "endless chunks": (floods(CHUNKED, b"10000\r\n" + bytes(2**16) + b"\r\n"), WRONG),
    "endless empty lines in chunks": (floods(CHUNKED, b"\r\n" * 1000), AWAY),
    "endless chunk extension": (floods(CHUNKED + b"5;", b"x" * 2**16), WRONG),
    "endless small chunks": (floods(CHUNKED, (b"1;" + b"x" * 1000 + b"\r\ny\r\n") * 100), WRONG),
    "endless trailer": (floods(CHUNKED + b"0\r\n", b"X: 1\r\n" * 1000), WRONG),
    "a length of terabytes": (drips(HEAD + b"Content-Length: 9999999999999\r\n\r\n"), WRONG),
    "a length of 5,000 digits": (answers(content_length="9" * 5000), WRONG),
    "a negative length": (answers(content_length="-5"), WRONG),
    "a signed length": (answers(b"hello", content_length="+5"), WRONG),
    "a length with an underscore": (answers(b"hello" * 10, content_length="5_0"), WRONG),
    "a length that is no number": (answers(b"hello", content_length="five"), WRONG),
    "two lengths": (says(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), WRONG),
    "a list of lengths": (answers(b"hello", content_length="5, 6"), WRONG),
    "a length beside chunks": (answers(b"0\r\n\r\n", transfer_encoding="chunked"), WRONG),
    "an unknown transfer encoding": (answers(b"", transfer_encoding="gzip, chunked", content_length="-"), WRONG),
    "a gzip bomb": (answers(BOMB, content_encoding="gzip"), WRONG),
    "bad gzip": (answers(b"no gzip", content_encoding="gzip"), WRONG),
    "an unknown encoding": (answers(b"x", content_encoding="\xff"), WRONG),
    "no number for a chunk": (says(CHUNKED + b"xyz\r\n"), AWAY),
    "a negative chunk": (says(CHUNKED + b"-5\r\nhello"), AWAY),
    "a chunk without its end": (says(CHUNKED + b"5\r\nhelloXX5\r\n"), AWAY),
    "half a status line": (says(b"HTTP/1."), WRONG),
    "half a header": (says(HEAD + b"Content-Le"), WRONG),
    "half a body": (says(HEAD + b"Content-Length: 50\r\n\r\nhalf"), AWAY),
    "half a chunk": (says(CHUNKED + b"50\r\nhalf"), AWAY),
    "nothing at all": (says(b""), AWAY),
    "a reset": (resets, AWAY),
    "HTTP/0.9": (says(b"<html>hello</html>"), WRONG),
    "HTTP/2": (says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), WRONG),
    "HTTP/9.9": (says(b"HTTP/9.9 200 OK\r\n\r\n"), WRONG),
    "a TLS alert": (says(b"\x15\x03\x01\x00\x02\x02\x46"), WRONG),
    "another protocol": (says(b"220 mail.example ESMTP\r\n"), WRONG),
    "a status line beyond ASCII": (says("HTTP/1.1 ２00 ÖK\r\n\r\n".encode()), WRONG),
    "a status that is no number": (says(b"HTTP/1.1 abc OK\r\n\r\n"), WRONG),
    "a status of 5,000 digits": (says(b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n"), WRONG),
    "a status below 100": (answers(status="42 OK"), WRONG),
    "switching protocols": (answers(status="101 Switching Protocols"), WRONG),
    "bytes beyond ASCII in a header": (says(NO + b"X-\xff: \xed\xa0\x80\r\nContent-Length: 0\r\n\r\n"), REFUSED),
    "a header without a colon": (says(NO + b"nonsense\r\nContent-Length: 0\r\n\r\n"), REFUSED),
    "zeros in a header": (says(NO + b"X: \0\0\r\nContent-Length: 0\r\n\r\n"), REFUSED),
    "another id": (answers(b"{}", x_request_id="0" * 32), WRONG),
    "no id": (answers(b"{}", x_request_id="-"), WRONG),
    "two ids": (answers(b"{}", x_request_id="a\r\nX-Request-ID: b"), WRONG),
    "a redirect": (answers(status="302 Found", location="/x"), REFUSED),
    "not modified": (answers(status="304 Not Modified"), REFUSED),
    "an endless error": (floods(NO + b"\r\n", bytes(2**16)), REFUSED),
    "a dripped error": (drips(NO + b"Content-Length: 900\r\n\r\n"), REFUSED),
    "half an error": (says(NO + b"Content-Length: 900\r\n\r\n{"), REFUSED),
    "an error in a gzip bomb": (answers(BOMB, "404 No", content_encoding="gzip"), REFUSED),
    "an error of another request": (answers(problem(request_id="other"), "404 No"), WRONG),
    "an error with lone surrogates": (answers(problem(detail="\ud800", code="\udfff"), "404 No"), REFUSED),
    "an error that is nested deep": (answers(b'{"detail": ' + b"[" * 900 + b"]" * 900 + b"}", "404 No"), REFUSED),
    "an error with a number of 5,000 digits": (answers(b'{"detail": ' + b"9" * 5000 + b"}", "404 No"), REFUSED),
    "an error with terminal commands": (answers(problem(detail="\x1b[2J\0"), "404 No"), REFUSED),
    "busy for ever": (answers(status="503 Busy", retry_after="0"), LATE),
    "busy for 5,000 digits of seconds": (answers(status="503 Busy", retry_after="9" * 5000), LATE),
    "busy for a negative time": (answers(status="503 Busy", retry_after="-5"), LATE),
    "busy for no number of seconds": (answers(status="503 Busy", retry_after="nan"), LATE),
    "busy until a far date": (answers(status="503 Busy", retry_after="Fri, 31 Dec 9999 23:59:59 GMT"), LATE),
    "busy until no date": (answers(status="503 Busy", retry_after="Fri, 99 Foo 99999 99:99:99"), LATE),
    "busy until long ago": (answers(status="429 Slow", retry_after="Thu, 01 Jan 1970 00:00:00 -9999"), LATE),
}  # fmt: skip


def call(
    url: str, *, method: str = "POST", body: bytes = b"{}", timeout: float = 5.0, deadline: float = DEADLINE
) -> bytes:
    transport = Transport(url, timeout=timeout)
    try:
        ends = time.monotonic() + deadline
        return bytes(transport.request(method, "/x", deadline=ends, max_bytes=1000, body=[body] if body else []))
    finally:
        transport.close()


def fails(url: str, **arguments: Any) -> tuple[ClientError, float]:
    """The error of a call, and the seconds until it came."""
    began = time.monotonic()
    with pytest.raises(ClientError, match=r".") as caught:
        call(url, **arguments)
    return caught.value, time.monotonic() - began
