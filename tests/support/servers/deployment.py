"""The nginx configuration of deploy/, in front of servers on this machine."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEPLOY = Path(__file__).parents[3] / "deploy"


def configured(folder: Path, servers: Sequence[int], port: int) -> Path:
    """The folder, now with the configuration as it is, and the two files that are each place's own.

    Args:
        folder: does not exist.
        servers: the ports on which they listen.
        port: on which nginx listens.
    """
    folder.mkdir()
    shutil.copy(DEPLOY / "nginx" / "nginx.conf", folder)
    upstreams = [f"server 127.0.0.1:{server} max_fails=3 fail_timeout=2s;\n" for server in servers]
    (folder / "upstreams.conf").write_text("".join(upstreams), encoding="utf-8")
    (folder / "listen.conf").write_text(f"listen 127.0.0.1:{port} backlog=4096;\n", encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Response:
    """An HTTP response: status, headers by their names in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def cache(self) -> str:
        """Status of nginx's cache: MISS, HIT, STALE, or nothing."""
        return self.headers.get("x-cache", "")


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
    """The response to one request, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, found, response.read())
    finally:
        connection.close()


def make(port: int, base_lr: float = 0.5, **headers: str) -> Response:
    """The response to a small spec."""
    schedule = {"kind": "custom.LinearWarmup", "base_lr": base_lr, "warmup_steps": 8}
    body = json.dumps({"schedule": schedule, "total_steps": 1000}).encode()
    return ask(port, "POST", "/v1/tables", body, Content_Type="application/json", **headers)
