"""PostgreSQL that stops, hangs and comes back."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from service.database.checked_table import CheckedTable
from service.database.database import Database
from service.database.drivers.engine import parse_url
from service.database.metadata import Metadata
from service.database.schema import SPECS
from service.database.tables import SpecRow
from service.errors import DatabaseError
from tests.support.servers.postgres import PostgresServer

OpenDatabase = Callable[..., Metadata]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

_SPEC = '{"schedule":{},"total_steps":3}'
_TIMEOUT = 2.0  # seconds for a database that does not work; the driver waits no less for a connection


def _digest(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    return postgres.emptied_url()


@pytest.fixture
def short_timeout(open_database: OpenDatabase, database_url: str, at_once: AtOnce) -> Metadata:
    """Metadata with a short time-out: `_digest(1)` recorded for `s`, and four connections open."""
    metadata = open_database(database_url, _TIMEOUT)
    at_once(4, lambda _: metadata.tables.record("s", _SPEC, _digest(1), 24))
    return metadata


def test_a_server_that_is_stopped_is_an_error(
    short_timeout: Metadata, fragile_postgres: PostgresServer, at_once: AtOnce
) -> None:
    """Without a server every call raises; with it again every call succeeds, over connections of the same pool."""
    fragile_postgres.stop()
    assert all("Connection refused" in message for message in _failures(short_timeout, at_once))
    fragile_postgres.start()
    _assert_works(short_timeout)


def test_a_server_that_was_restarted_is_not_noticed(short_timeout: Metadata, fragile_postgres: PostgresServer) -> None:
    """Connections that a restart has closed are replaced before they are used."""
    fragile_postgres.kill()
    fragile_postgres.start()
    _assert_works(short_timeout)


def test_a_server_that_hangs_is_an_error_in_time(
    short_timeout: Metadata, fragile_postgres: PostgresServer, at_once: AtOnce
) -> None:
    """A call to a server that does not answer ends at its time-out, over old and new connections."""
    fragile_postgres.pause()
    for _ in range(2):
        begun = time.monotonic()
        assert set(_failures(short_timeout, at_once)) == {"the database gave no response within 2 seconds"}
        assert time.monotonic() - begun < 5 * _TIMEOUT
    fragile_postgres.resume()
    _assert_works(short_timeout)


def test_a_server_that_hangs_in_a_call_is_an_error_in_time(
    short_timeout: Metadata, fragile_postgres: PostgresServer, at_once: AtOnce
) -> None:
    """Calls that are running when the server freezes end too, and no row is damaged."""
    done = threading.Event()

    def ask(number: int) -> str:
        while not done.is_set():
            try:
                short_timeout.tables.record(f"t{number}", _SPEC, _digest(number), 24)
            except DatabaseError:
                return "failed"
        return "worked"

    freeze = threading.Timer(0.3, fragile_postgres.pause)
    freeze.start()
    watchdog = threading.Timer(60, done.set)
    watchdog.start()
    assert at_once(8, ask) == ["failed"] * 8
    watchdog.cancel()
    fragile_postgres.resume()
    _assert_works(short_timeout)
    assert list(short_timeout.verify_rows()) == []


@pytest.mark.slow
def test_a_frozen_process_of_ours_lets_go(short_timeout: Metadata, database_url: str) -> None:
    """A transaction whose process does not go on blocks others for ten times its time-out, and is rolled back."""
    with closing(Database(parse_url(database_url), 1.0)) as frozen:
        rows = _frozen(frozen)
        next(rows)
        with pytest.raises(DatabaseError, match="gave no response"):
            short_timeout.tables.record("f", _SPEC, _digest(2), 24)
        _until(lambda: short_timeout.tables.record("f", _SPEC, _digest(2), 24) == _digest(2))
        with pytest.raises(DatabaseError, match="the database"):
            next(rows)
    assert short_timeout.tables.digest_of("f") == _digest(2)


def test_the_socket_works_as_the_port_does(
    open_database: OpenDatabase, database_url: str, postgres: PostgresServer
) -> None:
    """PostgreSQL is reached through a socket too, and the address that is shown is without options."""
    metadata = open_database(postgres.socket_url(database_url.rpartition("/")[2]))
    assert metadata.tables.record("s", _SPEC, _digest(1), 24) == _digest(1)
    assert "?" not in metadata.url


def _frozen(database: Database) -> Iterator[None]:
    """A transaction that has written a row, and does not go on until it is told to."""
    specs = CheckedTable(database, SPECS, SpecRow, lambda _: "drop")
    with database.transaction("write") as connection:
        specs.insert(connection, SpecRow("f", "{}", "d", 1.5))
        yield


def _failures(metadata: Metadata, at_once: AtOnce) -> list[str]:
    """What each of several calls, made at once, says when it fails."""
    calls: list[Callable[[], object]] = [
        metadata.check,
        metadata.status,
        lambda: metadata.tables.digest_of("s"),
        lambda: metadata.tables.record("t", _SPEC, _digest(2), 24),
        lambda: list(metadata.tables.every_table()),
    ]

    def call(number: int) -> str:
        with pytest.raises(DatabaseError, match="the database") as failed:
            calls[number]()
        return str(failed.value)

    return at_once(len(calls), call)


def _assert_works(metadata: Metadata) -> None:
    """More than once: there are several connections in the pool."""
    assert [metadata.tables.digest_of("s") for _ in range(8)] == [_digest(1)] * 8
    assert metadata.tables.record("t", _SPEC, _digest(2), 24) == _digest(2)


def _until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        try:
            if condition():
                return
        except DatabaseError:
            pass
    pytest.fail("it never came to pass")


def test_no_password_is_shown(fragile_postgres: PostgresServer) -> None:
    """Neither the address, nor what stands for the metadata, nor any error has the password in it."""
    wrong = fragile_postgres.url("postgres").replace(fragile_postgres.password, "se%40cret/wrong")
    with closing(Metadata(wrong, timeout_seconds=_TIMEOUT)) as metadata:
        shown = [metadata.url, repr(metadata), str(vars(metadata)), _failure(metadata)]
        fragile_postgres.stop()
        shown.append(_failure(metadata))
    assert "authentication failed" in shown[3]
    assert "Connection refused" in shown[4]
    assert metadata.url == f"postgresql://lrtables:***@127.0.0.1:{fragile_postgres.port}/postgres"
    assert not [text for text in shown if "cret" in text or fragile_postgres.password in text]


def _failure(metadata: Metadata) -> str:
    with pytest.raises(DatabaseError, match="the database") as failed:
        metadata.check()
    return "".join(traceback.format_exception(failed.value))
