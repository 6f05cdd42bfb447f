"""A worker process: computes tables for the server, one at a time, until the server closes the connection or kills it.

Run: python -m service.workers.process DESCRIPTOR, where DESCRIPTOR is one end of a socket pair. It imports the
scheduler, but nothing of the server. See `service.workers.pool` for the other end.
"""

from __future__ import annotations

import mmap
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from scheduler import KINDS, Spec, Table, TableError
from scheduler.fields import Values
from scheduler.named_tables import UnresolvedError, resolved
from scheduler.numerics.cancellation import ComputationStoppedError, cancellable
from service.workers.channel import Channel, Message

STOP = signal.SIGUSR1
"""The signal that stops a worker's computation. A worker that does not stop is killed."""

_NICE = 19  # beside the event loop it gets a seventieth of a core, so that requests keep their p99
_BADNESS = "1000"  # if memory runs out, the kernel kills a worker first, and not the server


class _ReadFailedError(Exception):
    """The server could not read a table that a Literal refers to. It has the reason."""


class _Column:
    """A column of a table that a Literal refers to. Its values are requested from the server on access."""

    def __init__(self, channel: Channel, digest: str, name: str, rows: int) -> None:
        self._channel = channel
        self._place = {"read": digest, "column": name}
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, rows: slice | int) -> Any:
        if isinstance(rows, slice):
            return self._values(*rows.indices(self._rows)[:2])
        row = range(self._rows)[rows]
        return self._values(row, row + 1)[0]

    def _values(self, start: int, stop: int) -> Values:
        self._channel.send({**self._place, "start": start, "stop": stop})
        found = self._channel.receive()
        if "error" in found.data:
            raise _ReadFailedError
        return np.frombuffer(found.payload, np.float64)


class _Named:
    """A table that a Literal refers to."""

    def __init__(self, columns: Mapping[str, _Column]) -> None:
        self.columns = columns


class _Worker:
    """Receives requests on a channel, computes, and sends responses."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stopped = False
        self._own_memory = _data_bytes()

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Stop the running computation at its next check. A signal handler."""
        self._stopped = True

    def run(self) -> None:
        """Serve requests until the server closes the connection."""
        while True:
            request = self._channel.receive()
            self._stopped = False
            self._respond(request)

    def _respond(self, request: Message) -> None:
        try:
            _limit_memory(self._own_memory + request.data["memory"])
            digest, values = self._table(request)
        except ComputationStoppedError:
            self._channel.send({"error": "stopped"})
        except (TableError, UnresolvedError) as error:
            self._channel.send({"error": "not-computable", "detail": str(error)})
        except _ReadFailedError:
            self._channel.send({"error": "unread"})
        except MemoryError:
            self._channel.send({"error": "memory"})
        except Exception:
            self._channel.send({"error": "failed", "detail": traceback.format_exc()})
        else:
            self._channel.send({"digest": digest}, values)

    def _table(self, request: Message) -> tuple[str, memoryview]:
        """Return the table's digest, and its values unless they are in the shared memory of the request."""
        spec = Spec.model_validate_json(request.payload)
        tables = {digest: self._named(digest, columns) for digest, columns in request.data["tables"].items()}
        shape = (len(spec.plan()), spec.total_steps)
        # an overflow becomes an error of its own: no warning is needed
        with np.errstate(all="ignore"), resolved(tables), cancellable(lambda: self._stopped):
            if request.descriptor is not None:
                return _digest_in(request.descriptor, spec, shape), memoryview(b"")
            values = np.empty(shape)
            digest = Table.compute(spec, values).digest
            return digest, values.reshape(-1).view(np.uint8).data

    def _named(self, digest: str, columns: Mapping[str, int]) -> _Named:
        return _Named({name: _Column(self._channel, digest, name, rows) for name, rows in columns.items()})


def _digest_in(descriptor: int, spec: Spec, shape: tuple[int, int]) -> str:
    """Compute a table into shared memory, and return its digest.

    The memory is unmapped at the end: the server seals it, which fails while any process can write to it.
    """
    try:
        memory = mmap.mmap(descriptor, 8 * shape[0] * shape[1])
    finally:
        os.close(descriptor)
    digest = Table.compute(spec, np.frombuffer(memory, np.float64).reshape(shape)).digest
    memory.close()
    return digest


def _data_bytes() -> int:
    """Return the private data of this process in bytes, as `RLIMIT_DATA` counts them; 0 on other systems than Linux."""
    if sys.platform != "linux":
        return 0
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmData")).split()[1])


def _limit_memory(nbytes: int) -> None:
    """Limit the memory of this process: beyond it, allocations raise `MemoryError`. Shared memory does not count."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (nbytes, resource.RLIM_INFINITY))


def _end_with(connection: socket.socket) -> None:
    """Exit when the server closes the connection, even in the middle of a computation that never stops."""
    hang_up = select.poll()
    hang_up.register(connection, 0)
    hang_up.poll()
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """Work for the server at the other end of a socket."""
    connection = socket.socket(fileno=int(arguments[0]))
    worker = _Worker(Channel(connection))
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole process group: the server decides when we exit
        signal.signal(number, signal.SIG_IGN)
    signal.signal(STOP, worker.stop)
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError):  # /proc may be read-only
            Path("/proc/self/oom_score_adj").write_text(_BADNESS)
    os.nice(_NICE)
    KINDS.load()  # a job's memory is limited
    with suppress(EOFError):  # the server has closed the connection
        worker.run()


if __name__ == "__main__":
    main(sys.argv[1:])
