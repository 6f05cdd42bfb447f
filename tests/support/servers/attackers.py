"""Clients that hold a connection with next to nothing."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from dataclasses import dataclass
from typing import NamedTuple

WINDOW = 4096  # bytes that a reader's system takes for it
_HEAD = b"%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@dataclass(frozen=True)
class Attacker:
    """Bytes a client sends first, bytes it sends with every beat, and bytes it reads then (None: all)."""

    opening: bytes = b""
    drip: bytes = b""
    takes: int | None = None


class Life(NamedTuple):
    """Lifetime of a connection in seconds, and the bytes that it received.

    It was seen alive after `alive` seconds, and not any more after `seconds`.
    """

    alive: float
    seconds: float
    received: bytes


SILENT = Attacker()
HEADERS = Attacker(_HEAD % b"GET /livez" + b"X-Slow: ", b"a")
BODY = Attacker(
    _HEAD % b"POST /v1/tables" + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n", drip=b" "
)


def reader(path: str, takes: int) -> Attacker:
    """A client that asks for what is there and takes so many bytes of it with every beat."""
    return Attacker(_HEAD % f"GET {path}".encode() + b"\r\n", takes=takes)


async def live(attacker: Attacker, port: int, beat: float) -> Life:
    """Attack with one connection until the server ends it, with a beat every so many seconds."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        started = alive = time.monotonic()
        await loop.sock_sendall(connection, attacker.opening)
        while _beat(attacker, connection, received):
            alive = time.monotonic()
            await asyncio.sleep(random.uniform(0, 2 * beat))  # not all at once
        return Life(alive - started, time.monotonic() - started, bytes(received))


def _beat(attacker: Attacker, connection: socket.socket, received: bytearray) -> bool:
    """Take and send a little; whether the connection is still there."""
    if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return False
    try:
        connection.send(attacker.drip)
        return _take(attacker.takes, connection, received)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def _take(most: int | None, connection: socket.socket, received: bytearray) -> bool:
    while most != 0:
        taken = connection.recv(2**16 if most is None else most)
        received += taken
        if most is not None or not taken:
            return bool(taken)
    return True
