"""The servers that are measured side by side, on one core, with the same bytes to serve."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from service.routes.query import STEPS
from tests.support.servers.deployment import configured
from tests.support.servers.nginx import NginxProcess, free_port
from tests.support.servers.process import ServerProcess, post

_NGINX = """
worker_processes 1;
pid nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    open_file_cache max=100 inactive=1h;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    proxy_cache_path tables keys_zone=tables:1m use_temp_path=off;
    server {
        listen 127.0.0.1:%d backlog=4096;
        %s
    }
}
"""
"""nginx at its best; `tcp_nopush` would have it wait."""

_FILES = "root files;"
_CACHE = "location / { proxy_cache tables; proxy_cache_key $uri; proxy_pass %s; }"
"""No tokens, no request ids, no log."""


@dataclass(frozen=True)
class Servers:
    """The servers, and the digest of the table of 1M steps that they serve: `files` of `folder` are what ours sends."""

    nginx: str
    bare: str
    ours: ServerProcess
    folder: Path
    digest: str
    spec: Mapping[str, Any]
    core: int

    @property
    def paths(self) -> dict[str, str]:
        """The names of the files, and where our server has them."""
        base = f"/v1/tables/{self.digest}"
        tables = {"safetensors": f"{base}.safetensors", "npy": f"{base}.npy", "manifest": f"{base}/manifest"}
        return {**tables, "lr": f"/v1/lr?{urlencode({**self.spec['schedule'], STEPS: '0,500,99999'})}"}


@contextmanager
def servers(core: int, spec: Mapping[str, Any]) -> Iterator[Servers]:
    """nginx, the bare function and our server, with the table of this spec."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with on_core(core):
            ours = stack.enter_context(ServerProcess(folder / "data"))
            (folder / "files").mkdir()
            nginx = stack.enter_context(file_server(folder))
            found = Servers(nginx, "", ours, folder, post(ours, spec), spec, core)
            for file, path in found.paths.items():
                (folder / "files" / file).write_bytes(ours.get(path))
            bare = stack.enter_context(bare_server(folder / "files"))
        yield Servers(nginx, bare, ours, folder, found.digest, spec, core)


@dataclass(frozen=True)
class Proxies:
    """The addresses of two nginx in front of our server: one with its cache alone, and the one of deploy/."""

    caching: str
    deployed: str


@contextmanager
def proxies(servers: Servers) -> Iterator[Proxies]:
    """Both, on the servers' core: so the one of deploy/ has one worker, not one for each core that there is."""
    folder = configured(servers.folder / "deployed", [servers.ours.port], port := free_port())
    file = folder / "nginx.conf"
    file.write_text(file.read_text().replace("worker_processes auto;", "worker_processes 1;"), encoding="utf-8")
    with ExitStack() as stack:
        with on_core(servers.core):
            deployed = stack.enter_context(NginxProcess(folder, port))
            (servers.folder / "caching").mkdir()
            caching = stack.enter_context(_nginx(servers.folder / "caching", _CACHE % servers.ours.url))
        yield Proxies(caching, deployed.url)


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """The address of an nginx that serves the files of this folder's `files`."""
    with _nginx(folder, _FILES) as url:
        yield url


@contextmanager
def _nginx(folder: Path, serves: str) -> Iterator[str]:
    """The address of an nginx in this folder: what it serves is a piece of configuration."""
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX % (port, serves), encoding="utf-8")
    with NginxProcess(folder, port) as nginx:
        yield nginx.url


@contextmanager
def bare_server(folder: Path) -> Iterator[str]:
    """The address of the bare function, with the files of this folder."""
    command = [sys.executable, "-m", "benchmarks.bare", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Pin processes started inside to this core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
