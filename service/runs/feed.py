"""The feed of changes as its readers follow it: one query of the database serves all who wait."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import NamedTuple

from service.concurrency.executors import Executors
from service.database.changes import PAGE, ChangeRecords, ChangeRow
from service.errors import DatabaseError, FeedReplacedError, QueueFullError

POLL_SECONDS = 0.5
"""The database is asked so often while anybody waits, whether or not it sends notifications."""
_PAUSE = 0.01  # seconds from one query to the next, however many changes there are
_LINGER = 30.0  # seconds without waiting readers after which nothing listens any more
_MOST_PAGES = 10  # read for one call, where a filter leaves out nearly all of them
_RETRY_AFTER = 5  # seconds


_logger = logging.getLogger("lrtables")


class Read(NamedTuple):
    """Changes that a reader wanted, and the number of the last one that was looked at."""

    changes: Sequence[ChangeRow]
    next: int


class ChangeFeed:
    """Reads the feed of changes for many readers, and wakes them when there is something new.

    The newest changes are kept in memory, which is what waiting readers need; older ones come from the database. While
    anybody waits, one task asks the database twice a second, and at once after `announce` and after a notification of
    PostgreSQL. So a change that another process has made is seen within a second, even if no notification arrives. An
    instance belongs to one event loop; blocking calls run in threads.

    Args:
        records: the feed in the database.
        executors: whose database executor asks it.
        max_waiting: most readers that wait at the same time.
    """

    def __init__(self, records: ChangeRecords, executors: Executors, max_waiting: int) -> None:
        self.waiting = 0
        """How many readers wait, or may wait, at the moment."""
        self.is_stopping = False
        """Whether nobody may wait any more."""
        self.on_changes: Callable[[Sequence[ChangeRow]], None] | None = None
        """Called with new changes, of any process, before readers are woken."""
        self._records = records
        self._executors = executors
        self._max_waiting = max_waiting
        self._newest: Sequence[ChangeRow] = ()  # all changes after `_start` up to `_end`
        self._start = 0
        self._end: int | None = None  # None before the first query
        self._last: ChangeRow | None = None  # the change with that number
        self._histories = 0  # how often another database's feed was found in the place of the one before
        self._queried = asyncio.Lock()
        self._calls = self._answered = 0  # a query answers all calls that came before it began
        self._failure: DatabaseError | None = None  # of the last query
        self._readers = set[asyncio.Future[None]]()
        self._hint = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def newest(self) -> int:
        """The number of the newest change that the last `read` has seen, wanted or not; 0 if there is none."""
        return self._end or 0

    async def read(self, after: int, limit: int = PAGE, is_wanted: Callable[[ChangeRow], bool] | None = None) -> Read:
        """Return the wanted changes after this number that were committed before this call, in their order.

        At most `limit`. If thousands in succession are not wanted, only the first of them are looked at. There is more
        to read as long as `next` of the result is not `after`. Raises `DatabaseError`, and `FeedReplacedError` if there
        is no change with this number.
        """
        await self._refresh()
        if after > self.newest:
            raise FeedReplacedError(
                f"the newest change has the number {self.newest}, and {after} was asked for: was the database restored "
                "from a backup? Read the runs again, and then the changes from 0 on",
                members={"newest": self.newest},
            )
        if is_wanted is None:
            page = await self._page(after, limit)
            return Read(list(page), page[-1].sequence if page else after)
        found: list[ChangeRow] = []
        for _ in range(_MOST_PAGES):
            page = await self._page(after, PAGE)
            for change in page:
                after = change.sequence
                if is_wanted(change):
                    found.append(change)
                if len(found) == limit:
                    return Read(found, after)
            if len(page) < PAGE:
                break
        return Read(found, after)

    async def _page(self, after: int, limit: int) -> Sequence[ChangeRow]:
        if after >= self.newest:
            return ()
        if after >= self._start:
            first = bisect_right(self._newest, after, key=_sequence)
            return self._newest[first : first + limit]
        return await self._executors.database(self._records.since, after, limit)

    async def _refresh(self) -> None:
        """Learn of all changes that were committed before this call. Calls at the same time share a query."""
        self._calls += 1
        call = self._calls
        async with self._queried:
            if self._answered >= call:
                if self._failure is not None:
                    raise DatabaseError(str(self._failure))
                return
            calls, self._failure = self._calls, None
            try:
                await self._query()
            except DatabaseError as error:
                self._answered, self._failure = calls, error
                raise
            self._answered = calls  # not if this call is cancelled: then the next one queries

    async def _query(self) -> None:
        end, last = self._end, self._last
        page: list[ChangeRow] = []
        if end is not None:  # the newest known change is read again: a restored database has another one, or none
            known = 0 if last is None else 1
            page = await self._executors.database(self._records.since, end - known, PAGE + known)
        if last is not None and page[:1] != [last]:
            self._histories += 1
            _logger.error("the feed of changes has no change %d as it was: the database was replaced", last.sequence)
            end = None
        page = page if last is None else page[1:]
        if end is None or len(page) >= PAGE:  # what was before is for those who read old changes
            self._newest = ()
            self._last = await self._executors.database(self._records.newest)
            self._start = self._end = 0 if self._last is None else self._last.sequence
        elif page:
            if self.on_changes is not None:
                self.on_changes(page)
            self._newest = (*self._newest, *page)[-PAGE:]
            self._start = max(self._start, self._newest[0].sequence - 1)
            self._last = page[-1]
            self._end = self._last.sequence
        if self._end != end:
            self._wake()

    # -- waiting ------------------------------------------------------------------------------------------------------

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a reader that may wait, for a `with` block. Raises `QueueFullError` if there are too many."""
        if self.waiting >= self._max_waiting:
            raise QueueFullError(
                f"{self.waiting} clients wait for changes, as many as this server takes (max_waiting)", _RETRY_AFTER
            )
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def wait(self, after: int, seconds: float) -> None:
        """Wait until there may be a change after this number, `seconds` are over or the server stops.

        While the database does not answer, the wait goes on. Raises `FeedReplacedError` if the database was replaced
        meanwhile: the number is of another history.
        """
        histories = self._histories
        await self._wait(after, seconds)
        if self._histories != histories:
            raise FeedReplacedError(
                "the database was replaced while changes were waited for: read the runs again, and then the changes "
                "from 0 on",
                members={"newest": self.newest},
            )

    async def _wait(self, after: int, seconds: float) -> None:
        if self.is_stopping or self.newest > after or seconds <= 0:
            return
        self._watch()
        woken = asyncio.get_running_loop().create_future()
        self._readers.add(woken)
        try:
            await asyncio.wait([woken], timeout=seconds)
        finally:
            self._readers.discard(woken)

    def announce(self) -> None:
        """Say, in the event loop, that this process has committed a change: waiting readers see it sooner."""
        self._hint.set()

    def _wake(self) -> None:
        for reader in self._readers:
            if not reader.done():
                reader.set_result(None)
        self._readers.clear()

    def _watch(self) -> None:
        """Start the task that looks for changes, unless it runs."""
        self._loop = asyncio.get_running_loop()
        if self._watching is None:
            # In a context of its own: what it logs is of no request, and it keeps none in memory.
            self._watching = self._loop.create_task(self._look_for_changes(self._loop), context=Context())

    async def _look_for_changes(self, loop: asyncio.AbstractEventLoop) -> None:
        listening = asyncio.create_task(self._records.listen(self._hint.set))
        last_reader = loop.time()
        try:
            while self._readers or loop.time() < last_reader + _LINGER:  # a query may take longer than that
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hint.wait(), POLL_SECONDS)
                self._hint.clear()
                if self._readers:
                    last_reader = loop.time()
                    with suppress(DatabaseError):  # it is counted; the next query may succeed
                        await self._refresh()
                    await asyncio.sleep(_PAUSE)
        finally:
            self._watching = None  # a reader that comes now starts another task
            listening.cancel()
            await asyncio.wait([listening])

    # -- stopping -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Let all waits end now, and later ones at once, because the server is stopping. Safe in a signal handler."""
        self.is_stopping = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    async def close(self) -> None:
        """Stop, and end the task that looks for changes."""
        self.stop()
        if (watching := self._watching) is not None:
            watching.cancel()
            await asyncio.wait([watching])


def _sequence(change: ChangeRow) -> int:
    return change.sequence
