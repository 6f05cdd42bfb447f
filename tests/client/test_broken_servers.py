"""The client against servers that are broken in every way: each call ends in time, and with a named error."""

from __future__ import annotations

import gc
import gzip
import json
import pickle
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import repeat
from typing import Any

import psutil
import pytest

from client import (
    ClientError,
    DeadlineExceededError,
    RequestRefusedError,
    ServiceUnreachableError,
    UnexpectedAnswerError,
)
from client.connections import _Socket  # counted where they may be left open
from client.transport import MAX_ERROR, MAX_HEAD, Transport
from tests.support.client.hostile_server import Request, Script, hostile_server, response, through_tls

DEADLINE = 0.4
NEVER = 20.0  # seconds after which a call is taken for one that does not end
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
WRONG, LATE, AWAY, REFUSED = UnexpectedAnswerError, DeadlineExceededError, ServiceUnreachableError, RequestRefusedError

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


def of_profile(name: str) -> tuple[str, ClientError, float]:
    with hostile_server() as server:
        server.script = PROFILES[name][0]
        return name, *fails(server.url)


def open_sockets() -> set[int]:
    """The open sockets of clients in this process. No object is asked for its class: some of torch would warn."""
    return {id(each) for each in gc.get_objects() if issubclass(type(each), _Socket) and each.fileno() >= 0}


def test_every_broken_server_ends_a_call_in_time_with_its_named_error() -> None:
    """Whatever a server does, the call ends about when its deadline comes, in an error that travels and prints."""
    before = open_sockets()
    with ThreadPoolExecutor(12) as pool:
        ends = list(pool.map(of_profile, PROFILES))
    assert open_sockets() - before == set()  # though the errors still hold the frames that they went through
    wrong = [(name, repr(error)) for name, error, _ in ends if type(error) is not PROFILES[name][1]]
    assert wrong == []
    assert [(name, seconds) for name, _, seconds in ends if seconds > NEVER] == []
    for _, error, _ in ends:
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error)
        f"{error}{error!r}{again!r}".encode()
        assert all(each.isprintable() or each in "\n\t" for each in str(error))


def test_an_error_keeps_its_status_whatever_its_body_is() -> None:
    """Of an error whose body cannot be read, or is endless, the status and what could be read are there."""
    names = [name for name, (_, kind) in PROFILES.items() if kind is REFUSED]
    with ThreadPoolExecutor(12) as pool:
        for name, error, _ in pool.map(of_profile, names):
            assert isinstance(error, RequestRefusedError)
            assert error.status in (302, 304, 404), name
            assert len(error.args[2]) <= MAX_ERROR + 1
    assert len(names) > 10


def test_memory_is_bound_by_what_was_asked_for() -> None:
    """An endless body, head or error takes no more memory than the limits say; the server cannot send much of it."""
    wave = bytes(2**20)
    for start in (HEAD + b"\r\n", HEAD + b"X: ", NO + b"\r\n"):
        sent = [0]

        def endless(_: Request, connection: socket.socket, start: bytes = start, sent: list[int] = sent) -> None:
            connection.sendall(start)
            while True:
                sent[0] += connection.send(wave)

        with hostile_server() as server:
            server.script = endless
            before = psutil.Process().memory_info().rss
            fails(server.url, deadline=NEVER)
            assert psutil.Process().memory_info().rss - before < 2**25
        assert sent[0] < 2**24 + MAX_HEAD  # what the system's buffers hold


# -- bodies that go out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["nothing", "drops"])
def test_a_body_that_is_hardly_taken_ends_in_time(pause: float) -> None:
    """A server that takes nothing of a body, or drops of it, does not hold a call past its deadline."""

    def take(connection: socket.socket) -> None:
        with connection:
            while pause and not done.is_set() and connection.recv(1000):
                time.sleep(pause)
            done.wait(NEVER)

    done = threading.Event()
    with hostile_server() as server:
        server.serve = take
        error, seconds = fails(server.url, method="PUT", body=bytes(2**25))
        done.set()
    assert isinstance(error, DeadlineExceededError)
    assert seconds < NEVER


def test_a_refusal_that_comes_before_the_body_was_taken_is_heard() -> None:
    """A service that answers 413 and hangs up in the middle of a body is understood, not taken for a dead one."""

    def refuse(connection: socket.socket) -> None:
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(2**16):
                pass

    with hostile_server() as server:
        server.serve = refuse
        error, _ = fails(server.url, method="PUT", body=bytes(2**22), deadline=NEVER)
    assert isinstance(error, RequestRefusedError)
    assert error.status == 413


# -- before there is a connection -------------------------------------------------------------------------------------


def looked_up(monkeypatch: pytest.MonkeyPatch, look_up: Callable[[], list[Any]]) -> list[int]:
    """Replace the system's look-up of names that are no numbers; the returned list grows with every one."""
    calls: list[int] = []
    real = socket.getaddrinfo

    def replaced(host: Any, *arguments: Any) -> Any:
        if host != "service.example":
            return real(host, *arguments)
        if arguments[-1] == socket.AI_NUMERICHOST:
            raise socket.gaierror("no number")
        calls.append(1)
        return look_up()

    monkeypatch.setattr(socket, "getaddrinfo", replaced)
    return calls


def test_a_name_that_is_looked_up_for_ever_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up of a host's name is part of the deadline, and is not begun anew while it runs."""
    done = threading.Event()

    def hang() -> list[Any]:
        done.wait(NEVER)
        return []

    calls = looked_up(monkeypatch, hang)
    error, seconds = fails("http://service.example:8000", timeout=0.1)
    done.set()
    assert isinstance(error, ServiceUnreachableError)
    assert (len(calls), seconds < NEVER) == (1, True)


def test_a_name_that_there_is_none_of_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without an address is a ServiceUnreachableError that says so."""

    def unknown() -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    looked_up(monkeypatch, unknown)
    error, _ = fails("http://service.example:8000")
    assert isinstance(error, ServiceUnreachableError)
    assert "Name or service not known" in str(error)


@pytest.fixture
def silent_address() -> Iterator[Any]:
    """An address whose queue is full: a connection to it is neither made nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


@pytest.mark.parametrize("dead", [1, 10])
def test_the_addresses_of_a_name_share_the_deadline(
    monkeypatch: pytest.MonkeyPatch, silent_address: Any, dead: int
) -> None:
    """One address that answers is reached behind ten that do not, and ten that do not end in time."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    silent = [(*kind, silent_address)] * dead
    with hostile_server() as server:
        server.script = answers(b"found")
        looked_up(monkeypatch, lambda: [*silent, (*kind, ("127.0.0.1", server.port))])
        assert call("http://service.example:8000", deadline=2.0) == b"found"
        looked_up(monkeypatch, lambda: silent)
        error, seconds = fails("http://service.example:8000")
    assert isinstance(error, ServiceUnreachableError)
    assert seconds < NEVER


# -- through TLS ------------------------------------------------------------------------------------------------------


@pytest.mark.needs("openssl")
def test_requests_through_tls_keep_deadline_and_limits(certificate: ssl.SSLContext) -> None:
    """A sound answer comes through TLS; a dripped or an endless one ends in time."""
    with hostile_server() as server:
        url = through_tls(server, certificate)
        server.script = answers(b"secret")
        assert call(url, deadline=NEVER) == b"secret"
        assert call(url, deadline=NEVER, method="PUT", body=bytes(2**20)) == b"secret"
        server.script = drips(HEAD + b"X")
        assert isinstance(fails(url)[0], DeadlineExceededError)
        server.script = floods(HEAD + b"\r\n", bytes(2**16))
        assert isinstance(fails(url, deadline=NEVER)[0], UnexpectedAnswerError)


@pytest.mark.needs("openssl")
def test_a_certificate_that_is_not_trusted_is_refused(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who speaks TLS without a certificate that can be verified is not the service: nothing is tried again."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with hostile_server() as server:
        error, _ = fails(through_tls(server, certificate), deadline=NEVER)
        assert server.seen == []
    assert isinstance(error, UnexpectedAnswerError)
    assert "certificate" in str(error)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param(b"", ServiceUnreachableError, id="hung-up"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", UnexpectedAnswerError, id="plain"),
    ],
)
def test_a_handshake_with_something_else_is_a_named_error(script: bytes, kind: type[ClientError]) -> None:
    """What does not speak TLS where TLS was asked for is a named error."""

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.recv(2**16)
            connection.sendall(script)

    with hostile_server() as server:
        server.serve = serve
        assert type(fails(server.url.replace("http:", "https:"))[0]) is kind


@pytest.mark.parametrize("drop", [b"", b"\x16\x03\x03\x3f\xff" + bytes(10)], ids=["silent", "dripped"])
def test_a_handshake_that_never_ends_ends_in_time(drop: bytes) -> None:
    """A TLS handshake is part of the deadline, however slowly it goes on."""

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.recv(2**16)
            connection.sendall(drop)
            while drop and not done.wait(0.02):
                connection.sendall(b"\0")
            done.wait(NEVER)

    done = threading.Event()
    with hostile_server() as server:
        server.serve = serve
        error, seconds = fails(server.url.replace("http:", "https:"))
        done.set()
    assert isinstance(error, DeadlineExceededError)
    assert seconds < NEVER
