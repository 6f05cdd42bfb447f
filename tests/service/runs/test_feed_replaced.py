"""A feed of changes that is replaced under a running server, as when its database is restored from a backup."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from service.concurrency.executors import Executors
from service.database.changes import ChangeRow
from service.database.metadata import Metadata
from service.database.schema import CHANGES
from service.errors import FeedReplacedError
from service.runs.feed import ChangeFeed
from tests.support.feed import PATIENCE, FeedWriter, change

FOREVER = 10 * PATIENCE


@pytest.fixture
def writer(metadata: Metadata, database_url: str) -> Iterator[FeedWriter]:
    """The feed in an empty database, in turn of either kind."""
    with closing(FeedWriter(database_url)) as found:
        yield found


def remake(writer: FeedWriter, *changes: ChangeRow) -> None:
    """Put another feed into the database, as the restoration of a backup does."""
    with writer.transaction() as connection:
        connection.execute(CHANGES.delete())
    writer.append(*changes)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_replaced_feed_is_noticed(writer: FeedWriter, number: int) -> None:
    """A feed that has gone back, or has other changes with the same numbers, wakes who waits with an error.

    Later readers of a number that there is not any more are refused; from 0 on they read what is there now.
    """

    async def main() -> None:
        executors = Executors()
        feed = ChangeFeed(writer.records, executors, 1000)
        try:
            await asyncio.to_thread(writer.append, *(change(f"run-{index}") for index in range(3)))
            assert (await feed.read(0)).next == 3
            waiting = asyncio.create_task(feed.wait(3, FOREVER))
            await asyncio.sleep(0)
            await asyncio.to_thread(remake, writer, *(change(f"other-{index}") for index in range(number)))
            with pytest.raises(FeedReplacedError, match="read the runs again, and then the changes from 0 on"):
                await waiting
            if number < 3:
                with pytest.raises(FeedReplacedError, match=f"has the number {number}, and 3 was asked for"):
                    await feed.read(3)
            assert [one.name for one in (await feed.read(0)).changes] == [f"other-{index}" for index in range(number)]
            assert feed.newest == number
        finally:
            await feed.close()
            executors.close()

    asyncio.run(main())
