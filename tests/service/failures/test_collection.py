"""`gc` while servers store tables: what a server has acknowledged is never removed."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import combinations, cycle
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from scheduler import Table
from service.app import create_app, open_server
from service.database.metadata import Metadata, open_metadata
from service.database.tables import PendingDeletionError
from service.errors import StorageError
from service.operations.maintenance import garbage, remove
from service.settings import Settings
from service.storage.local import LocalStore
from service.storage.store import ObjectStore
from service.tables.repository import TableFiles, table_key
from tests.support.servers.s3 import S3Server

KEPT, ORPHAN = Table({"lr": [0.5]}), Table({"lr": [0.25]})
KEY = table_key(ORPHAN.digest)
HEADERS = {"content-type": "application/vnd.safetensors"}


@pytest.fixture
def store(tmp_path: Path, metadata: Metadata) -> Iterator[ObjectStore]:
    """A store with a table that has a row, and an old one that has none."""
    with closing(LocalStore(tmp_path / "data")) as store:
        store.put(table_key(KEPT.digest), KEPT.parts())
        metadata.tables.publish(KEPT.digest, KEPT.nbytes, None)
        make_orphan(store)
        yield store


def make_orphan(store: LocalStore) -> None:
    """Write the table, two hours ago."""
    store.put(KEY, ORPHAN.parts())
    os.utime(store.directory / KEY, (0, (store.directory / KEY).stat().st_mtime - 7200))


def publishing(files: TableFiles, metadata: Metadata) -> Iterator[None]:
    """The steps in which a server publishes the table, one after another; then it answers 201."""
    while True:
        files.write(ORPHAN)
        yield
        try:
            metadata.tables.publish(ORPHAN.digest, ORPHAN.nbytes, None)
        except PendingDeletionError:
            continue
        return


def collecting(store: ObjectStore, metadata: Metadata) -> Iterator[None]:
    """The steps in which `gc` removes the table: look-up, mark, deletion."""
    keys = [key for key, _ in garbage(store, metadata)]
    yield
    for key in keys:
        digest = Path(key).stem
        marked = metadata.tables.mark_for_deletion(digest)
        yield
        if marked:
            metadata.tables.delete_marked(digest, partial(store.delete, key))


@pytest.mark.parametrize("servers", [1, 2])
def test_no_order_of_steps_loses_an_acknowledged_table(
    store: LocalStore, metadata: Metadata, tmp_path: Path, servers: int
) -> None:
    """However the steps of `gc` and of servers that publish the same table alternate, its file is there at the end."""
    files = TableFiles(store)
    for order in orders(servers):
        running = [collecting(store, metadata), *(publishing(files, metadata) for _ in range(servers))]
        for number in order:
            next(running[number], None)
        for each in running:
            assert len(list(each)) < 3
        assert metadata.tables.has_table(ORPHAN.digest)
        assert bytes(store.get(KEY) or b"") == ORPHAN.to_bytes(), order
        assert list(collecting(store, metadata)) == [None]
        metadata.tables.delete(ORPHAN.digest)
        metadata.tables.clear_marks(float("inf"))
        store.delete(KEY)
        make_orphan(store)


def orders(servers: int) -> list[list[int]]:
    """Orders of the three steps of `gc`, number 0, and two steps of each server, which take turns."""
    total = 3 + 2 * servers
    found = []
    for places in combinations(range(total), 3):
        turns = cycle(range(1, servers + 1))
        found.append([0 if place in places else next(turns) for place in range(total)])
    return found


def test_nobody_names_a_table_while_it_is_removed(store: ObjectStore, metadata: Metadata) -> None:
    """A server that records a table during its deletion waits for the end, and is told that the file may be gone."""
    told: list[type[Exception]] = []

    def publish() -> None:
        try:
            metadata.tables.publish(ORPHAN.digest, ORPHAN.nbytes, None)
        except PendingDeletionError as error:
            told.append(type(error))

    server = threading.Thread(target=publish)

    def delete() -> None:
        server.start()
        server.join(0.2)
        assert server.is_alive()
        store.delete(KEY)

    assert metadata.tables.mark_for_deletion(ORPHAN.digest)
    assert metadata.tables.delete_marked(ORPHAN.digest, delete)
    server.join()
    assert told == [PendingDeletionError]
    assert metadata.tables.publish(ORPHAN.digest, ORPHAN.nbytes, None)


def test_what_has_a_row_is_not_removed(store: ObjectStore, metadata: Metadata) -> None:
    """A table that was named after it was listed stays, before it is marked for deletion and after."""
    assert metadata.tables.mark_for_deletion(ORPHAN.digest)
    with pytest.raises(PendingDeletionError, match=ORPHAN.digest):
        metadata.tables.publish(ORPHAN.digest, ORPHAN.nbytes, None)
    assert metadata.tables.publish(ORPHAN.digest, ORPHAN.nbytes, None)
    for digest in (KEPT.digest, ORPHAN.digest):
        assert not metadata.tables.delete_marked(digest, lambda: pytest.fail("deleted"))
        assert not remove(store, metadata, table_key(digest))


def test_a_deletion_that_fails_leaves_the_table_marked(store: ObjectStore, metadata: Metadata) -> None:
    """Whatever became of a file whose deletion was not answered: who records the table writes it again."""

    def fail() -> None:
        store.delete(KEY)
        raise StorageError("no response")

    assert metadata.tables.mark_for_deletion(ORPHAN.digest)
    with pytest.raises(StorageError, match="no response"):
        metadata.tables.delete_marked(ORPHAN.digest, fail)
    with pytest.raises(PendingDeletionError, match=ORPHAN.digest):
        metadata.tables.record("s", "{}", ORPHAN.digest, ORPHAN.nbytes)


@pytest.mark.usefixtures("s3_variables")
def test_a_server_keeps_what_it_acknowledged(s3_server: S3Server, tmp_path: Path) -> None:
    """Look-up, 201 to a PUT, deletion: the table that a server on an S3 store answered for is there afterwards."""
    settings = Settings(data_dir=tmp_path, store_url=s3_server.new_url())
    server = open_server(settings)
    with TestClient(create_app(server)) as client, closing(open_metadata(settings)) as metadata:
        assert client.put("/v1/tables", content=KEPT.to_bytes(), headers=HEADERS).status_code == 201
        server.store.put(KEY, ORPHAN.parts())
        listed = [key for key, _ in server.store.keys() if not metadata.tables.has_table(Path(key).stem)]  # noqa: SIM118  # no dictionary
        assert client.put("/v1/tables", content=ORPHAN.to_bytes(), headers=HEADERS).status_code == 201
        assert [remove(server.store, metadata, key) for key in listed] == [False]
        metadata.tables.delete(ORPHAN.digest)
        assert remove(server.store, metadata, KEY)
        server.tables.cache.evict(ORPHAN.digest)
        assert client.put("/v1/tables", content=ORPHAN.to_bytes(), headers=HEADERS).status_code == 201
        server.tables.cache.evict(ORPHAN.digest)
        assert client.get(f"/v1/tables/{ORPHAN.digest}").content == ORPHAN.to_bytes()


def test_a_server_that_goes_away_takes_no_table_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `gc` has removed a file, and a server that was told so has ended, another one still keeps the table."""
    settings = Settings(data_dir=tmp_path)
    server = open_server(settings)
    written = TableFiles.write

    def write(files: TableFiles, table: Table) -> bool:
        made = written(files, table)
        if not metadata.tables.has_table(KEPT.digest):  # once, when this server has seen the file
            metadata.tables.publish(KEPT.digest, KEPT.nbytes, None)
            assert remove(server.store, metadata, KEY)
            with pytest.raises(PendingDeletionError, match=ORPHAN.digest):
                metadata.tables.publish(ORPHAN.digest, ORPHAN.nbytes, None)  # by the server that ends now
        return made

    monkeypatch.setattr(TableFiles, "write", write)
    with TestClient(create_app(server)) as client, closing(open_metadata(settings)) as metadata:
        server.store.put(KEY, ORPHAN.parts())
        assert client.put("/v1/tables", content=ORPHAN.to_bytes(), headers=HEADERS).is_success
        assert bytes(server.store.get(KEY) or b"") == ORPHAN.to_bytes()
