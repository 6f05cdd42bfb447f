"""Worker processes: each computes one table at a time, and can be killed.

A computation may run forever, exhaust the memory, or crash. In its own process it affects only its own table. Processes
are reused, because starting one takes about half a second of CPU time.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import numpy as np

from scheduler import Spec, Table
from scheduler.fields import Values
from scheduler.numerics.cancellation import ComputationStoppedError
from service.errors import ComputationLostError, LimitExceededError, NotComputableError
from service.workers.channel import Channel, Message
from service.workers.process import STOP

_logger = logging.getLogger("lrtables")

MAPPED = 4 * 2**20
"""Size in bytes from which on a table is computed in shared memory, without a copy. Each needs an open file."""

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Column(Protocol):
    """A column of a table that a Literal refers to, read in slices."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Values: ...


class Job:
    """The computation of a spec's table. `stop` and `kill` may be called from any thread, at any time.

    Args:
        spec: the spec of the table.
        tables: the columns of the tables that its Literals refer to, by digest and name.
        memory: bytes that the computation may take, in addition to the table itself and the interpreter.
    """

    def __init__(self, spec: Spec, tables: Mapping[str, Mapping[str, Column]], memory: int) -> None:
        self.spec = spec
        self.tables = tables
        self.memory = memory
        self.is_stopped = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running_in(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Make `stop` and `kill` act on this process, for a `with` block."""
        with self._lock:
            self._process = process
            if self.is_stopped:
                raise ComputationStoppedError("the computation was stopped before it began")
        try:
            yield
        finally:
            with self._lock:
                self._process = None

    def stop(self) -> None:
        """Ask the computation to stop; it does so at its next check."""
        with self._lock:
            self.is_stopped = True
            if self._process is not None:
                self._process.send_signal(STOP)

    def kill(self) -> bool:
        """Kill the job's process. Return False if the job has ended already."""
        with self._lock:
            self.is_stopped = True
            if self._process is None:
                return False
            self._process.kill()
            return True


class _Worker:
    """The server's side of a worker process."""

    def __init__(self) -> None:
        self.is_idle = True  # its last job is complete
        ours, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "service.workers.process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **_environment()},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = Channel(ours)

    def compute(self, job: Job) -> Table:
        """Return the table of a job. Raises `EOFError` if the process ends before it is done."""
        size = 8 * len(job.spec.plan()) * job.spec.total_steps
        if size < MAPPED or sys.platform != "linux":
            found = self._ask(job, None)
            values = np.frombuffer(found.payload, np.float64)
        else:
            found, values = self._ask_for_large(job, size)
        return Table.computed_elsewhere(job.spec, values.reshape(-1, job.spec.total_steps), found.data["digest"])

    def _ask_for_large(self, job: Job, size: int) -> tuple[Message, Values]:
        descriptor = os.memfd_create("lrtables", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size)
            found = self._ask(job, descriptor)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)  # an error while the other process can still write
            memory = mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        return found, np.frombuffer(memory, np.float64)

    def _ask(self, job: Job, descriptor: int | None) -> Message:
        rows = {
            digest: {name: len(column) for name, column in columns.items()} for digest, columns in job.tables.items()
        }
        self.is_idle = False
        request = {"tables": rows, "memory": job.memory}
        self._channel.send(request, job.spec.model_dump_json().encode(), descriptor=descriptor)
        failure: Exception | None = None
        while "read" in (found := self._channel.receive()).data:
            failure = self._read(job, found.data)
        self.is_idle = found.data.get("error") != "memory"  # after a MemoryError the process may be in any state
        if "error" in found.data:
            raise failure or _error(found.data)
        return found

    def _read(self, job: Job, wanted: Mapping[str, Any]) -> Exception | None:
        """Send values that the process requests of a table that a Literal refers to. Return the error, if any."""
        try:
            values = job.tables[wanted["read"]][wanted["column"]][wanted["start"] : wanted["stop"]]
        except Exception as error:  # any error is raised to the caller of the job
            self._channel.send({"error": "unread"})
            return error
        self._channel.send({}, values.view(np.uint8).data)
        return None

    def end(self) -> int:
        """Kill the process, and return its exit status."""
        self._channel.close()
        self.process.kill()
        return self.process.wait()


def _environment() -> dict[str, str]:
    """Return variables with which the process imports our modules, whatever the current folder, on one thread."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _error(data: Mapping[str, Any]) -> Exception:
    match data["error"]:
        case "stopped":
            return ComputationStoppedError("the computation was stopped")
        case "not-computable":
            return NotComputableError(data["detail"])
        case "memory":
            return LimitExceededError("computing this takes more memory than this server allows (max_table_bytes)")
    return RuntimeError(f"a computation failed:\n{data.get('detail')}")


class Workers:
    """The idle worker processes. Thread-safe. `lost` counts the processes that ended by themselves.

    `trouble` is why the last process could not be started; None if it was.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.trouble: str | None = None
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def prepare(self) -> None:
        """Start a process for the first job. A failure is no error: the next job tries again."""
        if not self._idle:
            with suppress(ComputationLostError):
                self._keep(self._start())

    def compute(self, job: Job) -> Table:
        """Return the table of a job.

        Raises `ComputationStoppedError`, `NotComputableError` if a value overflows or a Literal's table lacks its
        column, `LimitExceededError` if it takes too much memory, `ComputationLostError` if the process ends before it
        is done, and what reading a table raises.
        """
        if self._is_closed:
            raise ComputationStoppedError("the server ends")
        worker = self._take()
        try:
            with job.running_in(worker.process):
                return worker.compute(job)
        except EOFError as error:
            raise self._lost(worker, job) from error
        finally:
            self._keep(worker)

    def close(self) -> None:
        """End the idle processes. A busy one ends with its job."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().end()

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.process.poll() is None:
                    return worker
                worker.end()
        return self._start()

    def _start(self) -> _Worker:
        try:
            worker = _Worker()
        except OSError as error:
            self.trouble = str(error)
            raise ComputationLostError(f"no worker process could be started: {error}") from error
        self.trouble = None
        return worker

    def _keep(self, worker: _Worker) -> None:
        """Make a worker available for the next job. One whose last job is not complete is replaced."""
        with self._lock:
            if not self._is_closed and worker.is_idle:
                self._idle.append(worker)
                return
        worker.end()
        if not self._is_closed:
            self.prepare()

    def _lost(self, worker: _Worker, job: Job) -> Exception:
        """Return the error for a worker that has ended."""
        if job.is_stopped:
            return ComputationStoppedError("the computation was stopped, with its process")
        status = worker.end()
        self.lost += 1
        _logger.error("spec %s: the process that computed it has ended, %s", job.spec.id, _described(status))
        return ComputationLostError(f"the process that computed this has ended, {_described(status)}: try again")


def _described(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"
