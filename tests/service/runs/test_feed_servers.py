"""The feed of changes over real servers: who waits is answered, whichever process a change was made through."""

import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from service.database.metadata import open_metadata
from service.security.tokens import new_token
from service.settings import Settings
from tests.support.feed import PATIENCE, Event, FeedWriter, change, get, sqlite_url, stream
from tests.support.servers.connections import QUICK, connect, everything, until
from tests.support.servers.pgbouncer import PgBouncer
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess

LONG = "wait=60"


class Site:
    """Servers over one database, and a writer beside them."""

    def __init__(self, stack: ExitStack, folder: Path, url: str | None, servers: int = 1, **settings: Any) -> None:
        if url is not None:
            settings["database_url"] = url
        self.servers = [
            stack.enter_context(ServerProcess(folder / f"data-{number}", **settings)) for number in range(servers)
        ]
        self.ports = [server.port for server in self.servers]
        self.port = self.ports[0]
        self.writer = stack.enter_context(closing(FeedWriter(url or sqlite_url(folder / "data-0"))))

    def put(self, name: str, value: float = 0.5, server: int = 0, **condition: str) -> None:
        """Create a run through a server, or move it with a condition."""
        body = json.dumps({"spec": {"schedule": {"kind": "Constant", "value": value}, "total_steps": 8}})
        headers = condition or {"If-None-Match": "*"}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.ports[server], timeout=PATIENCE)) as connection:
            connection.request("PUT", f"/v1/runs/team-a/{name}", body, {**headers, "Content-Type": "application/json"})
            response = connection.getresponse()
            assert response.status in (200, 201), response.read()
            response.read()

    def waiting(self, server: int = 0) -> int:
        """How many clients wait at a server."""
        return gauge(self.servers[server], "lrtables_feed_waiting")


def gauge(server: ServerProcess, name: str) -> int:
    """The value of a metric without labels."""
    lines = server.get("/metrics").decode().splitlines()
    return int(float(next(line for line in lines if line.startswith(f"{name} ")).split()[1]))


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """One server over SQLite, then one over PostgreSQL."""
    url = request.getfixturevalue("postgres").emptied_url() if request.param == "postgresql" else None
    with ExitStack() as stack:
        yield Site(stack, tmp_path, url)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for clients that wait."""
    with ThreadPoolExecutor(32) as threads:
        yield threads


def shown(response: tuple[int, Any]) -> tuple[list[int], int]:
    """The numbers of the changes that a response shows, and its `next`."""
    status, body = response
    assert status == 200, body
    return [one["sequence"] for one in body["changes"]], body["next"]


def test_who_waits_is_answered_by_the_next_change(site: Site, pool: ThreadPoolExecutor) -> None:
    """Clients that wait for different runs are each answered by the creation of theirs, in the order of these."""
    names = ["bert", "gpt", "vit"]
    waits = {name: pool.submit(get, site.port, f"/v1/changes?run=team-a/{name}&{LONG}") for name in reversed(names)}
    until(lambda: site.waiting() == 3)
    for number, name in enumerate(names, start=1):
        site.put(name)
        assert shown(waits[name].result(PATIENCE)) == ([number], number)
        assert site.waiting() == len(names) - number


def test_a_change_through_one_server_wakes_who_waits_at_another(
    postgres: PostgresServer, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Two servers over one PostgreSQL: clients of both are answered alike, whichever one the change is made through."""
    with ExitStack() as stack:
        site = Site(stack, tmp_path, postgres.emptied_url(), servers=2)
        for number in range(1, 6):
            waits = [pool.submit(get, port, f"/v1/changes?since={number - 1}&{LONG}") for port in site.ports]
            until(lambda: site.waiting(0) == site.waiting(1) == 1)
            site.put(f"run-{number}", server=number % 2)
            assert [shown(wait.result(PATIENCE)) for wait in waits] == 2 * [([number], number)]


def test_who_is_told_of_a_change_finds_the_run_changed(
    postgres: PostgresServer, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Whoever waits at a server, and then asks it for the run, never gets what it had in memory from before."""
    with ExitStack() as stack:
        site = Site(stack, tmp_path, postgres.emptied_url(), servers=2)
        site.put("bert")
        for version in range(1, 6):
            assert get(site.ports[1], "/v1/runs/team-a/bert")[1]["version"] == version
            wait = pool.submit(get, site.ports[1], f"/v1/changes?since={version}&{LONG}")
            until(lambda: site.waiting(1) == 1)
            site.put("bert", 0.5 / (version + 1), If_Match=f'"v{version}"')
            assert shown(wait.result(PATIENCE)) == ([version + 1], version + 1)


@pytest.mark.needs("pgbouncer")
def test_behind_a_pooler_that_drops_notifications_polling_is_enough(
    postgres: PostgresServer, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Two servers that reach PostgreSQL through a pooler in transaction mode answer who waits all the same."""
    postgres.emptied_url()
    with PgBouncer(postgres) as pooler, ExitStack() as stack:
        site = Site(stack, tmp_path, pooler.url, servers=2)
        for number in range(1, 6):
            waits = [pool.submit(get, port, f"/v1/changes?since={number - 1}&{LONG}") for port in site.ports]
            until(lambda: site.waiting(0) == site.waiting(1) == 1)
            site.writer.append()
            assert [shown(wait.result(PATIENCE)) for wait in waits] == 2 * [([number], number)]


def test_events_come_while_they_happen(site: Site) -> None:
    """A stream sends each change when it is made, and one that is opened later goes on where the reader stopped."""
    with stream(site.port) as events:
        assert next(events) == Event(0, None)
        for number in range(1, 4):
            site.writer.append(change(f"run-{number}"))
            event = next(events)
            assert event.data is not None
            assert (event.id, event.data["sequence"], event.data["name"]) == (number, number, f"run-{number}")
    until(lambda: site.waiting() == 0)
    site.writer.append(change("run-4"))
    with stream(site.port, Last_Event_ID="2") as events:
        assert [next(events).id for _ in range(3)] == [2, 3, 4]


def test_stopping_answers_who_waits_and_ends_streams(site: Site, pool: ThreadPoolExecutor) -> None:
    """At SIGTERM long polls are answered with no changes, streams end as a response should, and the server exits."""
    polls = [pool.submit(get, site.port, f"/v1/changes?{LONG}") for _ in range(5)]
    with stream(site.port) as events, stream(site.port, "?run=team-a/bert") as others:
        assert (next(events), next(others)) == (Event(0, None), Event(0, None))
        until(lambda: site.waiting() == 7)
        site.servers[0].process.send_signal(signal.SIGTERM)
        assert [shown(poll.result(PATIENCE)) for poll in polls] == 5 * [([], 0)]
        assert (list(events), list(others)) == ([], [])  # a response that is cut off raises
    assert site.servers[0].process.wait(PATIENCE) == 0
    assert site.servers[0].log() == ""


def test_the_deadlines_of_connections_do_not_cut_who_waits(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Clients wait for longer than any deadline of a connection, and are answered; an idle connection is closed."""
    with ExitStack() as stack:
        site = Site(stack, tmp_path, None, **QUICK)
        with stream(site.port) as events, connect(site.port) as idle:
            assert next(events) == Event(0, None)
            poll = pool.submit(get, site.port, f"/v1/changes?{LONG}")
            until(lambda: site.waiting() == 2)
            assert everything(idle) == b""
            time.sleep(1.5)  # the longest of the deadlines is 0.8 s
            site.writer.append()
            assert shown(poll.result(PATIENCE)) == ([1], 1)
            assert next(events).id == 1


def test_who_leaves_makes_room(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """With as many waiting as allowed another is told when to come again, unless it need not wait."""
    with ExitStack() as stack:
        site = Site(stack, tmp_path, None, max_waiting=2)
        site.writer.append()
        poll = pool.submit(get, site.port, f"/v1/changes?since=1&{LONG}")
        with stream(site.port) as events:
            assert next(events) == Event(1, None)
            until(lambda: site.waiting() == 2)
            for path in ("/v1/events", "/v1/changes?since=1&wait=1"):
                with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)) as connection:
                    connection.request("GET", path)
                    response = connection.getresponse()
                    problem = json.loads(response.read())
                assert (response.status, response.headers["retry-after"], problem["code"]) == (503, "5", "queue-full")
                assert "max_waiting" in problem["detail"]
            assert shown(get(site.port, f"/v1/changes?{LONG}")) == ([1], 1)
        until(lambda: site.waiting() == 1)
        with stream(site.port) as events:
            assert next(events) == Event(1, None)
        site.writer.append()
        assert shown(poll.result(PATIENCE)) == ([2], 2)


def test_a_client_that_disconnects_no_longer_waits(site: Site) -> None:
    """Long polls and streams whose clients have gone are not counted any more, and leave no error in the log."""
    for path in (f"/v1/changes?{LONG}", "/v1/events"):
        with ExitStack() as stack:
            for _ in range(10):
                connection = stack.enter_context(connect(site.port))
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            until(lambda: site.waiting() == 10)
        until(lambda: site.waiting() == 0)
    assert site.servers[0].stop() == (0, "")


def test_five_hundred_may_wait(site: Site) -> None:
    """500 clients that wait take no thread and little memory each; one change answers them all."""
    server = site.servers[0]
    get(site.port, "/v1/changes?wait=0.01")
    threads, memory = thread_count(server), server.memory()
    with ExitStack() as stack:
        connections = []
        for number in range(500):
            path = "/v1/events" if number % 2 else f"/v1/changes?{LONG}"
            connection = stack.enter_context(connect(site.port))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            connections.append(connection)
        until(lambda: site.waiting() == 500)
        grown = server.memory() - memory
        assert thread_count(server) <= threads + 4  # of the pools that were there before
        assert grown < 500 * 120_000, f"{grown / 500:.0f} bytes each"
        print(f"{grown / 500:.0f} bytes for each client that waits")
        site.writer.append(change("the-one"))
        for connection in connections:
            received = b""
            while b"the-one" not in received:
                piece = connection.recv(2**16)
                assert piece, received
                received += piece


def thread_count(server: ServerProcess) -> int:
    """How many threads a server has."""
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def test_a_reader_that_takes_nothing_is_dropped(tmp_path: Path) -> None:
    """A client that does not read its stream is cut off after send_seconds; meanwhile little is buffered for it."""
    total, readers = 1000, 5
    with ExitStack() as stack:
        site = Site(stack, tmp_path, None, send_seconds=1)
        server = site.servers[0]
        site.writer.append(*(change(author=10_000 * "x") for _ in range(total)))  # 10 MB, beyond the system's buffers
        with stream(site.port, "?since=0&wait=0") as events:
            assert [event.id for event in events] == list(range(total + 1))
        before = server.memory()
        for _ in range(readers):
            stalled = stack.enter_context(connect(site.port, window=4096))
            stalled.sendall(b"GET /v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: f'connections_closed_total{{reason="send"}} {readers}.0' in server.get("/metrics").decode())
        until(lambda: site.waiting() == 0)
        assert server.memory() - before < readers * 5 * 2**20  # each was sent a part of 10 MB


@pytest.mark.slow(16)
def test_a_comment_comes_after_fifteen_seconds(tmp_path: Path) -> None:
    """Where nothing happens, a stream has a comment, and the position stays as it was."""
    with ExitStack() as stack:
        site = Site(stack, tmp_path, None)
        with stream(site.port) as events:
            assert [next(events), next(events)] == [Event(0, None), Event(None, None, is_comment=True)]
            site.writer.append()
            assert next(events).id == 1


@pytest.mark.slow(16)
def test_waiting_ends_with_the_token(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """When a token is revoked its stream ends within seconds, and who waited for longer is refused at the end."""
    token, row = new_token("ours", ("read",), expires_in=3600.0)
    with closing(open_metadata(Settings(data_dir=tmp_path / "data-0"))) as metadata, ExitStack() as stack:
        metadata.tokens.add(row)
        site = Site(stack, tmp_path, None, require_tokens=True)
        bearer = f"Bearer {token}"
        with stream(site.port, Authorization=bearer) as events:
            assert next(events) == Event(0, None)
            poll = pool.submit(get, site.port, "/v1/changes?run=team-b/none&wait=15", Authorization=bearer)
            metadata.tokens.revoke(row.token_id, time.time())
            writing = threading.Event()

            def write() -> None:
                while not writing.wait(0.2):
                    site.writer.append()

            writer = threading.Thread(target=write)
            writer.start()
            try:
                seen = [event.id for event in events]
            finally:
                writing.set()
                writer.join()
        assert seen == list(range(1, len(seen) + 1))
        assert poll.result(PATIENCE)[0] == 401
        assert get(site.port, "/v1/changes", Authorization=bearer)[0] == 401
