"""A process that has imported all that a server needs, and forks for each server that a test starts.

Run: python -m tests.support.servers.zygote DESCRIPTOR, where DESCRIPTOR is one end of a socket pair. Each message is a
`Start` as JSON, with three descriptors: standard output, standard error, and where the exit status is written. The
answer is the number of the process. `tests.support.servers.forked` has the other end.

A fork takes a tenth of the time in which an interpreter imports the server. From there on it is the same process: its
own memory, signals, threads and end. Only the prefix of the request IDs that it makes up is that of its siblings.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys

# What `lrtables serve` imports, here before the forks.
import service.app
import service.operations.doctor
import service.server.connection
import service.server.uvicorn_adapter  # noqa: F401  # so that they are in memory
from scheduler import KINDS
from service.__main__ import main
from tests.support.servers.forked import Start

_LARGEST = 2**17  # bytes of a message: an environment is some thousands


class _Zygote:
    """Forks until nobody can ask any more. Tells the end of each child to where its start said."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._statuses: dict[int, int] = {}  # descriptors by process
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)

    def run(self) -> Start | None:
        """In a child, what it has to be; None at the end."""
        while True:
            control = self._control.fileno()
            readable, _, _ = select.select([control, self._woken], [], [])
            if self._woken in readable:
                os.read(self._woken, 4096)
                self._reap()
            if control in readable:
                message, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST, 3)
                if not message:
                    return None
                output, errors, status = descriptors
                if (process := os.fork()) == 0:
                    self._become_child(output, errors, status)
                    return Start(**json.loads(message))
                os.close(output)
                os.close(errors)
                self._statuses[process] = status
                self._control.send(str(process).encode())

    def _become_child(self, output: int, errors: int, status: int) -> None:
        """Keep nothing of the parent open, and its signals away."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        os.dup2(output, 1)
        os.dup2(errors, 2)
        # A stream knows of what kind its descriptor is. It stays open for as long as the process.
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
        # The same for errors, which are written line by line.
        sys.stderr = open(2, "w", closefd=False, encoding="utf-8", buffering=1, errors="backslashreplace")  # noqa: SIM115
        for descriptor in (self._woken, self._wake, output, errors, status, *self._statuses.values()):
            os.close(descriptor)

    def _reap(self) -> None:
        for process in list(self._statuses):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                descriptor = self._statuses.pop(process)
                os.write(descriptor, str(os.waitstatus_to_exitcode(status)).encode())
                os.close(descriptor)


def _run() -> int:
    KINDS.load()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        start = _Zygote(control).run()
    if start is None:
        return 0
    os.environ.clear()
    os.environ.update(start.environment)
    os.chdir(start.folder)
    sys.argv[1:] = start.arguments
    return main(start.arguments)


if __name__ == "__main__":
    sys.exit(_run())
