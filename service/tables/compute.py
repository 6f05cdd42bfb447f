"""Computing tables: a bounded queue with a time limit, and cancellation when every client has disconnected."""

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

_LONGEST_PAUSE = 60  # seconds: largest Retry-After
_STAGGER_SECONDS = 1.0  # how long a computation must have run before another one starts in parallel
_GRACE = 1.0  # seconds from a stop to a kill
_LAST_GRACE = 0.1  # the same, while the server stops
_WORKING_MEMORY = 256 * 2**20  # bytes besides the tables: the spec's objects, and the blocks being computed

Find = Callable[[str], Awaitable[ReadableTable]]
"""Finds the table that a Literal refers to by its digest."""


class Computations:
    """Computes all tables of the server, in worker processes. An instance belongs to one event loop.

    Normally one computation runs at a time. When it has run for a second, up to `compute_workers` run in parallel, so
    that an endless one does not block the others. A computation is stopped at its time limit, or when every client has
    disconnected. If it does not stop, its process is killed.

    `depth` is the number of computations running or waiting, `started` the number started, `ended` the number ended,
    `seconds` the total duration of those, and `killed` the number killed.
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
        """The age of the longest-running computation in seconds; 0 if none runs."""
        return self._slots.longest_held

    @asynccontextmanager
    async def run(self, spec: Spec, find: Find) -> AsyncIterator[Table]:
        """Compute a spec's table and its digest, for a `with` block. Its memory counts as used until the block ends.

        When the caller is cancelled, the computation is stopped. Raises `QueueFullError`, `DeadlineExceededError`,
        `NotComputableError` if a value overflows, and what `find` raises.
        """
        async with AsyncExitStack() as held:
            yield await self._run(spec, find, held)

    async def _run(self, spec: Spec, find: Find, held: AsyncExitStack) -> Table:
        """Return the table. Its memory is acquired on the stack `held`."""
        if self.depth >= self._most:
            raise QueueFullError(
                f"{self.depth} computations are running or waiting, the most that this server allows (max_queue)",
                self._pause(),
            )
        self.depth += 1
        try:
            async with asyncio.timeout(self._limit):
                # Before acquiring memory: finding may need another computation, which must not wait for our memory.
                tables = {digest: await find(digest) for digest in sorted(named_digests(spec.every_schedule()))}
                await held.enter_async_context(self._memory.acquire(8 * spec.total_steps * len(spec.plan())))
                async with self._slots.acquire():
                    columns = {digest: table.columns for digest, table in tables.items()}
                    return await self._compute(Job(spec, columns, self._working_memory))
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"the computation did not end within {self._limit:g} s (compute_seconds), including its wait in queue",
                self._pause(),
            ) from error
        finally:
            self.depth -= 1

    async def _compute(self, job: Job) -> Table:
        """Return the table of a job. When the caller is cancelled, wait until the job has stopped or was killed."""
        self.started += 1
        began = time.perf_counter()
        self._jobs.add(job)
        running = asyncio.ensure_future(self._executors.compute(self.workers.compute, job))
        running.add_done_callback(_retrieve_exception)
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
        """Stop a job, kill it after the grace period, and wait until it has ended."""
        job.stop()
        timer = asyncio.get_running_loop().call_later(self._grace, self._kill, job)
        try:
            await asyncio.wait({running})
        finally:
            timer.cancel()

    def _kill(self, job: Job) -> None:
        if job.kill():
            self.killed += 1
            _logger.error("spec %s: the computation did not stop; its process was killed", job.spec.id)

    def state(self) -> str:
        """Return `ok`, or a problem: no worker process can be started, or a computation runs for long."""
        if self.workers.trouble is not None:
            return f"no worker process could be started: {self.workers.trouble}"
        return (
            "ok" if self.longest <= _STAGGER_SECONDS else f"one has run for {self.longest:.0f} s, {self.depth} in all"
        )

    def hurry(self) -> None:
        """Shorten the grace period of stopped computations, as the server is stopping. Safe in a signal handler."""
        self._grace = _LAST_GRACE

    def close(self) -> None:
        """Kill all running computations, and close the workers."""
        for job in self._jobs:
            job.kill()
        self.workers.close()

    def _pause(self) -> int:
        """Return an estimate of the seconds until the current computations are done."""
        mean = self.seconds / self.ended if self.ended else 1.0
        return min(max(math.ceil(mean * self.depth), 1), _LONGEST_PAUSE)


def _retrieve_exception(running: asyncio.Future[Table]) -> None:
    """Mark the exception as retrieved: asyncio would log it if the caller was cancelled and never reads it."""
    if not running.cancelled():
        running.exception()
