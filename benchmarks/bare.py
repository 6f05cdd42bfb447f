"""The least that an ASGI server does: a function that answers with bytes it has. Run: python -m benchmarks.bare FOLDER

Each file of the folder is served at its name, with the headers that caches need, and as 304 to who has it. uvicorn
runs it as it runs our server; the first line printed is the address.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Mapping
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

_ETAG = b'"bare"'
_UNCHANGED = [(b"etag", _ETAG), (b"cache-control", b"public, max-age=31536000, immutable")]


def application(files: Mapping[str, bytes]) -> ASGIApp:
    """The function that serves these files, by path."""
    headers = {
        path: [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body)), *_UNCHANGED]
        for path, body in files.items()
    }

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if (b"if-none-match", _ETAG) in scope["headers"]:
            await send({"type": "http.response.start", "status": 304, "headers": _UNCHANGED})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers[path]})
        await send({"type": "http.response.body", "body": files[path]})

    return answer


def main() -> None:
    """Serve a folder until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    config = uvicorn.Config(
        application({f"/{file.name}": file.read_bytes() for file in folder.iterdir()}),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        backlog=4096,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
