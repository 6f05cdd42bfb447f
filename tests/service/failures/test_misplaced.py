"""A data directory whose parts are removed, replaced or no files, under a real server: nothing waits or is lost."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.service.conftest import MakeClient
from tests.support.faulty_service import Asking, check, spec, table
from tests.support.servers.process import ServerProcess

Fault = Callable[[Path], AbstractContextManager[None]]
DATABASE = "metadata.sqlite"


def table_file(data: Path, steps: int) -> Path:
    """Where the table of a spec lies."""
    digest = table(steps).digest
    return data / "tables" / digest[:2] / f"{digest}.safetensors"


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("")


def make_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as bound:
        before = Path.cwd()
        os.chdir(path.parent)  # such an address may not be long
        try:
            bound.bind(path.name)
        finally:
            os.chdir(before)


STRANGE: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "directory": make_directory,
    "link in a circle": lambda path: path.symlink_to(path),
    "link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "socket": make_socket,
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with tables of 1 to 12 steps."""
    data = tmp_path_factory.mktemp("filled") / "data"
    with ServerProcess(data) as server:
        assert all(map(Asking(server).make, range(1, 13)))
        server.stop()
    return data


@pytest.fixture
def served(filled: Path, tmp_path: Path) -> Iterator[tuple[ServerProcess, Path]]:
    """A server with a warm table of 16 steps, and others that are stored and were forgotten; and its directory."""
    data = shutil.copytree(filled, tmp_path / "data")
    with ServerProcess(data, drain_seconds=3) as server:
        assert Asking(server).make(16)
        yield server, data


def test_what_is_no_file_is_a_damaged_table(served: tuple[ServerProcess, Path]) -> None:
    """Nothing waits for it to be fed, or reads it for ever: it is named, set aside, and the table is made anew."""
    server, data = served
    for steps, (name, make) in enumerate(STRANGE.items(), start=1):
        file = table_file(data, steps)
        file.unlink()
        make(file)
        assert Asking(server).fetch(steps), name
        assert file.is_file(), name
    status, said = server.stop()
    assert status == 0
    for steps, name in enumerate(STRANGE, start=1):
        assert f"the stored table {table(steps).digest} is damaged" in said, name
        assert name == "link to nothing" or f"{table(steps).digest}.safetensors is a" in said, name


def test_a_temporary_folder_that_is_gone_is_made_anew(served: tuple[ServerProcess, Path]) -> None:
    """Where it was removed, the next table is stored all the same."""
    server, data = served
    shutil.rmtree(data / "tmp")
    assert Asking(server).parts()["store"] == "ok"
    assert Asking(server).make(20)


@contextmanager
def moved(data: Path) -> Iterator[None]:
    """The whole directory is elsewhere, and another is there, as when a disk is not mounted."""
    data.rename(data.with_name("away"))
    data.mkdir()
    yield
    shutil.rmtree(data)
    data.with_name("away").rename(data)


@contextmanager
def gone(data: Path) -> Iterator[None]:
    """The whole directory is elsewhere, and nothing is there."""
    data.rename(data.with_name("away"))
    yield
    data.with_name("away").rename(data)


@contextmanager
def copied(data: Path) -> Iterator[None]:
    """The whole directory is lost, and a copy of it is put back."""
    shutil.copytree(data, data.with_name("copy"))
    shutil.rmtree(data)
    yield
    data.with_name("copy").rename(data)


@contextmanager
def without_database(data: Path) -> Iterator[None]:
    """SQLite's file is elsewhere."""
    (data / DATABASE).rename(data / "elsewhere")
    yield
    (data / "elsewhere").rename(data / DATABASE)


@contextmanager
def restored_database(data: Path) -> Iterator[None]:
    """SQLite's files are lost, and a copy is put in their place."""
    with closing(sqlite3.connect(data / DATABASE)) as source, closing(sqlite3.connect(data / "copy")) as copy:
        source.backup(copy)
    for file in data.glob(f"{DATABASE}*"):
        file.unlink()
    yield
    (data / "copy").rename(data / DATABASE)


@contextmanager
def empty_database(data: Path) -> Iterator[None]:
    """In the place of SQLite's file is an empty one."""
    (data / DATABASE).rename(data / "elsewhere")
    (data / DATABASE).touch()
    yield
    (data / "elsewhere").rename(data / DATABASE)


@contextmanager
def fifo_database(data: Path) -> Iterator[None]:
    """In the place of SQLite's file is a FIFO."""
    (data / DATABASE).rename(data / "elsewhere")
    os.mkfifo(data / DATABASE)
    yield
    (data / "elsewhere").replace(data / DATABASE)


NAMED: dict[Fault, str] = {
    moved: "the data directory was removed, or is not mounted",
    gone: "the data directory was removed, or is not mounted",
    copied: "the data directory was put back, and is locked again",
    without_database: "No such file or directory",
    restored_database: "No such file or directory",
    empty_database: "was replaced, and",
    fifo_database: "is a FIFO, no file",
}


def check_kept(client: TestClient, made: list[int]) -> None:
    """An application over the same directory has each of these tables, and computes none."""
    for steps in made:
        manifest = client.post("/v1/tables", json=spec(steps)).json()
        assert manifest["digest"] == table(steps).digest
        assert client.get(manifest["links"]["safetensors"]).content == table(steps).to_bytes()
    assert client.get("/v1/server").json()["counters"]["computations"] == 0


@pytest.mark.parametrize("fault", NAMED, ids=lambda fault: fault.__name__)
def test_nothing_is_acknowledged_that_nobody_finds(
    served: tuple[ServerProcess, Path], fault: Fault, make_client: MakeClient
) -> None:
    """While the directory or the database is not the one that was opened, warm tables are served and nothing is made.

    It passes with its cause, and what is acknowledged then outlives a SIGKILL.
    """
    server, data = served
    asking = Asking(server)
    has_store = fault not in (moved, gone, copied)

    @contextmanager
    def watched() -> Iterator[None]:
        with fault(data):
            yield
            parts = asking.parts()
            assert (parts["database"] == "ok", parts["store"] == "ok") == (False, has_store), parts

    check(asking, watched(), cold=False, stored=has_store)
    assert set(asking.parts().values()) == {"ok"}
    assert NAMED[fault] in server.log()
    assert asking.make(24)
    server.kill()
    check_kept(make_client(), made=[16, 24])


@pytest.mark.parametrize("fault", [gone, fifo_database], ids=lambda fault: fault.__name__)
def test_the_server_can_be_stopped_meanwhile(served: tuple[ServerProcess, Path], fault: Fault) -> None:
    """SIGTERM ends a server whose store or database is not there."""
    server, data = served
    with fault(data):
        assert not Asking(server).make(20)
        assert server.stop()[0] == 0


def test_a_log_of_writes_that_was_removed_loses_nothing(
    served: tuple[ServerProcess, Path], make_client: MakeClient
) -> None:
    """Whatever is acknowledged after SQLite's log, or the file with its locks, was removed is there after a SIGKILL."""
    server, data = served
    made: list[int] = []
    for ending, lengths in (("wal", range(30, 36)), ("shm", range(36, 42))):
        (data / f"{DATABASE}-{ending}").unlink()
        made += [steps for steps in lengths if Asking(server).make(steps)]
        assert set(made) & set(lengths)
    server.kill()
    check_kept(make_client(), made)
