"""Raw connections to a server, and servers with an application of a test's own."""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from service.http.responses import Fields
from service.server.connection import connection_class
from service.server.fast_path import FastResponse
from service.settings import Settings
from tests.support.servers.attackers import Attacker, Life, live

PATIENCE = 30.0  # seconds: far beyond every deadline here

QUICK: dict[str, Any] = {"header_seconds": 0.5, "body_seconds": 0.6, "idle_seconds": 0.7, "send_seconds": 0.8}

PATIENT: dict[str, Any] = {"header_seconds": 600, "body_seconds": 600, "idle_seconds": 600, "send_seconds": 600}

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(port: int, window: int | None = None) -> socket.socket:
    """A connection; with a window, the system takes only so many bytes for it that nobody has read."""
    connection = socket.socket()
    if window is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    return connection


def everything(connection: socket.socket) -> bytes:
    """All bytes received until the server closes."""
    return b"".join(iter(partial(connection.recv, 2**20), b""))


def attack(attacker: Attacker, port: int) -> Life:
    return asyncio.run(asyncio.wait_for(live(attacker, port, beat=0.03), PATIENCE))


def problem(response: bytes) -> tuple[int, str]:
    """The status and code of a response that is a problem and the last of its connection."""
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    found = json.loads(body)
    assert {"content-type: application/problem+json", "connection: close", f"content-length: {len(body)}"} <= {*lines}
    assert lines[0] == f"HTTP/1.1 {found['status']} {found['title']}"
    assert f"x-request-id: {found['request_id']}" in lines
    return found["status"], found["code"]


def asked(connection: socket.socket) -> None:
    """Ask over a connection that stays open."""
    connection.sendall(GET)
    received = b""
    while not received.endswith(b'{"status":"ok"}'):
        received += connection.recv(2**16)


def until(met: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    end = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


ASK = b"GET /at-once HTTP/1.1\r\nHost: localhost\r\n\r\n"

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n"


def try_fast_response(path: str, headers: Fields, client: str) -> tuple[bytes, bytes] | None:
    return (RESPONSE, b"at once") if path == "/at-once" else None


async def patiently(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that takes its time: what it answers is "well"."""
    await asyncio.sleep(0.1)
    await answer(send)


def bodies(responses: bytes) -> list[bytes]:
    """The bodies of the responses that came over a connection."""
    return [part.partition(b"\r\n\r\n")[2] for part in responses.split(b"HTTP/1.1 200 OK\r\n")[1:]]


App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def answer(send: Send, body: bytes = b"well") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def streaming(parts: list[bytes]) -> App:
    """An application that sends these parts, without saying how much it will be."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return stream


@contextmanager
def running(app: App, closed: Counter[str] | None = None, **more: FastResponse) -> Iterator[int]:
    """The port of an application that answers in a thread of this process, with short deadlines."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        http = connection_class(Settings(**QUICK), closed, **more)
        config = uvicorn.Config(app, loop="uvloop", http=http, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
