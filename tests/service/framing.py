"""Raw HTTP, right and wrong, to a server's connection in this process: what it answers, whatever way it takes.

Run: python -m tests.service.framing 100000
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState as UvicornState

from scheduler import Spec, Table
from scheduler.compose import Constant
from service.app import assemble, open_server
from service.representations.formats import NPY
from service.server.connection import connection_class
from service.server.fast_path import FastPath
from service.settings import Settings
from service.state import ServerState

SPEC = Spec(schedule=Constant(0.5), total_steps=3)
DIGEST = Table.compute(SPEC).digest
_TURNS = 200  # of the loop, in which a request is answered that waits for no thread and no client
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_BEGIN = re.compile(rb"(?=HTTP/1\.1 \d{3} )")
_PROBLEM = b"content-type: application/problem+json"  # its body has the id, which is of any length
_OWN_ID = re.compile(rb"^x-request-id: (?!mine$).*")
_ID_IN_BODY = re.compile(rb'"request_id": ?"(?!mine").*?"')


class Outcome(NamedTuple):
    """The statuses of the responses over one connection, in their order, and whether the server has ended it."""

    statuses: tuple[int, ...]
    ended: bool


def readable(written: bytes, *, every_id: bool) -> list[tuple[bytes, list[bytes], bytes]]:
    """What was written, as first lines, sorted headers and bodies; without what differs from one request to the next.

    Ids that the server made are only there with `every_id`, all alike.
    """
    found = []
    for response in _BEGIN.split(written)[1:]:
        head, _, body = response.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        varying = (b"date: ", b"content-length: ") if _PROBLEM in lines else (b"date: ",)
        headers = [_OWN_ID.sub(b"x-request-id: made", line) for line in lines if not line.startswith(varying)]
        found.append((first, sorted(headers), _ID_IN_BODY.sub(b"", body)))
    if every_id:
        return found
    return [(first, [line for line in lines if line != b"x-request-id: made"], body) for first, lines, body in found]


class _Socket:
    """What a connection asks of its socket."""

    def setsockopt(self, *_: object) -> None:
        """Take no notice."""

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        """Return zeros."""
        return bytes(length)

    def getsockname(self) -> tuple[str, int]:
        """Return an address."""
        return "127.0.0.1", 1

    getpeername = getsockname


class Wire(asyncio.Transport):
    """A transport that takes all that is written at once."""

    def __init__(self) -> None:
        super().__init__({"socket": _Socket()})
        self.written = bytearray()
        self.ended = False
        self.paused = False

    @override
    def write(self, data: Any) -> None:
        if not self.ended:
            self.written += data

    @override
    def is_closing(self) -> bool:
        return self.ended

    @override
    def close(self) -> None:
        self.ended = True

    @override
    def write_eof(self) -> None:
        self.ended = True

    @override
    def abort(self) -> None:
        self.ended = True

    @override
    def pause_reading(self) -> None:
        self.paused = True

    @override
    def resume_reading(self) -> None:
        self.paused = False

    @override
    def get_write_buffer_size(self) -> int:
        return 0

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Way:
    """A server's connections, with a fast path or without one."""

    def __init__(self, app: Any, settings: Settings, fast_path: FastPath | None = None) -> None:
        self._config = uvicorn.Config(app, ws="none", log_config=None, lifespan="off")
        self._config.load()
        without = connection_class(settings)
        self._class = connection_class(settings, None, fast_path.try_fast_response) if fast_path else without

    async def answer(self, parts: list[bytes]) -> tuple[Outcome, bytes]:
        """What comes of these parts, each sent once nothing more comes of those before it."""
        wire, state = Wire(), UvicornState()
        connection: HttpToolsProtocol = self._class(self._config, state, {})
        connection.connection_made(wire)
        for part in parts:
            if wire.ended or wire.paused:
                break
            connection.data_received(part)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
                if not state.tasks:
                    break
        outcome = Outcome(tuple(int(status) for status in _STATUS.findall(wire.written)), wire.ended)
        connection.connection_lost(None)
        for task in state.tasks:
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        return outcome, bytes(wire.written)


class Ways(NamedTuple):
    """Ways into one server: with a fast path, with one that gives every request an id for the log, and without one."""

    fast: Way
    logged: Way
    slow: Way


@contextmanager
def ways(folder: Path) -> Iterator[Ways]:
    """Every way into a server that has the table of `SPEC` in memory."""
    settings = Settings(data_dir=folder)
    server = open_server(settings)
    logger = logging.getLogger("lrtables")
    level = logger.level
    try:
        logger.setLevel(logging.INFO)
        logged = assemble(server)
        logger.setLevel(logging.CRITICAL)
        fast = assemble(server)
        asyncio.run(_compute(server))
        found = Ways(
            Way(fast.asgi, settings, fast.fast_path),
            Way(logged.asgi, settings, logged.fast_path),
            Way(fast.asgi, settings),
        )
        for rest in ("", ".npy", ".safetensors", "/manifest"):  # from now on they are answered at once
            asyncio.run(
                found.slow.answer([f"GET /v1/tables/{DIGEST}{rest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()])
            )
        yield found
    finally:
        logger.setLevel(level)
        server.tables.computations.close()
        server.executors.close()
        server.metadata.close()
        server.store.close()


async def _compute(server: ServerState) -> None:
    await server.tables.obtain(SPEC)


class Writer:
    """Writes requests at random: mostly right, and wrong in one place or another.

    Args:
        seed: the same requests for the same one.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        table = f"/v1/tables/{DIGEST}"
        self._tag = NPY.etag(DIGEST).decode()
        self._targets = 8 * [f"{table}.npy", f"{table}/manifest"] + [
            f"{table}.safetensors",
            table,
            f"{table}.npy?x",
            f"http://localhost{table}.npy",
            f"{table}%2enpy",
            "/livez",
            "/nowhere",
            "/v1/tables/abc",
            "*",
            "no-path",
            "",
        ]

    def connection(self) -> list[bytes]:
        """All that one client sends, in parts."""
        data = b"".join(self.request() for _ in range(self._random.randint(1, 6)))
        cuts = sorted(self._random.randrange(len(data)) for _ in range(self._random.choice([0, 0, 1, 2, 5])))
        return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < stop]

    def request(self) -> bytes:
        """One request, or what stands where one should."""
        pick = self._random.choice
        if self._random.random() < 0.03:
            return pick(
                [b"nonsense\r\n\r\n", b"\r\n", b"\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01", b" "]
            )
        line = f"{pick(['GET'] * 50 + ['HEAD', 'POST', 'PUT', 'OPTIONS', 'get', 'CONNECT', 'G@T'])} "
        line += (
            f"{pick(self._targets)} {pick(['HTTP/1.1'] * 80 + ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/1.1 ', ''])}"
        )
        fields = [pick(["Host: localhost"] * 80 + ["Host: evil.example", "Host: a\r\nHost: b", "X: y", "Host:"])]
        fields += [pick(choices) for choices, share in self._fields() if self._random.random() < share]
        framing, body = self._framing()
        self._random.shuffle(fields)
        return "\r\n".join([line, *fields, *framing, "", body]).encode("latin-1")

    def _fields(self) -> list[tuple[list[str], float]]:
        """Lines, one of which is sent, and how often."""
        return [
            (
                ["Connection: keep-alive", "Connection: close", "Connection: upgrade", "Connection: close, upgrade"],
                0.05,
            ),
            (["Connection: Upgrade\r\nUpgrade: websocket", "Connection: Upgrade, X\r\nUpgrade: h2c\r\nX: y"], 0.1),
            (["Upgrade: websocket", "Upgrade: h2c, websocket"], 0.05),
            ([f"If-None-Match: {self._tag}", "If-None-Match: *", "If-Match: *", "If-Match: x"], 0.15),
            (["Range: bytes=0-9", "Range: bytes=9999999-", "Range: nonsense"], 0.1),
            (["Accept: */*", "Accept: text/html", "X-Request-ID: mine", "Expect: 100-continue"], 0.2),
            (["X: a\r\n b", "X : y", "X: \0", "X: \xe9", "X", ": y", "X: " + "y" * 3000, "\xe9: y"], 0.02),
        ]

    def _framing(self) -> tuple[list[str], str]:
        """The lines that say how long a body is, and the body: mostly none."""
        pick = self._random.choice
        kind = pick(["none"] * 24 + ["length"] * 5 + ["chunks"] * 5 + ["both", "odd"])
        if kind == "length":
            return [f"Content-Length: {pick(['3'] * 9 + ['0', '2', '5', '-1', 'x', '3, 3', '+3', '9' * 30])}"], "abc"
        if kind == "none":
            return [], ""
        if kind == "both":
            return ["Content-Length: 3", "Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n"
        if kind == "odd":
            return [f"Transfer-Encoding: {pick(['gzip, chunked', 'identity', 'chunked, gzip', 'Chunked', 'x'])}"], ""
        whole = ["0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "3;a=b\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nX: y\r\n\r\n"]
        broken = [
            "3\r\nabcd\r\n0\r\n\r\n",
            "x\r\n",
            "-1\r\n",
            "3\nabc\n0\n\n",
            "3\r\nabc\r\n0\r\nX\r\n\r\n",
            "3\r\nabc",
            "0\r\n",
        ]
        return ["Transfer-Encoding: chunked"], pick(3 * whole + broken)


def differences(fast: Way, slow: Way, count: int, seed: int, *, every_id: bool) -> Iterator[tuple[Any, Any, Any]]:
    """Of so many connections, those over which other responses come on one way than on the other."""
    writer = Writer(seed)

    async def ask(way: Way, parts: list[bytes]) -> tuple[Any, ...]:
        outcome, written = await way.answer(parts)
        return outcome, readable(written, every_id=every_id)

    async def both(parts: list[bytes]) -> tuple[Any, Any]:
        return await ask(fast, parts), await ask(slow, parts)

    with asyncio.Runner() as runner:
        for _ in range(count):
            parts = writer.connection()
            quick, steady = runner.run(both(parts))
            if quick != steady:
                yield parts, quick, steady


def main() -> None:
    """Compare as many connections as the command says, and print what differs."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder, ways(Path(folder)) as (fast, logged, slow):
        found = 0
        for way in (fast, logged):
            for parts, quick, steady in differences(way, slow, count, seed=1, every_id=way is logged):
                found += 1
                print(quick, steady, parts)
    print(f"{count} connections on each way, {found} of which differ")


if __name__ == "__main__":
    main()
