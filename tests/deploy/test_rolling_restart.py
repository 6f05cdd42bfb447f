"""Servers that are restarted in turn while clients ask for tables."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.support.servers.deployment import ask, configured, make
from tests.support.servers.nginx import NginxProcess, free_port
from tests.support.servers.postgres import PostgresServer, is_installed
from tests.support.servers.s3 import S3Server


class Fixed:
    """A server on a port of its own, as an orchestrator runs it: started anew there after each stop."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.port = free_port()
        self._environment = {**os.environ, **environment, "LRTABLES_PORT": str(self.port)}
        self._command = [sys.executable, "-m", "service", "serve", "--data-dir", str(folder)]
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Run it until it is ready."""
        self._process = subprocess.Popen(self._command, env=self._environment, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._is_ready():
            assert self._process.poll() is None
            assert time.monotonic() < deadline, "the server does not become ready"
            time.sleep(0.1)

    def stop(self) -> int:
        """Ask it to stop; what is returned is its exit status."""
        self._process.terminate()
        return self._process.wait(60)

    def _is_ready(self) -> bool:
        try:
            return ask(self.port, "GET", "/readyz").status == 200
        except OSError:
            return False


class Load:
    """Clients that ask nginx for this and that, at a bounded rate, until they are told to stop."""

    clients = 4
    pause = 0.05  # seconds between two requests of a client

    def __init__(self, port: int) -> None:
        self.statuses: Counter[int] = Counter()
        self._port = port
        self._done = threading.Event()
        self._threads = ThreadPoolExecutor(self.clients)

    def __enter__(self) -> Self:
        self._running = [self._threads.submit(self._run, client) for client in range(self.clients)]
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._threads.shutdown()
        for client in self._running:
            client.result()

    def _run(self, client: int) -> None:
        number = 0
        while not self._done.wait(self.pause):
            number += 1
            made = make(self._port, base_lr=1 / (1 + number % 50 + 100 * client))
            path = made.headers.get("location", "/")
            values = ask(self._port, "GET", f"{path}/values?steps={number % 1000}")
            table = ask(self._port, "GET", f"{path}.safetensors")
            self.statuses.update(response.status for response in (made, values, table))


@pytest.mark.slow(25)
@pytest.mark.needs("nginx")
@pytest.mark.skipif(not is_installed(), reason="needs PostgreSQL")
def test_a_rolling_restart_fails_no_request(tmp_path: Path) -> None:
    """Two servers over one database and one store, restarted in turn under load: every request succeeds."""
    with ExitStack() as stack:
        environment = shared(stack, tmp_path)
        servers = [stack.enter_context(Fixed(environment, tmp_path / f"data-{number}")) for number in range(2)]
        port = free_port()
        folder = configured(tmp_path / "nginx", [server.port for server in servers], port)
        stack.enter_context(NginxProcess(folder, port))
        with Load(port) as load:
            for server in (*servers, *servers):
                time.sleep(3)  # as minReadySeconds: longer than nginx's fail_timeout
                assert server.stop() == 0
                server.start()
            time.sleep(1)
    assert set(load.statuses) <= {200, 201}, load.statuses
    assert sum(load.statuses.values()) > 1000


def shared(stack: ExitStack, folder: Path) -> dict[str, str]:
    """The variables that lead servers to one PostgreSQL and one S3-compatible store."""
    store = stack.enter_context(S3Server(folder / "objects"))
    database = stack.enter_context(PostgresServer())
    return {**store.environment, "LRTABLES_STORE_URL": store.new_url(), "LRTABLES_DATABASE_URL": database.url()}
