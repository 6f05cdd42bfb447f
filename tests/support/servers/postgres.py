"""A real PostgreSQL in processes of its own, to be stopped, killed and frozen."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg

_USER = "lrtables"
_SYSTEM_USER = "postgres"  # who the packages make for it; PostgreSQL does not run as root
_DEBIAN = Path("/usr/lib/postgresql")


class PostgresServer:
    """PostgreSQL with a cluster of its own in a temporary folder. Started at once; killed and removed on exit.

    It listens on a free port of 127.0.0.1 and on a socket in `directory`, and asks for `password` on both. What is
    committed survives a kill of the processes, and not a crash of the machine.
    """

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(16)
        self.directory = Path(tempfile.mkdtemp(prefix="lrtables-postgres-"))
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._make_cluster()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
        shutil.rmtree(self.directory)

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    def start(self) -> None:
        """Run the server until it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, **unprivileged())
        limit = time.monotonic() + 60
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to stop: connections are cut, transactions rolled back."""
        self._signal(signal.SIGINT, self._processes()[:1])
        self._wait()

    def kill(self) -> None:
        """SIGKILL for all its processes, where they run."""
        self._signal(signal.SIGKILL, self._processes())
        self._wait()

    def pause(self) -> None:
        """SIGSTOP for all its processes: the system takes connections in its name, and nothing answers."""
        self._signal(signal.SIGSTOP, self._processes())

    def resume(self) -> None:
        """SIGCONT: it goes on where it was."""
        self._signal(signal.SIGCONT, self._processes())

    def url(self, database: str | None = None) -> str:
        """The address of a database on the port, password included; of a new and empty one where none is named."""
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{self.port}/{database or self._new_database()}"

    def socket_url(self, database: str) -> str:
        """The address of a database through the socket, password included."""
        return f"postgresql://{_USER}:{self.password}@/{database}?host={self.directory}&port={self.port}"

    def emptied_url(self) -> str:
        """The address of the database that whoever asks takes turns with, password included: all in it is dropped.

        Quicker than a new database, which is hundreds of files.
        """
        url = self.url("postgres")
        with psycopg.connect(url, options="-c lock_timeout=30s") as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return url

    def _new_database(self) -> str:
        name = f"test_{secrets.token_hex(8)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    def _make_cluster(self) -> None:
        password = self.directory / "password"
        password.write_text(self.password)
        if os.geteuid() == 0:
            for path in (self.directory, password):
                shutil.chown(path, _SYSTEM_USER)
        options = [
            "--no-sync",
            "--auth=scram-sha-256",
            f"--username={_USER}",
            f"--pwfile={password}",
            "--encoding=UTF8",
        ]
        command = [str(_programs() / "initdb"), *options, "-D", str(self.directory / "data")]
        subprocess.run(command, check=True, capture_output=True, **unprivileged())

    def _command(self) -> Sequence[str | Path]:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": self.directory, "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [_programs() / "postgres", "-D", self.directory / "data", "-p", str(self.port), *options]

    def _takes_connections(self) -> bool:
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2) as connection:
                return connection.execute("SELECT 1 FROM pg_database WHERE datname = 'postgres'").fetchone() is not None
        except psycopg.OperationalError:
            return False

    def _processes(self) -> list[psutil.Process]:
        """The processes that run, the one that starts the others first."""
        if self._process is None:
            return []
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def _signal(self, number: signal.Signals, processes: Sequence[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(30)
            self._process = None


def is_installed() -> bool:
    """Whether this machine has PostgreSQL's server, and who may run it."""
    try:
        _programs()
        unprivileged()
    except (RuntimeError, KeyError):
        return False
    return True


def _programs() -> Path:
    """The folder with PostgreSQL's programs: where the system looks, else the newest where Debian keeps them."""
    beside = [Path(found).parent for found in [shutil.which("initdb")] if found]
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    for folder in [*beside, *(path.parent for path in reversed(versions))]:
        return folder
    raise RuntimeError("there is no program initdb: install PostgreSQL")


def unprivileged() -> Mapping[str, Any]:
    """Arguments of `subprocess` for a program that does not run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(_SYSTEM_USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
