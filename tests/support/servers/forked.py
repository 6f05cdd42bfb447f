"""Servers that are forked from a process which has imported all they need: `zygote`, one for each process of tests."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

STARTED_WITH = dict(os.environ)
"""The environment of a zygote."""
_ROOT = Path(__file__).parents[3]


def variables_of_python(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that an interpreter reads when it starts: what is forked has those of its zygote."""
    return {name: value for name, value in environment.items() if name.startswith("PYTHON")}


@dataclass(frozen=True)
class Start:
    """A server to start: the arguments of `lrtables`, the environment, and the working directory."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str


class ForkedProcess:
    """`lrtables ARGUMENTS` in a process of its own, as `subprocess.Popen` has it."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], errors: int) -> None:
        output, theirs = os.pipe()
        self._status, status = os.pipe()
        try:
            start = Start([*arguments], {**environment}, str(Path.cwd()))
            self.pid = _zygote().start(start, [theirs, errors, status])
        finally:
            os.close(theirs)
            os.close(status)
        self.stdout = os.fdopen(output, encoding="utf-8")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative where a signal ended it; None while it runs."""
        return self._await(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; what is returned is the exit status. Raises `TimeoutExpired` after so many seconds."""
        if (status := self._await(timeout)) is None:
            raise subprocess.TimeoutExpired("lrtables", timeout or 0.0)
        return status

    def _await(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            status = os.read(self._status, 100)
            os.close(self._status)
            if not status:
                raise RuntimeError("the zygote has ended, and with it the status of its children")
            self.returncode = int(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Zygote:
    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", "tests.support.servers.zygote", str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env=STARTED_WITH,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """End it. The servers that were started go on."""
        self._control.close()
        self._process.wait()

    def start(self, start: Start, descriptors: Sequence[int]) -> int:
        """Start a server with these descriptors; what is returned is the number of its process."""
        with self._lock:
            socket.send_fds(self._control, [json.dumps(asdict(start)).encode()], descriptors)
            process = self._control.recv(100)
        if not process:
            raise RuntimeError(f"the zygote has ended: {self._process.wait()}")
        return int(process)


@cache
def _zygote() -> _Zygote:
    zygote = _Zygote()
    atexit.register(zygote.close)
    return zygote
