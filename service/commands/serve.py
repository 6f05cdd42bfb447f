"""`lrtables serve`: runs the server until SIGTERM or SIGINT."""

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
from ipaddress import ip_address
from types import FrameType
from typing import TYPE_CHECKING

from typing_extensions import override

from service.commands.options import CommandError, add_server_options, new_database, settings_of
from service.errors import StorageError

if TYPE_CHECKING:
    from service.commands.options import Subparsers
    from service.settings import Settings
    from service.state import ServerState

_logger = logging.getLogger("lrtables")

_CLOSING_SECONDS = 1.0  # after drain_seconds, to stop the threads and close the database and the store
_LOGGING_SECONDS = 0.75  # after those, to log that they did not stop
_BACKLOG = 4096  # connections waiting to be accepted: all processes of a cluster connect at the same moment

_DESCRIPTION = """Run the server until SIGTERM or SIGINT. The first line it prints is its URL. Every option, and more,
is also an environment variable, LRTABLES_PORT, LRTABLES_DATA_DIR, ..., and a key of the TOML file."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `serve` to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    parser = subparsers.add_parser("serve", help="run the server", description=_DESCRIPTION)
    add_server_options(parser)
    parser.set_defaults(run=_serve)


def _serve(parsed: argparse.Namespace) -> int:
    """Serve requests until SIGTERM or SIGINT, then finish the active ones."""
    try:
        import uvicorn  # noqa: F401, PLC0415  # only the server needs the service extra
    except ModuleNotFoundError as error:
        raise CommandError(f"the server needs {error.name}: pip install 'lrtables[service]'") from error
    return _run(settings_of(parsed))


def _run(settings: Settings) -> int:
    from service.app import open_server  # noqa: PLC0415  # only the server needs the service extra
    from service.observability import logs  # noqa: PLC0415  # only the server needs the service extra
    from service.operations.doctor import unknown_variables  # noqa: PLC0415  # only the server needs the service extra
    from service.server.file_limit import raise_file_limit  # noqa: PLC0415  # only the server needs the service extra

    for check in unknown_variables(os.environ):
        if check.state == "failed":  # a misspelt LRTABLES_REQUIRE_TOKENS would open the server to everybody
            raise CommandError(check.detail)
    logs.configure(settings)
    _check_uvicorn()
    try:
        raise_file_limit(settings.max_connections)
    except ValueError as error:
        raise CommandError(str(error)) from error
    _handle_stop_signals(lambda *_: sys.exit(0))
    try:
        server = open_server(settings)
        _check_tokens(server)
        with _listen(settings.host, settings.port) as listener:
            _serve_requests(listener, server)
    except (OSError, StorageError) as error:
        raise CommandError(str(error)) from error
    return 0


def _check_uvicorn() -> None:
    """Raise `CommandError` for an unsupported uvicorn, before anything is opened."""
    try:
        from service.server.uvicorn_adapter import check_uvicorn  # noqa: PLC0415  # another uvicorn fails at import

        check_uvicorn()
    except ImportError as error:
        raise CommandError(str(error)) from error


def _check_tokens(server: ServerState) -> None:
    """Raise `CommandError` if other machines could use the server without a token, or if no token is valid."""
    from service.settings import token_command  # noqa: PLC0415  # only the server needs the service extra

    settings = server.settings
    now = time.time()
    if settings.requires_tokens and not any(row.state(now) == "valid" for row in server.metadata.tokens.every_token()):
        new = f" ({new_database(server.metadata)})" if server.metadata.is_new else ""
        raise CommandError(
            f"refusing to listen on {settings.host}: tokens are required, and none is valid{new}. Use "
            f"--insecure-no-auth if nobody else can reach it, or create a token: {token_command(settings)}"
        )
    if settings.is_exposed:
        raise CommandError(
            f"refusing to listen on {settings.host}: without tokens, anyone who can reach it can use it; "
            "use --insecure-no-auth to permit that"
        )


def _serve_requests(listener: socket.socket, server: ServerState) -> None:
    """Print the server's URL, and serve requests until a signal stops it."""
    import uvicorn  # noqa: PLC0415  # only the server needs the service extra

    from service.app import assemble  # noqa: PLC0415  # only the server needs the service extra
    from service.server.connection import connection_class  # noqa: PLC0415  # only the server needs the service extra

    settings = server.settings
    application = assemble(server)
    fast = application.fast_path.try_fast_response
    config = uvicorn.Config(
        application.asgi,
        loop="uvloop",  # asyncio's own loop copies unsent data: megabytes for each slow reader
        http=connection_class(settings, server.connections_closed, fast),
        ws="none",
        lifespan="on",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),  # our connections end earlier by themselves
        access_log=False,
        log_config=None,
        log_level="error",  # uvicorn would log a warning for every malformed request
        server_header=False,
        proxy_headers=False,
    )

    deadline = _Deadline(settings.drain_seconds + _CLOSING_SECONDS)

    class Running(uvicorn.Server):
        @override
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            server.draining = True
            server.tables.computations.hurry()
            server.feed.stop()
            deadline.start()
            super().handle_exit(sig, frame)

    running = Running(config)
    _handle_stop_signals(running.handle_exit)  # before uvicorn does: from here on, a signal is a clean stop
    print(_url(listener), flush=True)
    if server.metadata.is_new:
        print(new_database(server.metadata), flush=True)
    running.run(sockets=[listener])


class _Deadline:
    """Exits the process a number of seconds after a stop signal, even if threads are still running.

    A running thread cannot be stopped, and Python waits for every thread before it exits. Exiting is safe: everything
    that was acknowledged is stored, and stored data survive an exit at any moment.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started, self._start = os.pipe()
        threading.Thread(target=self._wait, daemon=True).start()

    def start(self) -> None:
        """Start the countdown. Safe in a signal handler: it takes no lock that the interrupted thread may hold."""
        os.write(self._start, b"1")
        # Its signal kills the process even if the thread below never runs, because another one holds the GIL.
        signal.setitimer(signal.ITIMER_REAL, self._seconds + _LOGGING_SECONDS)

    def _wait(self) -> None:
        os.read(self._started, 1)
        time.sleep(self._seconds)
        _logger.error("the server did not stop within drain_seconds and %g s: exiting now", _CLOSING_SECONDS)
        os._exit(0)


def _handle_stop_signals(handle: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _url(listener: socket.socket) -> str:
    """Return the URL of the server: one that other machines can use if it listens on all addresses."""
    host, port = listener.getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = _outward_address(listener.family) or host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _outward_address(family: int) -> str | None:
    """Return this machine's address on its default route; None if it has no such route. Nothing is sent."""
    somewhere = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"  # addresses of documentation, of nobody
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((somewhere, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
