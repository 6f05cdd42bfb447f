"""Tables computed one at a time: those that wait are few, none waits or runs too long, none runs for nobody."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import numpy as np

from scheduler import Spec, Table, TableError
from scheduler.interruption import stoppable
from scheduler.literal import UnresolvedError, named_digests, resolved
from service.budget import Budget
from service.errors import DeadlineExceededError, NotComputableError, QueueFullError
from service.settings import Settings
from service.streamed import StoredTable
from service.threads import Threads

_LONGEST_PAUSE = 60  # seconds that a client is asked to wait at most

Find = Callable[[str], Awaitable[StoredTable]]
"""Finds the table that a Literal names by its digest."""


class Computations:
    """The one place where tables are computed. An instance belongs to one event loop.

    `depth` is how many computations run or wait, `started` how many began, `seconds` how long those that ended took.
    """

    def __init__(self, threads: Threads, settings: Settings) -> None:
        self.depth = 0
        self.started = 0
        self.ended = 0
        self.seconds = 0.0
        self._closed = False
        self._threads = threads
        self._most = settings.max_queue + 1  # one runs
        self._limit = settings.compute_seconds
        self._memory = Budget(2 * settings.max_table_bytes)

    @asynccontextmanager
    async def run(self, spec: Spec, find: Find) -> AsyncIterator[Table]:
        """The table of a spec, its digest taken, for a `with` block; its memory counts as taken until that ends.

        When the caller is cancelled the computation stops, or never starts. Raises `QueueFullError`,
        `DeadlineExceededError`, `NotComputableError` where a value leaves the floats, and what `find` raises.
        """
        async with AsyncExitStack() as held:
            yield await self._run(spec, find, held)

    async def _run(self, spec: Spec, find: Find, held: AsyncExitStack) -> Table:
        """The table; its memory is `held`."""
        if self.depth >= self._most:
            raise QueueFullError(
                f"{self.depth} computations are under way or waiting, as many as this server takes (max_queue)",
                self._pause(),
            )
        stop = threading.Event()
        self.depth += 1
        try:
            async with asyncio.timeout(self._limit):
                # first, as finding may take another computation, which must not wait for the memory of this one
                tables = {digest: await find(digest) for digest in sorted(named_digests(spec.every_schedule()))}
                await held.enter_async_context(self._memory.lend(8 * spec.total_steps * len(spec.plan())))
                return await self._threads.compute(partial(self._compute, spec, tables, stop))
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"the computation did not end within {self._limit:g} s (compute_seconds), its wait for a turn included",
                self._pause(),
            ) from error
        finally:
            self.depth -= 1
            stop.set()

    def close(self) -> None:
        """Stop what runs: the server ends."""
        self._closed = True

    def _compute(self, spec: Spec, tables: Mapping[str, StoredTable], stop: threading.Event) -> Table:
        """In the thread that computes."""
        self.started += 1
        began = time.perf_counter()
        try:
            with stoppable(lambda: self._closed or stop.is_set()):
                return compute(spec, tables)
        finally:
            self.ended += 1
            self.seconds += time.perf_counter() - began

    def _pause(self) -> int:
        """Seconds until those that are there now may be done."""
        mean = self.seconds / self.ended if self.ended else 1.0
        return min(max(math.ceil(mean * self.depth), 1), _LONGEST_PAUSE)


def compute(spec: Spec, tables: Mapping[str, StoredTable]) -> Table:
    """The table of a spec, its digest taken; `tables` are those that its Literals name.

    Raises `NotComputableError` where a value leaves the floats, or a table lacks the column that a Literal names, and
    `TableError` where a table has changed since it was found.
    """
    try:
        with np.errstate(all="ignore"), resolved(tables):  # what overflows is found, and named
            table = Table.compute(spec)
    except (TableError, UnresolvedError) as error:
        if any(table.is_damaged for table in tables.values()):
            raise
        raise NotComputableError(str(error)) from error
    _ = table.digest
    return table
