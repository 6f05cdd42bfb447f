"""The heads of runs in memory: at most 2 seconds old, or flagged stale while the database is away."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.concurrency.executors import Executors
from service.database.runs.records import RunRecords
from service.database.runs.rows import RunHead, RunName
from service.errors import DatabaseError

_FRESH = 2.0  # seconds for which a head is served without a query
_DATABASE_WAIT = 1.0  # seconds that a request for a known head waits for the database
_PAUSE = 1.0  # seconds from a failure of the database to the next query for a known head
_MOST = 10_000  # heads
_MOST_CHARACTERS = 32 * 2**20  # of their specs together

Clock = Callable[[], float]


@dataclass(frozen=True)
class KnownHead:
    """A run's head as this server knows it.

    Args:
        head: the run; None if there is none of this name.
        read_at: the time of the monotonic clock at which the query for it began.
        changed_at: the time of this server's last change of the run: what was read before is out of date.
    """

    head: RunHead | None
    read_at: float
    changed_at: float = -math.inf


@dataclass(frozen=True)
class ServedHead:
    """A run's head, its age in seconds, and whether it is older than it may be because the database is away."""

    head: RunHead | None
    age_seconds: float = 0.0
    stale: bool = False


class Heads:
    """The heads of runs that were asked for lately. It belongs to one event loop.

    A head is served for 2 seconds without a query. What this server changes is seen by its own readers at once. While
    the database fails, or takes longer than a second, the last known head is served, flagged stale. That a run does not
    exist is not remembered.

    Args:
        records: the database's records of runs.
        executors: whose database executor queries them.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, records: RunRecords, executors: Executors, *, clock: Clock = time.monotonic) -> None:
        self._records = records
        self._executors = executors
        self._clock = clock
        self._known: OrderedDict[RunName, KnownHead] = OrderedDict()
        self._characters = 0
        self._queries: dict[RunName, asyncio.Task[KnownHead]] = {}
        self._no_queries_until = -math.inf

    async def get(self, name: RunName) -> ServedHead:
        """Return the head of a run. Raises `DatabaseError` if it is not known and the database fails."""
        known = self._known.get(name)
        if known is None:
            return ServedHead((await self._asked(name)).head)
        if known.changed_at <= known.read_at > self._clock() - _FRESH:
            self._known.move_to_end(name)
            return self._served(known)
        if self._clock() < self._no_queries_until:
            return self._served(known, stale=True)
        query = asyncio.create_task(self._asked(name))
        query.add_done_callback(_retrieve)
        done, _ = await asyncio.wait({query}, timeout=_DATABASE_WAIT)
        if done and not isinstance(query.exception(), DatabaseError):
            return self._served(query.result())
        self._no_queries_until = self._clock() + _PAUSE
        return self._served(self._known.get(name, known), stale=True)

    def changed(self, name: RunName, head: RunHead) -> None:
        """Take note of a change that this server has made, in whatever order such notes come."""
        known = self._known.get(name)
        if known is None or known.head is None or known.head.run.state < head.run.state:
            self._store(name, KnownHead(head, self._clock(), self._clock()))
        else:  # of two changes, the later one may be noted first
            self._known[name] = replace(known, changed_at=self._clock())
        self._queries.pop(name, None)  # it may have read what was before

    def outdate(self, name: RunName) -> None:
        """Take note of a change that any process has made: the next reader of the run sees it."""
        if (known := self._known.get(name)) is not None:
            self._known[name] = replace(known, changed_at=self._clock())
        self._queries.pop(name, None)

    async def _asked(self, name: RunName) -> KnownHead:
        """Return the head from the database; requests at the same time share a query."""
        query = self._queries.get(name)
        if query is None:
            query = self._queries[name] = asyncio.create_task(self._query(name))
            query.add_done_callback(lambda done: self._finish(name, done))
        return await asyncio.shield(query)

    async def _query(self, name: RunName) -> KnownHead:
        began = self._clock()
        found = KnownHead(await self._executors.database(self._records.head, name), began)
        known = self._known.get(name)
        if found.head is None:
            self._remove(name)
        elif known is None or max(known.read_at, known.changed_at) <= began:
            self._store(name, found)
        return found

    def _finish(self, name: RunName, query: asyncio.Task[KnownHead]) -> None:
        if self._queries.get(name) is query:
            del self._queries[name]
        _retrieve(query)

    def _served(self, known: KnownHead, *, stale: bool = False) -> ServedHead:
        return ServedHead(known.head, max(self._clock() - known.read_at, 0.0), stale)

    def _store(self, name: RunName, known: KnownHead) -> None:
        self._remove(name)
        self._known[name] = known
        self._characters += _characters(known)
        while len(self._known) > _MOST or (self._characters > _MOST_CHARACTERS and len(self._known) > 1):
            self._remove(next(iter(self._known)))

    def _remove(self, name: RunName) -> None:
        if (known := self._known.pop(name, None)) is not None:
            self._characters -= _characters(known)


def _characters(known: KnownHead) -> int:
    return 0 if known.head is None else len(known.head.version.spec or "")


def _retrieve(task: asyncio.Task[KnownHead]) -> None:
    """Mark an exception as retrieved: asyncio would log one that nobody waited for."""
    if not task.cancelled():
        task.exception()
