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

_MAX_TEXTS = 64  # being written or waiting for it; and as many being parsed
_MAX_PICTURES = 16  # being drawn or waiting for it: a large one takes a second
_MAX_STREAMS = 512  # bodies read or written while they are sent: each holds up to half a megabyte
_LOW, _LOWEST = 10, 19  # nice values: reading a table is kept waiting a little, writing text as long as needed

P = ParamSpec("P")
T = TypeVar("T")


class Executors:
    """Thread pools: one writes text, one parses it, one draws, four wait for the store, four for the database.

    More threads wait for worker processes, and one answers health checks, however busy the others are.

    Work that keeps a core busy has a single thread: two would compete for the interpreter's lock, and both would finish
    later. On Linux, threads that write or hash have a lower priority than the event loop. `errors` counts failures of
    the store and of the database.
    """

    def __init__(self) -> None:
        self.errors = Counter[str](objects=0, database=0)
        self._queued = Counter[str]()
        self._streams = 0
        self._compute = ThreadPoolExecutor(
            MOST_WORKERS, "compute", _lower_priority, (_LOW,)
        )  # each waits for a process
        self._serialize = ThreadPoolExecutor(1, "serialize", _lower_priority, (_LOWEST,))
        self._parse = ThreadPoolExecutor(1, "parse", _lower_priority, (_LOWEST,))
        self._draw = ThreadPoolExecutor(1, "draw", _lower_priority, (_LOWEST,))
        self._storage = ThreadPoolExecutor(4, "storage", _lower_priority, (_LOW,))
        self._database = ThreadPoolExecutor(4, "database")
        self._health = ThreadPoolExecutor(1, "health", _lower_priority, (_LOW,))

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that waits for a worker process."""
        return await _run(self._compute, lambda: work(*args, **kwargs))

    async def storage(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that waits for the store, or hashes what was read from it."""
        with self._counted("objects"):
            return await _run(self._storage, lambda: work(*args, **kwargs))

    async def database(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that waits for the database."""
        with self._counted("database"):
            return await _run(self._database, lambda: work(*args, **kwargs))

    async def serialize(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that turns numbers into text.

        Raises `QueueFullError` if too much of it waits already. Work that has not begun when its caller is cancelled is
        not begun.
        """
        return await self._queue(self._serialize, "texts are being written", _MAX_TEXTS, lambda: work(*args, **kwargs))

    async def parse(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that parses a large text, with the same limit as `serialize`."""
        return await self._queue(self._parse, "texts are being read", _MAX_TEXTS, lambda: work(*args, **kwargs))

    async def draw(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work that draws a picture, which texts do not wait for. Raises `QueueFullError` as `serialize` does."""
        return await self._queue(self._draw, "pictures are being drawn", _MAX_PICTURES, lambda: work(*args, **kwargs))

    async def _queue(self, executor: Executor, what: str, most: int, work: Callable[[], T]) -> T:
        if self._queued[what] >= most:
            raise QueueFullError(f"{self._queued[what]} {what} or wait for it, as many as this server takes")
        self._queued[what] += 1
        try:
            return await _run(executor, work)
        finally:
            self._queued[what] -= 1

    async def health(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work of a health check."""
        return await _run(self._health, lambda: work(*args, **kwargs))

    async def blocks(self, blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the blocks of a text, each made when the previous one was consumed: concurrent texts alternate.

        Raises `QueueFullError` if too many are being sent.
        """
        with self.streaming():
            while (block := await _run(self._serialize, lambda: next(blocks, b""))) != b"":
                yield block

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Count a body that is read or written while it is sent, for a `with` block: each holds a part in memory.

        Raises `QueueFullError` if there are too many.
        """
        if self._streams >= _MAX_STREAMS:
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
        """Let running work finish, and drop work that has not begun."""
        single = self._serialize, self._parse, self._draw, self._health
        for executor in (self._compute, *single, self._storage, self._database):
            executor.shutdown(cancel_futures=True)


def _lower_priority(nice: int) -> None:
    """Lower the priority of this thread, so that the event loop is preferred on a shared core.

    At 19 it gets a seventieth of a core that the loop could use up, and the p99 of requests answered from memory at
    most doubles; at 10, where it gets a tenth, it more than doubles. A server that was started with a higher value
    keeps it: only root may lower it.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))


async def _run(executor: Executor, work: Callable[[], T]) -> T:
    context = copy_context()  # so that what the work logs names its request
    return await asyncio.get_running_loop().run_in_executor(executor, context.run, work)
