"""`lrtables serve`: the server, until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from typing_extensions import override

from service.commands.options import CommandError, add_server_options, settings_of
from service.errors import StorageError

if TYPE_CHECKING:
    from service.commands.options import Subparsers
    from service.settings import Settings
    from service.state import ServerState

_logger = logging.getLogger("lrtables")

_CLOSING_SECONDS = 1.0  # after drain_seconds, for the threads, the database and the store to end
_LAST_SECONDS = 0.75  # after those, for saying that they did not
_BACKLOG = 4096  # connections that wait to be accepted: a whole cluster starts at the same moment

_DESCRIPTION = """Run the server until it is told to stop. The first line it prints is its address. Every option, and
more, is also an environment variable, LRTABLES_PORT, LRTABLES_DATA_DIR, ..., and may stand in a TOML file."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `serve` to a command's subparsers; `run` of the parsed arguments is what returns the exit code."""
    parser = subparsers.add_parser("serve", help="run the server", description=_DESCRIPTION)
    add_server_options(parser)
    parser.set_defaults(run=_serve)


def _serve(parsed: argparse.Namespace) -> int:
    """Answer requests until SIGTERM or SIGINT; requests under way are finished first."""
    try:
        import uvicorn  # noqa: F401, PLC0415  # only the server needs the service extra
    except ModuleNotFoundError as error:
        raise CommandError(f"the server needs {error.name}: pip install 'lrtables[service]'") from error
    return _run(settings_of(parsed))


def _run(settings: Settings) -> int:
    from service.app import open_server  # noqa: PLC0415  # only the server needs the service extra
    from service.observability import logs  # noqa: PLC0415  # only the server needs the service extra
    from service.operations.doctor import strange_variables  # noqa: PLC0415  # only the server needs the service extra
    from service.server.file_limit import raise_file_limit  # noqa: PLC0415  # only the server needs the service extra

    for check in strange_variables(os.environ):
        if check.state == "failed":  # a misspelt LRTABLES_REQUIRE_TOKENS would open the server to everybody
            raise CommandError(check.detail)
    logs.configure(settings)
    _check_uvicorn()
    try:
        raise_file_limit(settings.max_connections)
    except ValueError as error:
        raise CommandError(str(error)) from error
    _when_told_to_stop(lambda *_: sys.exit(0))
    try:
        server = open_server(settings)
        _check_tokens(server)
        with _listen(settings.host, settings.port) as listener:
            _answer(listener, server)
    except (OSError, StorageError) as error:
        raise CommandError(str(error)) from error
    return 0


def _check_uvicorn() -> None:
    """Refuse a uvicorn that connections cannot be built on, before anything is opened."""
    try:
        from service.server.uvicorn_adapter import check_uvicorn  # noqa: PLC0415  # another uvicorn fails at import

        check_uvicorn()
    except ImportError as error:
        raise CommandError(str(error)) from error


def _check_tokens(server: ServerState) -> None:
    """Refuse to be reachable from elsewhere as long as nobody has a valid token, unless that is wanted."""
    settings = server.settings
    now = time.time()
    if settings.asks_for_tokens and not any(row.state(now) == "valid" for row in server.metadata.tokens.every_token()):
        raise CommandError(
            f"refusing to listen on {settings.host}: it asks for tokens, and none is valid. Make one with "
            "'lrtables token create', listen on 127.0.0.1, or say --insecure-no-auth where nobody else can reach it"
        )
    if settings.is_exposed:
        raise CommandError(
            f"refusing to listen on {settings.host}: without tokens, anyone who reaches it may use it; "
            "say --insecure-no-auth where that is meant"
        )


def _answer(listener: socket.socket, server: ServerState) -> None:
    """Say where the server listens, and answer there."""
    import uvicorn  # noqa: PLC0415  # only the server needs the service extra

    from service.app import assemble  # noqa: PLC0415  # only the server needs the service extra
    from service.server.connection import connection_class  # noqa: PLC0415  # only the server needs the service extra

    settings = server.settings
    application = assemble(server)
    fast = application.fast_path.try_fast_response
    config = uvicorn.Config(
        application.asgi,
        loop="uvloop",  # plain asyncio copies what a slow reader has not taken: megabytes for each
        http=connection_class(settings, server.connections_closed, fast),
        ws="none",
        lifespan="on",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),  # the connections see to it before
        access_log=False,
        log_config=None,
        log_level="error",  # uvicorn warns of every malformed request, which is its sender's to know
        server_header=False,
        proxy_headers=False,
    )

    deadline = _Deadline(settings.drain_seconds + _CLOSING_SECONDS)

    class Running(uvicorn.Server):
        @override
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            server.draining = True
            server.tables.computations.hurry()
            deadline.begin()
            super().handle_exit(sig, frame)

    running = Running(config)
    _when_told_to_stop(running.handle_exit)  # before uvicorn does it: a stop at any moment from here on is a clean one
    print(_url(listener), flush=True)
    running.run(sockets=[listener])


class _Deadline:
    """Ends this process so many seconds after it was told to stop, whatever its threads do.

    A thread that is in the middle of something cannot be stopped, and Python waits for each before it ends. What was
    acknowledged is stored by then, and a process may end at any moment without harm to that.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun, self._begin = os.pipe()
        threading.Thread(target=self._wait, daemon=True).start()

    def begin(self) -> None:
        """Count from now on. For a signal handler: it takes no lock, which the thread that it interrupts may hold."""
        os.write(self._begin, b"1")
        # should the thread below never get its turn, as something keeps the interpreter to itself: ends the process
        signal.setitimer(signal.ITIMER_REAL, self._seconds + _LAST_SECONDS)

    def _wait(self) -> None:
        os.read(self._begun, 1)
        time.sleep(self._seconds)
        _logger.error("not everything ended within drain_seconds and %g s: ending at once", _CLOSING_SECONDS)
        os._exit(0)


def _when_told_to_stop(handle: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
