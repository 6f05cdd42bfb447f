"""A real server of ours in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.servers.forked import STARTED_WITH, ForkedProcess, variables_of_python


class ServerProcess:
    """`lrtables serve` on a free port of 127.0.0.1, with this data directory. Stopped, or killed, on exit.

    It is forked from a process that has imported what it needs, unless the environment has other variables that Python
    reads when it starts, such as PYTHONPATH: then it imports everything itself.
    """

    def __init__(self, data_dir: Path, *, cores: set[int] | None = None, **settings: object) -> None:
        environment = {**os.environ, **{f"LRTABLES_{name.upper()}": str(value) for name, value in settings.items()}}
        arguments = ["serve", "--port", "0", "--data-dir", str(data_dir)]
        # It writes to a file, because a pipe that nobody reads fills up. It is closed on exit.
        self._log = tempfile.NamedTemporaryFile("a")  # noqa: SIM115
        self.process: ForkedProcess | subprocess.Popen[str]
        if variables_of_python(environment) == variables_of_python(STARTED_WITH):
            self.process = ForkedProcess(arguments, environment, self._log.fileno())
        else:
            command = [sys.executable, "-m", "service", *arguments]
            self.process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=self._log, text=True
            )
        if cores:
            os.sched_setaffinity(self.process.pid, cores)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            said = self.log()
            self.__exit__(None, None, None)
            raise RuntimeError(f"the server did not start: {said}")
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()

    def log(self) -> str:
        """Its standard error."""
        return Path(self._log.name).read_text()

    def stop(self) -> tuple[int, str]:
        """Ask it to stop; what is returned is its exit status and what it wrote to stderr."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60), self.log()

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> bytes:
        """The body of a GET that succeeds."""
        with urllib.request.urlopen(self.url + path, timeout=60) as response:
            body: bytes = response.read()
            return body

    def counters(self) -> dict[str, int]:
        """The server's counters."""
        counters: dict[str, int] = json.loads(self.get("/v1/server"))["counters"]
        return counters

    def memory(self, what: str = "VmRSS") -> int:
        """Resident bytes: now, or with `VmHWM` at most since the start or the last `reset_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith(what)).split()[1])

    def cpu_seconds(self) -> float:
        """Processor time spent so far, in user and kernel mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def reset_peak(self) -> None:
        """Let the peak of resident bytes be counted from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def post(server: ServerProcess, spec: Mapping[str, Any]) -> str:
    """The digest of a spec's table."""
    request = urllib.request.Request(
        f"{server.url}/v1/tables", json.dumps(spec).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        digest: str = json.loads(response.read())["digest"]
        return digest
