"""The feed of changes through nginx, as deploy/ has it: nothing is held back, and nothing is kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.support.feed import PATIENCE, Event, FeedWriter, get, stream
from tests.support.servers.connections import until
from tests.support.servers.deployment import ask, configured
from tests.support.servers.nginx import NginxProcess, free_port
from tests.support.servers.postgres import PostgresServer, is_installed
from tests.support.servers.process import ServerProcess

pytestmark = [
    pytest.mark.needs("nginx"),
    pytest.mark.skipif(not is_installed(), reason="needs PostgreSQL's server, which this machine lacks"),
]


class Site:
    """Two servers over one PostgreSQL behind nginx, and a writer beside them."""

    def __init__(self, stack: ExitStack, folder: Path, url: str) -> None:
        self.servers = [
            stack.enter_context(ServerProcess(folder / f"data-{number}", database_url=url)) for number in range(2)
        ]
        self.port = free_port()
        stack.enter_context(
            NginxProcess(configured(folder / "nginx", [one.port for one in self.servers], self.port), self.port)
        )
        self.writer = stack.enter_context(closing(FeedWriter(url)))

    def waiting(self) -> list[int]:
        """How many clients wait at each server that runs."""
        running = [server for server in self.servers if server.process.poll() is None]
        return [
            int(float(line.split()[1]))
            for server in running
            for line in server.get("/metrics").decode().splitlines()
            if line.startswith("lrtables_feed_waiting ")
        ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with an empty database of its own."""
    with PostgresServer() as postgres, ExitStack() as stack:
        yield Site(stack, tmp_path, postgres.url())


def test_events_are_passed_on_as_they_come(site: Site) -> None:
    """Each event reaches the client while the stream is open, before there is another one."""
    with stream(site.port) as events:
        assert next(events) == Event(0, None)
        for number in range(1, 4):
            site.writer.append()
            assert next(events).id == number


def test_who_waits_is_answered_when_a_server_stops(site: Site) -> None:
    """Long polls get a response, and streams an end, from a server that stops; the next ones go to the other server."""
    with ThreadPoolExecutor(8) as pool, stream(site.port) as one, stream(site.port) as other:
        assert (next(one), next(other)) == (Event(0, None), Event(0, None))
        polls = [pool.submit(get, site.port, "/v1/changes?since=0&wait=60") for _ in range(6)]
        until(lambda: sum(site.waiting()) == 8)
        assert site.servers[0].stop() == (0, "")
        site.writer.append()
        found = [poll.result(PATIENCE) for poll in polls]
        assert {status for status, _ in found} == {200}
        assert {body["next"] for _, body in found} <= {0, 1}
        assert {event and event.id for event in (next(one, None), next(other, None))} <= {None, 1}
        assert get(site.port, "/v1/changes?since=0")[1]["next"] == 1


def test_nothing_of_the_feed_is_kept(site: Site) -> None:
    """The same request gets what is new each time, and no response comes from nginx's cache."""
    for number in range(3):
        response = ask(site.port, "GET", "/v1/changes?since=0")
        assert (response.status, response.cache) == (200, "")
        assert response.body.endswith(b'"next":%d}' % number)
        site.writer.append()
