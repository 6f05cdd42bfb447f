"""What the service's tests share: an application in this process, and a real server in another."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine, text
from starlette.testclient import TestClient

from service.app import create_app, open_server
from service.database.metadata import Metadata, open_metadata
from service.settings import Settings
from service.workers.pool import Workers
from tests.support.servers.postgres import PostgresServer, is_installed
from tests.support.servers.process import ServerProcess
from tests.support.servers.s3 import S3Server

MakeClient = Callable[..., TestClient]
OpenDatabase = Callable[..., Metadata]
Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]


class SharedWorkers(Workers):
    """Worker processes that outlive the servers which use them: starting one takes half a second of a core."""

    def close(self) -> None:
        """Keep them for the next server."""


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Worker processes for all tests of the session that need no more than one."""
    shared = SharedWorkers()
    yield shared
    Workers.close(shared)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the metadata's tables, and no rows: a copy takes a tenth of the time that migrations take."""
    folder = tmp_path_factory.mktemp("migrated")
    open_metadata(Settings(data_dir=folder)).close()
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def make_client(tmp_path: Path, workers: Workers, migrated_file: Path) -> Iterator[MakeClient]:
    """Make a client of a new application with these settings; the last one is shut down when the next is made."""
    open_clients: list[TestClient] = []
    data_dir = tmp_path / "data"

    def close() -> None:
        while open_clients:
            open_clients.pop().__exit__(None, None, None)

    def make(**settings: Any) -> TestClient:
        close()
        if not data_dir.exists():
            data_dir.mkdir(0o700)
            shutil.copy(migrated_file, data_dir)
        server = open_server(Settings(data_dir=data_dir, **settings), workers)
        client = TestClient(create_app(server))
        open_clients.append(client.__enter__())
        return client

    yield make
    close()


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """A client of an application with default settings and an empty data directory."""
    return make_client()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A real server with an empty data directory."""
    with ServerProcess(tmp_path / "data") as running:
        yield running


@pytest.fixture
def spec() -> dict[str, Any]:
    """A small spec."""
    schedule = {"kind": "custom.WarmupWithDecay", "base_lr": 0.5, "warmup_steps": 4, "total_steps": 16}
    return {"schedule": schedule, "total_steps": 16}


@pytest.fixture
def grouped_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A small spec with two parameter groups."""
    return {**spec, "schedule": [spec["schedule"], {"kind": "custom.LinearWarmup", "base_lr": 1.0, "warmup_steps": 8}]}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, for the tests of the session that need one."""
    if not is_installed():
        pytest.skip("needs PostgreSQL's server, which this machine lacks")
    with PostgresServer() as running:
        yield running


@pytest.fixture
def fragile_postgres(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The same server, for a test that stops, kills or freezes it: it runs again afterwards."""
    yield postgres
    postgres.resume()
    if not postgres.is_running:
        postgres.start()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server. Whoever stops it starts it again."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_variables(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The S3 server in this process's environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database: in turn of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.emptied_url()


@pytest.fixture
def open_database() -> Iterator[OpenDatabase]:
    """Open the metadata in the database at an address; they are closed after the test.

    A database that works is given a minute for a response, for the machine may be busy.
    """
    with ExitStack() as stack:

        def open_(url: str, seconds: float = 60.0) -> Metadata:
            settings = Settings(database_url=SecretStr(url), database_seconds=seconds)
            return stack.enter_context(closing(open_metadata(settings)))

        yield open_


@pytest.fixture
def metadata(open_database: OpenDatabase, database_url: str, migrated_file: Path) -> Metadata:
    """Metadata without rows: in turn in either kind of database."""
    if database_url.startswith("sqlite:"):
        shutil.copy(migrated_file, database_url.removeprefix("sqlite:///"))
    return open_database(database_url)


@pytest.fixture
def execute(database_url: str) -> Execute:
    """Run a statement behind the metadata's back; what is returned is the rows that it finds."""
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)

    def run(statement: str, values: Any = None) -> list[dict[str, Any]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return [row._asdict() for row in result] if result.returns_rows else []

    return run


@pytest.fixture
def at_once() -> AtOnce:
    """What a function returns for 0, 1, ..., begun in as many threads at the same moment."""

    def run(count: int, work: Callable[[int], str]) -> list[str]:
        barrier = threading.Barrier(count)

        def begin(number: int) -> str:
            barrier.wait()
            return work(number)

        with ThreadPoolExecutor(count) as executors:
            return list(executors.map(begin, range(count)))

    return run
