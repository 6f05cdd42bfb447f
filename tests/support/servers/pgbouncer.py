"""A real PgBouncer in front of PostgreSQL: in transaction mode no client has a session of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.servers.postgres import PostgresServer, unprivileged


class PgBouncer:
    """PgBouncer in transaction mode on a free port of 127.0.0.1, which asks for no password. Ended on exit.

    All clients share two connections to the database `postgres`.
    """

    def __init__(self, postgres: PostgresServer) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lrtables-pgbouncer-"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        configuration = self._folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(port=self.port, server=postgres.port, password=postgres.password)
        )
        options = unprivileged()
        if options:
            for path in (self._folder, configuration):
                shutil.chown(path, options["user"])
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(["pgbouncer", str(configuration)], stdout=log, stderr=log, **options)
        self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)

    @property
    def url(self) -> str:
        """The address of the database `postgres` through the pooler."""
        return f"postgresql://lrtables@127.0.0.1:{self.port}/postgres"

    def _wait(self) -> None:
        limit = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"PgBouncer did not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.02)


_CONFIGURATION = """
[databases]
postgres = host=127.0.0.1 port={server} dbname=postgres user=lrtables password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = options, extra_float_digits
"""
