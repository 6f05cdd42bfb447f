"""The client where no connection comes about, by name or through TLS: each call ends in time, with a named error."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from client import (
    ClientError,
    DeadlineExceededError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from client.http.transport import Transport
from tests.support.client.broken_servers import HEAD, NEVER, PATIENCE, answers, call, drips, fails, floods
from tests.support.client.hostile_server import hostile_server, through_tls

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


def unknown() -> list[Any]:
    raise socket.gaierror(-2, "Name or service not known")


def test_a_name_that_there_is_none_of_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without an address is unreachable as soon as refused connections are, and the error says what to check."""
    looked_up(monkeypatch, unknown)
    transport = Transport("http://service.example:8000", timeout=10.0, refused_patience=0.2)
    with pytest.raises(
        ServiceUnreachableError, match=r"Name or service not known \(not found for the 0\.2 s "
    ) as caught:
        transport.request("GET", "/", deadline=time.monotonic() + 600.0, max_bytes=1000)
    assert "; the host's name is not known: check its spelling in the address (LRTABLES_URL)" in str(caught.value)


def test_a_name_that_is_known_later_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not known at first is looked up again; one that has answered is looked for until the deadline."""
    with hostile_server() as server:
        server.script = answers(b"found")
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

        def from_the_third_on() -> list[Any]:
            return found if len(calls) > 2 else unknown()

        calls = looked_up(monkeypatch, from_the_third_on)
        transport = Transport("http://service.example:8000", timeout=10.0)

        def call_now(seconds: float) -> bytes:
            return bytes(transport.request("GET", "/", deadline=time.monotonic() + seconds, max_bytes=1000))

        assert call_now(20.0) == b"found"
        transport.close()
        looked_up(monkeypatch, unknown)
        monkeypatch.setattr("client.http.transport.REFUSED_PATIENCE", 0.01)
        with pytest.raises(ServiceUnreachableError, match=r"not known \(the deadline came after \d+ attempt"):
            call_now(1.0)


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
        assert call("http://service.example:8000", deadline=5.0) == b"found"
        looked_up(monkeypatch, lambda: silent)
        error, seconds = fails("http://service.example:8000")
    assert isinstance(error, ServiceUnreachableError)
    assert seconds < NEVER


# -- through TLS ------------------------------------------------------------------------------------------------------


@pytest.mark.needs("openssl")
def test_requests_through_tls_keep_deadline_and_limits(certificate: ssl.SSLContext) -> None:
    """A sound response comes through TLS; a dripped or an endless one ends in time."""
    with hostile_server() as server:
        url = through_tls(server, certificate)
        server.script = answers(b"secret")
        assert call(url, deadline=PATIENCE) == b"secret"
        assert call(url, deadline=PATIENCE, method="PUT", body=bytes(2**20)) == b"secret"
        server.script = drips(HEAD + b"X")
        assert isinstance(fails(url)[0], DeadlineExceededError)
        server.script = floods(HEAD + b"\r\n", bytes(2**16))
        assert isinstance(fails(url, deadline=PATIENCE)[0], UnexpectedResponseError)


@pytest.mark.needs("openssl")
def test_a_certificate_that_is_not_trusted_is_refused(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TLS server whose certificate cannot be verified is refused without a retry."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with hostile_server() as server:
        error, _ = fails(through_tls(server, certificate), deadline=PATIENCE)
        assert server.seen == []
    assert isinstance(error, UnexpectedResponseError)
    assert "certificate" in str(error)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param(b"", ServiceUnreachableError, id="hung-up"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", UnexpectedResponseError, id="plain"),
    ],
)
def test_a_handshake_with_something_else_is_a_named_error(script: bytes, kind: type[ClientError]) -> None:
    """A server that does not speak TLS on an https URL is a named error."""

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
