"""The command line: `lrtables serve`, `show` and `compare`; `python -m service` is the same."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service import compare, show

if TYPE_CHECKING:
    from service.settings import Settings

_BACKLOG = 4096  # connections that wait to be accepted: a whole cluster starts at the same moment

_DRAIN = 30  # seconds that requests under way have to finish once the server is told to stop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; what is returned is the exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.run(parsed) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has enough of it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lrtables", description="Learning-rate schedules as served tables.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the server", description=_SERVE)
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on, 0 for a free one (8000)")
    serve.add_argument("--data-dir", type=Path, help="where tables are kept (the user's data directory)")
    serve.add_argument("--insecure-no-auth", action="store_true", default=None, help="listen beyond this machine")
    serve.set_defaults(run=_serve)
    show.add_parser(commands)
    compare.add_parser(commands)
    return parser


_SERVE = """Run the server until it is told to stop. The first line it prints is its address. Every option, and more,
is also an environment variable: LRTABLES_PORT, LRTABLES_DATA_DIR, ..."""


def _serve(parsed: argparse.Namespace) -> int:
    """Answer requests until SIGTERM or SIGINT; requests under way are finished first."""
    try:
        import uvicorn  # noqa: F401, PLC0415  # only the server needs the service extra

        from service.settings import Settings  # noqa: PLC0415  # only the server needs the service extra
    except ModuleNotFoundError as error:
        return _fail(f"the server needs {error.name}: pip install 'lrtables[service]'")
    given = {name: getattr(parsed, name) for name in ("host", "port", "data_dir", "insecure_no_auth")}
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        return _fail(str(error))
    if not (settings.insecure_no_auth or _is_loopback(settings.host)):
        return _fail(
            f"refusing to listen on {settings.host}: there is no authentication, so anyone who reaches it may use it. "
            "Listen on 127.0.0.1, or say --insecure-no-auth"
        )
    return _run(settings)


def _run(settings: Settings) -> int:
    from service.storage.store import StorageError  # noqa: PLC0415  # only the server needs the service extra

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # uvicorn stops gracefully, then raises the signal once more
    try:
        with _listen(settings.host, settings.port) as listener:
            _answer(listener, settings)
    except (OSError, StorageError) as error:
        return _fail(str(error))
    return 0


def _answer(listener: socket.socket, settings: Settings) -> None:
    """Say where the server listens, and answer there."""
    import uvicorn  # noqa: PLC0415  # only the server needs the service extra

    from service.app import create_app  # noqa: PLC0415  # only the server needs the service extra

    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",  # plain asyncio copies what a slow reader has not taken: megabytes for each
        http="httptools",
        ws="none",
        lifespan="on",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_DRAIN,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )
    print(_url(listener), flush=True)
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fail(message: str) -> int:
    print(f"lrtables: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
