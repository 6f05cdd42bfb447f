"""Everything that can fail fails, one after the other, under a real server: no wrong byte, no restart needed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app, open_server
from service.settings import Settings
from service.workers.pool import Workers
from tests.support.faulty_service import Asking, check, spec
from tests.support.servers import faults
from tests.support.servers.faults import Fault, Proxy
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess
from tests.support.servers.s3 import S3Server, environment
from tests.support.servers.small_disk import SmallDisk

Asked = Callable[..., AbstractContextManager[Asking]]


@pytest.fixture
def asked(workers: Workers) -> Asked:
    """A server with one warm table (16 steps), and one that is stored and was forgotten (12 steps)."""

    @contextmanager
    def run(data: Path, **settings: Any) -> Iterator[Asking]:
        app = create_app(open_server(Settings.model_validate({"data_dir": data, **settings}), workers))
        with TestClient(app) as before:
            assert before.post("/v1/tables", json=spec(12)).status_code == 201
        with ServerProcess(data, **settings) as server:
            asking = Asking(server)
            assert asking.make(16)
            assert asking.fetch(16)
            yield asking

    return run


def test_a_full_disk(asked: Asked, disk: SmallDisk) -> None:
    """With no byte left on the disk, what is stored is served and nothing new is made."""
    with asked(disk.directory / "data") as asking:
        check(asking, disk.full(), cold=False, stored=True)


def test_a_read_only_disk(asked: Asked, disk: SmallDisk) -> None:
    """With a disk that takes no writes, what is stored is served and nothing new is made."""
    with asked(disk.directory / "data") as asking:
        check(asking, disk.read_only(), cold=False, stored=True)


@contextmanager
def postgres_stopped(postgres: PostgresServer) -> Iterator[None]:
    """PostgreSQL is stopped, and started again."""
    postgres.stop()
    yield
    postgres.start()


@contextmanager
def postgres_killed(postgres: PostgresServer) -> Iterator[None]:
    """PostgreSQL crashes, and recovers."""
    postgres.kill()
    yield
    postgres.start()


@contextmanager
def postgres_hung(postgres: PostgresServer) -> Iterator[None]:
    """PostgreSQL stands still, and goes on."""
    postgres.pause()
    yield
    postgres.resume()


@pytest.mark.parametrize("fault", [postgres_stopped, postgres_killed, postgres_hung])
def test_a_database_that_is_away(
    asked: Asked,
    fragile_postgres: PostgresServer,
    tmp_path: Path,
    fault: Callable[[PostgresServer], AbstractContextManager[None]],
) -> None:
    """While PostgreSQL is stopped, crashed or hung, tables that are stored are served, and nothing new is made."""
    url = fragile_postgres.emptied_url()
    with asked(tmp_path / "data", database_url=url, database_seconds=2) as asking:
        check(asking, fault(fragile_postgres), cold=False, stored=True)


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server to be stopped."""
    with S3Server(tmp_path / "s3") as server:
        yield server


@contextmanager
def s3_stopped(server: S3Server) -> Iterator[None]:
    """The S3 server is stopped, and started again."""
    server.stop()
    yield
    server.start()


@contextmanager
def s3_hung(server: S3Server) -> Iterator[None]:
    """The S3 server stands still, and goes on."""
    server.pause()
    yield
    server.resume()


@pytest.mark.slow(15)
@pytest.mark.parametrize("fault", [s3_stopped, s3_hung])
def test_a_store_that_is_away(
    asked: Asked,
    own_s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[S3Server], AbstractContextManager[None]],
) -> None:
    """While the S3 server is stopped or hung, warm tables are served."""
    for name, value in own_s3.environment.items():
        monkeypatch.setenv(name, value)
    with asked(tmp_path / "data", store_url=own_s3.new_url(), store_seconds=2) as asking:
        check(asking, fault(own_s3), cold=False, stored=False)


@pytest.mark.parametrize(
    "fault",
    [faults.hung, faults.slow(100), faults.cut(60), faults.flipped, faults.shortened, faults.failing],
    ids=["hung", "slow", "cut", "flipped", "shortened", "failing"],
)
def test_a_store_that_answers_wrongly(
    asked: Asked, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Whatever becomes of the S3 server's answers on their way, no wrong byte is served, and it passes."""
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(s3_server.port))
        for name, value in environment(proxy.port).items():
            monkeypatch.setenv(name, value)
        settings = {"store_url": s3_server.new_url(), "store_seconds": 2}
        asking = stack.enter_context(asked(tmp_path / "data", **settings))
        check(asking, proxy.faulty(fault), cold=True, stored=True)
