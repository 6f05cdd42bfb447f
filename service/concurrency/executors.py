"""The threads that keep the event loop free."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from service.errors import QueueFullError, StorageError
from service.settings import MOST_WORKERS

_MOST_TEXTS = 64  # that are being written, or wait for it; and as many that are being read
_MOST_STREAMS = 512  # bodies that are read or written while they are sent: each holds up to half a megabyte
_SHORT, _LONG = 10, 19  # how far work gives way: reading a table waits for little, computing one may wait for all

P = ParamSpec("P")
T = TypeVar("T")


class Executors:
    """One thread that writes text, one that reads it, four that wait for objects, four for the database.

    And some that wait for worker processes, and one that says how the server is, whatever the others do.

    One each for what keeps a core busy: two would share the interpreter's lock and finish later, both. What writes
    and hashes gives way to the event loop where they share a core: on Linux, where threads have priorities.
    `errors` counts what the store for objects and the database failed to do.
    """

    def __init__(self) -> None:
        self.errors = Counter[str](objects=0, database=0)
        self._texts = Counter[str]()
        self._streams = 0
        self._compute = ThreadPoolExecutor(MOST_WORKERS, "compute", _give_way, (_SHORT,))  # each waits for a process
        self._serialize = ThreadPoolExecutor(1, "serialize", _give_way, (_LONG,))
        self._parse = ThreadPoolExecutor(1, "parse", _give_way, (_LONG,))
        self._storage = ThreadPoolExecutor(4, "storage", _give_way, (_SHORT,))
        self._database = ThreadPoolExecutor(4, "database")
        self._health = ThreadPoolExecutor(1, "health", _give_way, (_SHORT,))

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what waits for a worker process."""
        return await _run(self._compute, lambda: work(*args, **kwargs))

    async def storage(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what waits for the disk, or hashes what came from it."""
        with self._counted("objects"):
            return await _run(self._storage, lambda: work(*args, **kwargs))

    async def database(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what waits for the database."""
        with self._counted("database"):
            return await _run(self._database, lambda: work(*args, **kwargs))

    async def serialize(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what turns numbers into text.

        Raises `QueueFullError` where too much of that waits already. When the caller is cancelled, it is not begun.
        """
        return await self._queued(self._serialize, "written", lambda: work(*args, **kwargs))

    async def parse(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what reads a large text, as `serialize` runs what writes one."""
        return await self._queued(self._parse, "read", lambda: work(*args, **kwargs))

    async def _queued(self, executor: Executor, done: str, work: Callable[[], T]) -> T:
        if self._texts[done] >= _MOST_TEXTS:
            raise QueueFullError(
                f"{self._texts[done]} texts are being {done} or wait for it, as many as this server takes"
            )
        self._texts[done] += 1
        try:
            return await _run(executor, work)
        finally:
            self._texts[done] -= 1

    async def health(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what says how the server is."""
        return await _run(self._health, lambda: work(*args, **kwargs))

    async def blocks(self, blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Each block of a text, made in the thread when the last one is gone: texts take turns by the block.

        Raises `QueueFullError` where too many are being sent.
        """
        with self.streaming():
            while (block := await _run(self._serialize, lambda: next(blocks, b""))) != b"":
                yield block

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Count a body that is read or written while it is sent, for a `with` block: each holds some of it in memory.

        Raises `QueueFullError` where there are too many.
        """
        if self._streams >= _MOST_STREAMS:
            raise QueueFullError(
                f"{self._streams} tables are being sent from the store, or as text, as many as this server takes"
            )
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @contextmanager
    def _counted(self, what: str) -> Iterator[None]:
        try:
            yield
        except StorageError:
            self.errors[what] += 1
            raise

    def close(self) -> None:
        """Let work under way finish, and drop what has not begun."""
        for executor in (self._compute, self._serialize, self._parse, self._storage, self._database, self._health):
            executor.shutdown(cancel_futures=True)


def _give_way(nice: int) -> None:
    """Let this thread run, nearly, when the event loop has nothing to do.

    At 19 it has a seventieth of a core that the loop could use up, and requests in memory keep their p99 within twice;
    at 10, where it has a tenth, they do not.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


async def _run(executor: Executor, work: Callable[[], T]) -> T:
    context = copy_context()  # so that what the work logs names its request
    return await asyncio.get_running_loop().run_in_executor(executor, context.run, work)
