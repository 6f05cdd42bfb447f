"""The feed of changes while servers and PostgreSQL are stopped, killed and started again under its readers."""

import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from service.errors import DatabaseError
from tests.service.conftest import OpenDatabase
from tests.support.feed import PATIENCE, FeedWriter, change, get, stream
from tests.support.servers.connections import until
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess

pytestmark = [pytest.mark.slow(15), pytest.mark.timeout(400)]

STEP = 15  # changes from one failure to the next
CUT = (OSError, http.client.HTTPException, ValueError)  # of a request whose server went away


class Servers:
    """Two servers over one PostgreSQL. They are started again on other ports."""

    def __init__(self, stack: ExitStack, folder: Path, url: str) -> None:
        self._stack = stack
        self._folder = folder
        self._settings: dict[str, Any] = {"database_url": url, "database_seconds": 2}
        self.running = [self._start(number) for number in range(2)]

    def _start(self, number: int) -> ServerProcess:
        return self._stack.enter_context(ServerProcess(self._folder / f"data-{number}", **self._settings))

    def restart(self, number: int, *, kill: bool = False) -> None:
        """Stop a server, or kill it, and start it again."""
        if kill:
            self.running[number].kill()
        else:
            assert self.running[number].stop()[0] == 0
        self.running[number] = self._start(number)

    def port(self, number: int) -> int:
        """The port of a server as it runs now."""
        return self.running[number].port


class Reader:
    """A reader of the feed. `seen` is every number that it was given, in that order.

    Args:
        port: of its server, now.
        is_done: whether it has seen enough, by the number that it saw last.
    """

    def __init__(self, port: Callable[[], int], is_done: Callable[[int], bool]) -> None:
        self.seen: list[int] = []
        self._port = port
        self._is_done = is_done

    def poll(self) -> None:
        """Read by long polls, each from where the last one ended."""
        position = 0
        while not self._is_done(position):
            with suppress(*CUT):
                status, body = get(self._port(), f"/v1/changes?since={position}&wait=3")
                assert status in (200, 503), body
                if status == 200:
                    self.seen += [one["sequence"] for one in body["changes"]]
                    position = body["next"]

    def listen(self) -> None:
        """Read events; where the stream ends or is cut off, open another one, as a browser does."""
        position = 0
        while not self._is_done(position):
            with suppress(*CUT), stream(self._port(), "?wait=3", Last_Event_ID=str(position)) as events:
                for event in events:
                    if event.data is not None:
                        self.seen.append(event.data["sequence"])
                        assert event.id == event.data["sequence"]
                    position = event.id or position


@pytest.fixture
def writer(fragile_postgres: PostgresServer, open_database: OpenDatabase) -> Iterator[FeedWriter]:
    """The feed in a PostgreSQL that may be stopped."""
    url = fragile_postgres.emptied_url()
    open_database(url)
    with closing(FeedWriter(url)) as found:
        yield found


def test_every_reader_sees_every_change_once_through_restarts(
    fragile_postgres: PostgresServer, writer: FeedWriter, tmp_path: Path
) -> None:
    """Three writers append without a pause while PostgreSQL and a server are stopped and killed in turn.

    Readers by long poll and by events, at both servers, see 1, 2, 3, ... up to the last: none is lost, doubled or out
    of order, and none is there twice.
    """
    url = fragile_postgres.url("postgres")
    stopped = threading.Event()
    target: list[int] = []

    def write(number: int) -> None:
        while not stopped.wait(0.02):
            with suppress(DatabaseError):
                writer.append(*(change(f"run-{number}") for _ in range(number + 1)))

    def grown() -> None:
        """Wait until there are more changes."""
        before = last(writer)
        until(lambda: last(writer) >= before + STEP)

    with ExitStack() as stack, ThreadPoolExecutor(16) as pool:
        servers = Servers(stack, tmp_path, url)

        def is_done(position: int) -> bool:
            return bool(target) and position >= target[0]

        def port_of(number: int) -> Callable[[], int]:
            return lambda: servers.port(number)

        readers = [Reader(port_of(number % 2), is_done) for number in range(8)]
        reading = [pool.submit(one.poll if number < 4 else one.listen) for number, one in enumerate(readers)]
        writing = [pool.submit(write, number) for number in range(3)]
        try:
            grown()
            fragile_postgres.kill()
            fragile_postgres.start()
            grown()
            servers.restart(0)
            grown()
            servers.restart(1, kill=True)
            grown()
            fragile_postgres.stop()
            fragile_postgres.start()
            grown()
        finally:
            stopped.set()
        for one in writing:
            one.result(PATIENCE)
        target.append(last(writer))
        for one in reading:
            one.result(PATIENCE)
    assert target[0] >= 5 * STEP
    for reader in readers:
        assert reader.seen == list(range(1, target[0] + 1))
    assert list(writer.records.problems()) == []


def last(writer: FeedWriter) -> int:
    """The number of the newest change, or 0 while the database is away."""
    with suppress(DatabaseError):
        newest = writer.records.newest()
        return 0 if newest is None else newest.sequence
    return 0
