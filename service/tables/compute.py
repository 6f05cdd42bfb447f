"""Tables computed, one at a time where that is quick: few wait, none waits or runs too long, none runs for nobody."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from scheduler import Spec, Table
from scheduler.named_tables import named_digests
from service.concurrency.executors import Executors
from service.concurrency.memory_budget import MemoryBudget
from service.concurrency.staggered_semaphore import StaggeredSemaphore
from service.errors import DeadlineExceededError, QueueFullError
from service.settings import Settings
from service.tables.readable import ReadableTable
from service.workers.pool import Job, Workers

_logger = logging.getLogger("lrtables")

_LONGEST_PAUSE = 60  # seconds that a client is asked to wait at most
_STAGGER_SECONDS = 1.0  # how long a computation must have run before another is started beside it
_GRACE = 1.0  # seconds in which a computation that is told to stop has to
_LAST_GRACE = 0.1  # the same, when the server has been told to stop
_WORKING_MEMORY = 256 * 2**20  # bytes beside the tables: the spec's objects, and what is computed block by block

Find = Callable[[str], Awaitable[ReadableTable]]
"""Finds the table that a Literal names by its digest."""


class Computations:
    """The one place where tables are computed, in worker processes. An instance belongs to one event loop.

    The next one begins when the last one ends. Where that has run for a second, as many as `compute_workers` run side
    by side, so that one which does not end is in nobody's way. One that does not stop when it is told to, as its time
    is over or every client has left, is killed with its process.

    `depth` is how many computations run or wait, `started` how many began, `seconds` how long those that ended took,
    `killed` how many were.
    """

    def __init__(self, executors: Executors, workers: Workers, settings: Settings) -> None:
        self.depth = 0
        self.started = 0
        self.ended = 0
        self.killed = 0
        self.seconds = 0.0
        self.workers = workers
        self._grace = _GRACE
        self._executors = executors
        self._jobs = set[Job]()
        self._slots = StaggeredSemaphore(settings.compute_workers, _STAGGER_SECONDS)
        self._most = settings.max_queue + 1  # one runs
        self._limit = settings.compute_seconds
        self._memory = MemoryBudget(2 * settings.max_table_bytes)
        self._working_memory = settings.max_table_bytes + _WORKING_MEMORY

    @property
    def longest(self) -> float:
        """Seconds since the computation began that has run longest; 0 where none runs."""
        return self._slots.longest_held

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
        self.depth += 1
        try:
            async with asyncio.timeout(self._limit):
                # first, as finding may take another computation, which must not wait for the memory of this one
                tables = {digest: await find(digest) for digest in sorted(named_digests(spec.every_schedule()))}
                await held.enter_async_context(self._memory.acquire(8 * spec.total_steps * len(spec.plan())))
                async with self._slots.acquire():
                    columns = {digest: table.columns for digest, table in tables.items()}
                    return await self._compute(Job(spec, columns, self._working_memory))
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"the computation did not end within {self._limit:g} s (compute_seconds), its wait for a turn included",
                self._pause(),
            ) from error
        finally:
            self.depth -= 1

    async def _compute(self, job: Job) -> Table:
        """The table of a job. When the caller is cancelled, this ends when the job has stopped, or was killed."""
        self.started += 1
        began = time.perf_counter()
        self._jobs.add(job)
        running = asyncio.ensure_future(self._executors.compute(self.workers.compute, job))
        running.add_done_callback(_seen)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await self._stop(job, running)
            raise
        finally:
            self._jobs.discard(job)
            self.ended += 1
            self.seconds += time.perf_counter() - began

    async def _stop(self, job: Job, running: asyncio.Future[Table]) -> None:
        """Tell a job to stop, kill it where it does not, and wait until it has ended."""
        job.stop()
        timer = asyncio.get_running_loop().call_later(self._grace, self._kill, job)
        try:
            await asyncio.wait({running})
        finally:
            timer.cancel()

    def _kill(self, job: Job) -> None:
        if job.kill():
            self.killed += 1
            _logger.error("spec %s: its computation did not stop when told to; its process was killed", job.spec.id)

    def state(self) -> str:
        """`ok`, or what people should know: no process can be started, or a computation runs for long."""
        if self.workers.trouble is not None:
            return f"no process could be started that computes: {self.workers.trouble}"
        return (
            "ok" if self.longest <= _STAGGER_SECONDS else f"one has run for {self.longest:.0f} s, {self.depth} in all"
        )

    def hurry(self) -> None:
        """Give what is told to stop less time to do so, as the server has been told to stop. For a signal handler."""
        self._grace = _LAST_GRACE

    def close(self) -> None:
        """End what runs: the server ends."""
        for job in self._jobs:
            job.kill()
        self.workers.close()

    def _pause(self) -> int:
        """Seconds until those that are there now may be done."""
        mean = self.seconds / self.ended if self.ended else 1.0
        return min(max(math.ceil(mean * self.depth), 1), _LONGEST_PAUSE)


def _seen(running: asyncio.Future[Table]) -> None:
    """Look at how it ended, as nobody else does where its caller was cancelled."""
    if not running.cancelled():
        running.exception()
