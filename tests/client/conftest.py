"""Two servers for the client: a scripted one that can misbehave, and the real one."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.servers.process import ServerProcess


@dataclass
class Response:
    """A scripted response."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # announced, where it is not the body's
    pause: float = 0.0  # seconds after each byte
    hang_up: bool = False  # close the connection without a word


@dataclass
class Seen:
    """A request that the scripted server got, and when."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    at: float


class ScriptedServer(ThreadingHTTPServer):
    """Says what the test tells it to, and remembers what it was asked."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.seen: list[Seen] = []
        self.script: Callable[[Seen], Response] = lambda _: Response()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = Seen(self.command, self.path, body, dict(self.headers), time.monotonic())
        self.server.seen.append(seen)
        response = self.server.script(seen)
        if response.hang_up:
            self.close_connection = True
            return
        self.send_response(response.status)
        length = len(response.body) if response.length is None else response.length
        own = {"Content-Length": str(length), "X-Request-ID": self.headers.get("X-Request-ID", "")}
        for name, value in {**own, **response.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client may have had enough
            self.write(response)
        self.close_connection = length != len(response.body)

    do_POST = do_PUT = do_GET  # noqa: N815  # the names are http.server's

    def write(self, response: Response) -> None:
        if not response.pause:
            self.wfile.write(response.body)
            return
        for byte in response.body:
            self.wfile.write(bytes([byte]))
            time.sleep(response.pause)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def response() -> type[Response]:
    """The class of scripted responses; a fixture, because test files cannot import one another."""
    return Response


@pytest.fixture(scope="session")
def service_url(shared_server: ServerProcess) -> str:
    """The address of a real server process."""
    return shared_server.url


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context with a certificate that the client trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=digitalSignature,keyCertSign"]
    subprocess.run([*command.split(), *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
