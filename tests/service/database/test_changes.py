"""The feed of changes in the database, and PostgreSQL's notifications of it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from service.database.changes import CHANNEL
from service.database.drivers.deadline import deadline
from service.database.drivers.postgres import connect
from service.database.metadata import Metadata
from tests.service.conftest import OpenDatabase
from tests.support.feed import PATIENCE, FeedWriter, change
from tests.support.servers.pgbouncer import PgBouncer
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def writer(metadata: Metadata, database_url: str) -> Iterator[FeedWriter]:
    """The feed in an empty database, in turn of either kind."""
    with closing(FeedWriter(database_url)) as found:
        yield found


def test_changes_are_numbered_and_kept(metadata: Metadata, writer: FeedWriter) -> None:
    """Changes get the numbers 1, 2, ... whatever `sequence` they had, and are read as they were appended."""
    assert (metadata.changes.newest(), metadata.changes.since(0)) == (None, [])
    assert writer.append(change("a"), change("b", "team-b", "me")) == 2
    assert metadata.changes.newest() == metadata.changes.since(1)[0]
    found = metadata.changes.since(0)
    assert [(one.sequence, one.namespace, one.name, one.author) for one in found] == [
        (1, "team-a", "a", ""),
        (2, "team-b", "b", "me"),
    ]
    assert metadata.changes.since(1) == found[1:]


async def heard(writer: FeedWriter, count: int, do: Callable[[int], object]) -> int:
    """How often a listener heard something until it had done so `count` times, each time after which `do` is called."""
    hints = 0
    woken = asyncio.Event()

    def hint() -> None:
        nonlocal hints
        hints += 1
        woken.set()

    listening = asyncio.create_task(writer.records.listen(hint))
    try:
        for turn in range(count):
            async with asyncio.timeout(PATIENCE):
                await woken.wait()
            woken.clear()
            await asyncio.to_thread(do, turn)
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
    return hints


def test_postgresql_notifies_of_each_commit(postgres: PostgresServer, open_database: OpenDatabase) -> None:
    """A listener hears when it has connected, and then of every transaction that appends a change."""
    url = postgres.emptied_url()
    open_database(url)
    with closing(FeedWriter(url)) as listener, closing(FeedWriter(url)) as other:
        assert asyncio.run(heard(listener, 6, lambda _: other.append())) >= 6
        assert [one.sequence for one in other.records.since(5)] == [6]


def test_a_listener_connects_again(fragile_postgres: PostgresServer, open_database: OpenDatabase) -> None:
    """After a restart of PostgreSQL a listener hears that it has connected, and then of commits as before."""
    url = fragile_postgres.emptied_url()
    open_database(url)

    def do(turn: int) -> None:
        if turn == 2:
            fragile_postgres.kill()
            fragile_postgres.start()
        else:
            append_again(other)

    with closing(FeedWriter(url)) as listener, closing(FeedWriter(url)) as other:
        asyncio.run(heard(listener, 6, do))


def append_again(writer: FeedWriter) -> None:
    """Append a change; connections that were cut fail first."""
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            writer.append()
        except Exception:
            if time.monotonic() > limit:
                raise
        else:
            return


def test_sqlite_has_nothing_to_listen_to(open_database: OpenDatabase, tmp_path: object) -> None:
    """On SQLite listening ends at once."""
    url = f"sqlite:///{tmp_path}/metadata.sqlite"
    open_database(url)
    with closing(FeedWriter(url)) as writer:
        asyncio.run(asyncio.wait_for(writer.records.listen(lambda: None), PATIENCE))


@pytest.mark.needs("pgbouncer")
def test_a_pooler_does_no_harm(postgres: PostgresServer, open_database: OpenDatabase) -> None:
    """Through a pooler that shares sessions, listening stays quiet or not, and nobody's statements are disturbed.

    The session that has listened is handed to others, which are sent notifications that they never asked for.
    """
    postgres.emptied_url()
    with PgBouncer(postgres) as pooler:
        open_database(pooler.url)
        with closing(FeedWriter(pooler.url)) as listener, closing(FeedWriter(pooler.url)) as other:
            assert asyncio.run(heard(listener, 1, lambda _: [other.append() for _ in range(50)])) >= 1
            assert [one.sequence for one in listener.records.since(49)] == [50]
            assert [one.sequence for one in other.records.since(0)] == list(range(1, 51))


def test_notifications_that_nobody_asked_for_are_dropped(postgres: PostgresServer, open_database: OpenDatabase) -> None:
    """A connection in a session that listens, as a pooler may hand it out, collects no notifications."""
    url = postgres.emptied_url()
    open_database(url)
    with closing(FeedWriter(url)) as other, connect(url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}".encode())
        for _ in range(3):
            other.append()
        connection.execute("SELECT 1")
        with deadline(0.1), pytest.warns(RuntimeWarning, match="together with notifies handlers"):
            assert list(connection.notifies(timeout=0)) == []
