"""Processes forked from one that has imported packages: torch alone takes two seconds of a core each time."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

TORCH = ("torch", "torch._dynamo")  # the second is what the first optimizer imports
PRELOADING = Path(__file__).with_name("preloading.py")


class Forked:
    """A process that was forked, with the methods that `subprocess.Popen` has."""

    def __init__(self, status: int) -> None:
        self.returncode: int | None = None
        self.stdout: TextIO | None = None
        self._status = os.fdopen(status)
        self.pid = int(self._line(None))

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not, after so many seconds.
        """
        if self.returncode is None:
            self.returncode = int(self._line(timeout))
            self._status.close()
        return self.returncode

    def _line(self, timeout: float | None) -> str:
        ready, _, _ = select.select([self._status.fileno()], [], [], timeout)
        if not ready:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
        line = self._status.readline()
        assert line, "the process that has the packages has ended"
        return line

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


class Script:
    """A script in a forked process, with what it prints."""

    def __init__(self, process: Forked, output: Path, errors: Path) -> None:
        self.process = process
        self._output, self._errors = output, errors

    @property
    def returncode(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait()

    @property
    def stdout(self) -> str:
        """What it has printed."""
        return self._output.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has written to standard error."""
        return self._errors.read_text(errors="replace")

    def end(self) -> None:
        """Kill it, unless it has ended."""
        self.process.kill()
        self.process.wait()


class Preloaded:
    """A process that has imported packages, from the first fork on.

    A fork runs as a new process would: as `__main__`, with its own folder, environment and streams. What the packages
    read from the environment when they are imported, they have read.
    """

    def __init__(self, *modules: str, path: str = "", **environment: str) -> None:
        self._packages = os.environ.get("PYTHONPATH", "")
        self._folder = tempfile.TemporaryDirectory()
        self._modules = modules
        self._environment = {"PYTHONPATH": path, "HOME": self._folder.name, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._requests, self._served = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it. What it has forked goes on."""
        self._requests.close()
        self._served.close()
        if self._process:
            self._process.wait()
        self._folder.cleanup()

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a fork imports what a new process would: not where another place for packages comes first."""
        return environment.get("PYTHONPATH", "") == self._packages

    def start(
        self,
        words: Sequence[str],
        *,
        output: int,
        errors: int,
        folder: Path,
        environment: Mapping[str, str],
        warnings: str = "",
    ) -> Forked:
        """Begin a script, or with `-m` a module, with its arguments.

        Args:
            words: the script's path, or `-m` and the module's name, and its arguments.
            output: the descriptor that is its standard output.
            errors: the descriptor that is its standard error.
            folder: where it works.
            environment: all of its environment.
            warnings: what becomes of every warning, as Python's `-W` says it; empty for Python's own rules.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(PRELOADING), str(self._served.fileno()), *self._modules],
                pass_fds=[self._served.fileno()],
                env=os.environ | self._environment,
                cwd=self._folder.name,
            )
            self._served.close()
        request = {"words": words, "folder": str(folder), "environment": dict(environment), "warnings": warnings}
        told, tell = os.pipe()
        try:
            socket.send_fds(self._requests, [json.dumps(request).encode()], [output, errors, tell])
        finally:
            os.close(tell)
        return Forked(told)

    def script(
        self, words: Sequence[str], *, folder: Path, environment: Mapping[str, str], warnings: str = ""
    ) -> Script:
        """Begin a script whose streams are kept."""
        self._count += 1
        files = [Path(self._folder.name) / f"{self._count}-{stream}" for stream in ("output", "errors")]
        with files[0].open("ab") as output, files[1].open("ab") as errors:
            process = self.start(
                words,
                output=output.fileno(),
                errors=errors.fileno(),
                folder=folder,
                environment=environment,
                warnings=warnings,
            )
        return Script(process, *files)

    def run(self, words: Sequence[str], *, folder: Path, environment: Mapping[str, str], warnings: str = "") -> Script:
        """Run a script to its end."""
        script = self.script(words, folder=folder, environment=environment, warnings=warnings)
        try:
            script.process.wait()
        finally:
            script.end()
        return script
