"""A real nginx with a configuration of its own, on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class NginxProcess:
    """nginx in a folder: it finds what the configuration includes there, and writes its files there. Ended on exit.

    Args:
        folder: holds `nginx.conf`.
        port: of the loopback, on which the configuration listens.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._log = folder / "stderr.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command(folder, "daemon off;"), stdout=subprocess.DEVNULL, stderr=log)
        self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()  # the master ends its workers; killed, it would leave them
        self.process.wait(timeout=30)

    def errors(self) -> str:
        """Its error log."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _wait(self, patience: float = 30.0) -> None:
        """Until it listens, at most so many seconds."""
        deadline = time.monotonic() + patience
        while self.process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.process.terminate()
        raise RuntimeError(f"nginx did not start: {self.errors()}")


def command(folder: Path, directives: str = "", *options: str) -> list[str]:
    """The command that runs nginx in a folder; as root its workers stay root, who alone may read such folders."""
    user = "user root;" if os.geteuid() == 0 else ""
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", f"{user} {directives}", *options]


def free_port() -> int:
    """A port of the loopback that nothing listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
