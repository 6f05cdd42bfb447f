"""The feed of changes in one process: what readers are given, when they wake, what is asked of the database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing

import pytest

from service.concurrency.executors import Executors
from service.database.changes import PAGE, ChangeRow
from service.database.metadata import Metadata
from service.errors import DatabaseError, QueueFullError
from service.runs import feed as module
from service.runs.feed import ChangeFeed
from tests.service.conftest import OpenDatabase
from tests.support.feed import PATIENCE, FeedWriter, change

FOREVER = 10 * PATIENCE


class CountingWriter(FeedWriter):
    """A writer whose records count the queries of a feed, and fail where they are told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.queries = 0
        self.failing = False
        self.since, self.newest = self.records.since, self.records.newest
        self.records.since = self._since  # type: ignore[method-assign]  # counted
        self.records.newest = self._newest  # type: ignore[method-assign]  # counted

    def _since(self, sequence: int, limit: int = PAGE) -> list[ChangeRow]:
        self._query()
        return self.since(sequence, limit)

    def _newest(self) -> ChangeRow | None:
        self._query()
        return self.newest()

    def _query(self) -> None:
        self.queries += 1
        if self.failing:
            raise DatabaseError("it is away")


@pytest.fixture
def writer(metadata: Metadata, database_url: str) -> Iterator[CountingWriter]:
    """The feed in an empty database, in turn of either kind."""
    with closing(CountingWriter(database_url)) as found:
        yield found


@asynccontextmanager
async def following(writer: FeedWriter, max_waiting: int = 1000) -> AsyncIterator[ChangeFeed]:
    """A feed over the writer's records, closed afterwards."""
    executors = Executors()
    feed = ChangeFeed(writer.records, executors, max_waiting)
    try:
        yield feed
    finally:
        await feed.close()
        executors.close()


async def appended(writer: FeedWriter, *changes: ChangeRow) -> int:
    """Append in a thread, as another process would."""
    return await asyncio.to_thread(writer.append, *changes)


async def until(met: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    async with asyncio.timeout(PATIENCE):
        while not met():
            await asyncio.sleep(0.005)


def test_a_reader_gets_every_change_from_memory_or_database(writer: CountingWriter) -> None:
    """From any number on, a feed that was there before the changes and one that came after give the same."""

    async def main() -> None:
        async with following(writer) as early:
            assert await early.read(0) == ([], 0)
            await appended(writer, *(change(f"run-{number}") for number in range(7)))
            async with following(writer) as late:
                for after in range(8):
                    found = await early.read(after)
                    assert [one.sequence for one in found.changes] == list(range(after + 1, 8))
                    assert found == await late.read(after)
                    assert found.next == 7

    asyncio.run(main())


def test_changes_that_no_longer_fit_in_memory_are_read_again(
    writer: CountingWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feed keeps a page of the newest changes; who is further behind gets the same from the database."""
    monkeypatch.setattr(module, "PAGE", 4)

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            for _ in range(5):
                await appended(writer, *(change() for _ in range(3)))
                await feed.read(0)
            for after in range(16):
                assert [one.sequence for one in (await feed.read(after)).changes] == list(range(after + 1, 16))
            queries = writer.queries
            await feed.read(11)
            assert writer.queries == queries + 1  # is there anything new?
            await feed.read(10)
            assert writer.queries == queries + 3
            await appended(writer, *(change() for _ in range(9)))  # more than are read at once
            assert [one.sequence for one in (await feed.read(15)).changes] == list(range(16, 25))

    asyncio.run(main())


def test_a_filter_leaves_out_and_goes_on(writer: CountingWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """`next` is the last change looked at; a call looks at so many pages only, and the next one goes on there."""
    monkeypatch.setattr(module, "PAGE", PAGE)
    monkeypatch.setattr(module, "_MOST_PAGES", 2)
    total = 2 * PAGE + 5

    async def main() -> None:
        async with following(writer) as feed:
            await appended(writer, *(change("wanted" if number == total - 1 else "other") for number in range(total)))
            wanted = [one for one in (await feed.read(total - 1)).changes]
            assert await feed.read(0, 10, _is_wanted) == ([], 2 * PAGE)
            assert await feed.read(2 * PAGE, 10, _is_wanted) == (wanted, total)
            assert (await feed.read(0, 3)).next == 3

    asyncio.run(main())


def _is_wanted(found: ChangeRow) -> bool:
    return found.name == "wanted"


def test_reads_at_the_same_time_share_a_query(writer: CountingWriter) -> None:
    """A hundred reads that begin together cost two queries; none misses what was committed before it began."""

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            before, last = writer.queries, await appended(writer, change(), change())
            reads = await asyncio.gather(*(feed.read(0) for _ in range(100)))
            assert {found.next for found in reads} == {last}
            assert writer.queries <= before + 2

    asyncio.run(main())


def test_a_read_that_is_cancelled_leaves_the_others_theirs(writer: CountingWriter) -> None:
    """Where the read whose query was shared is cancelled, the others ask for themselves."""

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            last = await appended(writer)
            reads = [asyncio.create_task(feed.read(0)) for _ in range(5)]
            await asyncio.sleep(0)  # they begin
            reads[0].cancel()
            found = await asyncio.gather(*reads, return_exceptions=True)
            assert isinstance(found[0], asyncio.CancelledError)
            assert [one.next for one in found[1:] if not isinstance(one, BaseException)] == 4 * [last]

    asyncio.run(main())


def test_a_failure_is_for_those_who_asked_then(writer: CountingWriter) -> None:
    """While the database is away every read fails, after one query for all; the next one succeeds again."""

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            writer.failing, before = True, writer.queries
            found = await asyncio.gather(*(feed.read(0) for _ in range(50)), return_exceptions=True)
            assert [str(error) for error in found] == 50 * ["it is away"]
            assert writer.queries <= before + 2
            writer.failing = False
            assert await feed.read(0) == ([], 0)

    asyncio.run(main())


def test_who_waits_is_woken_by_a_change_of_another_process(writer: CountingWriter) -> None:
    """A reader is woken by a change that nobody announced, while the database was away in the meantime, too."""

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            waits = [asyncio.create_task(feed.wait(0, FOREVER)) for _ in range(20)]
            writer.failing, before = True, writer.queries
            await until(lambda: writer.queries > before)
            last = await appended(writer)
            writer.failing = False
            await asyncio.wait_for(asyncio.gather(*waits), PATIENCE)
            assert (await feed.read(0)).next == last

    asyncio.run(main())


def test_an_announced_change_is_seen_without_a_poll(writer: CountingWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit of this process wakes readers, though the next poll is far away."""
    monkeypatch.setattr(module, "POLL_SECONDS", FOREVER)

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            for number in range(1, 4):
                wait = asyncio.create_task(feed.wait(number - 1, FOREVER))
                await asyncio.sleep(0)
                assert await appended(writer) == number
                feed.announce()
                await asyncio.wait_for(wait, PATIENCE)
                assert feed.newest == number

    asyncio.run(main())


class DeafWriter(FeedWriter):
    """A writer whose readers hear of no notification."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.records.listen = self._listen  # type: ignore[method-assign]  # hears nothing

    async def _listen(self, committed: Callable[[], None]) -> None:
        await asyncio.sleep(FOREVER)


def test_polling_alone_is_enough(metadata: Metadata, database_url: str) -> None:
    """Where no notification ever arrives, each reader still sees each change, once and in order."""

    async def main() -> None:
        with closing(DeafWriter(database_url)) as writer:
            async with following(writer) as feed:
                readers = [asyncio.create_task(everything(feed, 5)) for _ in range(10)]
                for _ in range(5):
                    await appended(writer)
                assert await asyncio.wait_for(asyncio.gather(*readers), PATIENCE) == 10 * [[1, 2, 3, 4, 5]]

    asyncio.run(main())


async def everything(feed: ChangeFeed, last: int) -> list[int]:
    """What a reader sees, until it has seen the change with this number."""
    seen: list[int] = []
    position = 0
    while position < last:
        await feed.wait(position, FOREVER)
        found = await feed.read(position)
        seen += [one.sequence for one in found.changes]
        position = found.next
    return seen


def test_every_reader_sees_every_change_once_under_concurrent_writers(
    open_database: OpenDatabase, metadata: Metadata, database_url: str
) -> None:
    """Four writers at once, in transactions of one to three changes: no reader misses, doubles or reorders one."""
    total = 4 * 15 * 2

    def write(number: int) -> None:
        with closing(FeedWriter(database_url)) as writer:
            for turn in range(15):
                writer.append(*(change(f"{number}-{turn}-{part}") for part in range(turn % 3 + 1)))

    async def main() -> None:
        with closing(FeedWriter(database_url)) as one, closing(FeedWriter(database_url)) as other:
            async with following(one) as first, following(other) as second:
                readers = [asyncio.create_task(everything(feed, total)) for feed in (first, second) for _ in range(5)]
                await asyncio.gather(*(asyncio.to_thread(write, number) for number in range(4)))
                assert await asyncio.wait_for(asyncio.gather(*readers), PATIENCE) == 10 * [list(range(1, total + 1))]

    asyncio.run(main())
    assert list(metadata.changes.problems()) == []


def test_a_transaction_that_is_rolled_back_leaves_no_gap(metadata: Metadata, writer: CountingWriter) -> None:
    """A change whose transaction fails is never seen, and its number is taken by the next one."""

    def fail() -> None:
        with writer.transaction() as connection:
            writer.records.append(connection, change("lost"))
            raise RuntimeError("rolled back")

    async def main() -> None:
        async with following(writer) as feed:
            await appended(writer, change("first"))
            with pytest.raises(RuntimeError, match="rolled back"):
                await asyncio.to_thread(fail)
            assert await appended(writer, change("second")) == 2
            assert [one.name for one in (await feed.read(0)).changes] == ["first", "second"]

    asyncio.run(main())


def test_stopping_ends_every_wait(writer: CountingWriter) -> None:
    """After `stop`, which a signal handler calls, readers that wait go on, and nobody waits again."""

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            waits = [asyncio.create_task(feed.wait(0, FOREVER)) for _ in range(20)]
            await asyncio.sleep(0)
            await asyncio.to_thread(feed.stop)
            await asyncio.wait_for(asyncio.gather(*waits), PATIENCE)
            await asyncio.wait_for(feed.wait(0, FOREVER), PATIENCE)

    asyncio.run(main())


def test_no_more_wait_than_allowed(writer: CountingWriter) -> None:
    """One more than `max_waiting` is refused, and told when to come again; whoever leaves makes room."""

    async def main() -> None:
        async with following(writer, max_waiting=2) as feed:
            with feed.admitted():
                with feed.admitted(), pytest.raises(QueueFullError, match=r"2 clients wait.*\(max_waiting\)") as caught:
                    feed.admitted().__enter__()
                assert (caught.value.retry_after, feed.waiting) == (5, 1)
                with feed.admitted():
                    assert feed.waiting == 2

    asyncio.run(main())


@pytest.mark.parametrize("linger", [0.0, 0.05])
def test_nothing_runs_while_nobody_waits(
    writer: CountingWriter, monkeypatch: pytest.MonkeyPatch, linger: float
) -> None:
    """The task that looks for changes ends after the last reader, not before, and begins again with the next."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(module, "_LINGER", linger)

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            for _ in range(2):
                assert len(asyncio.all_tasks()) == 1
                wait = asyncio.create_task(feed.wait(feed.newest, FOREVER))
                await until(lambda: len(asyncio.all_tasks()) > 2)
                await appended(writer)
                await asyncio.wait_for(wait, PATIENCE)
                await until(lambda: len(asyncio.all_tasks()) == 1)
                queries = writer.queries
                await asyncio.sleep(0.05)
                assert writer.queries == queries

    asyncio.run(main())


def test_time_is_up_where_nothing_happens(writer: CountingWriter) -> None:
    """A wait ends by itself when its seconds are over, and at once where there is something already."""

    async def main() -> None:
        async with following(writer) as feed:
            await feed.read(0)
            await asyncio.wait_for(feed.wait(0, 0.01), PATIENCE)
            await asyncio.wait_for(feed.wait(0, -1.0), PATIENCE)
            await appended(writer)
            await feed.read(0)
            await asyncio.wait_for(feed.wait(0, FOREVER), PATIENCE)

    asyncio.run(main())
