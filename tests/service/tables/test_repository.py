"""The tables in a store: what is damaged there is set aside and written anew, and nothing else is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import Table
from service.errors import StorageError
from service.storage.local import LocalStore
from service.tables.repository import TableFiles, table_key

TABLE = Table({"lr": [0.5, 0.125, 0.25]})
KEY = table_key(TABLE.digest)


class Interrupted(LocalStore):
    """A store in which something happens just before a damaged object is set aside."""

    happens = staticmethod(lambda: None)

    def quarantine(self, key: str, version: str) -> None:
        """Set aside, later."""
        happens, self.happens = self.happens, staticmethod(lambda: None)
        happens()
        super().quarantine(key, version)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Interrupted]:
    opened = Interrupted(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def files(store: Interrupted) -> TableFiles:
    return TableFiles(store)


def damage(store: LocalStore, content: bytes = b"damaged") -> None:
    """Put something else where the table belongs."""
    path = store.directory / KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("into_memory", [True, False])
@pytest.mark.parametrize("nbytes", [0, 1, 7, 8, 9, -1])
def test_a_file_that_was_cut_short_is_damaged(
    store: Interrupted, files: TableFiles, nbytes: int, into_memory: bool
) -> None:
    """However little of a file a power cut left, it is set aside and written anew."""
    damage(store, TABLE.to_bytes()[:nbytes])
    assert (files.load if into_memory else files.open)(TABLE.digest) is None
    assert files.damaged == 1
    damage(store, TABLE.to_bytes()[:nbytes])
    assert files.write(TABLE)
    assert (store.directory / KEY).read_bytes() == TABLE.to_bytes()


def test_a_link_that_leads_nowhere_is_damage(store: Interrupted, files: TableFiles) -> None:
    """A table whose place is taken by such a link is written there."""
    path = store.directory / KEY
    path.parent.mkdir(parents=True)
    path.symlink_to("/nonexistent/x")
    assert files.write(TABLE)
    assert path.read_bytes() == TABLE.to_bytes()


def test_a_reader_does_not_take_away_what_was_written_since(store: Interrupted, files: TableFiles) -> None:
    """Where another writes a damaged table anew before a reader comes to set it aside, the new one stays."""
    damage(store)
    store.happens = staticmethod(lambda: assert_written(files))
    assert files.load(TABLE.digest) is None
    assert files.load(TABLE.digest) is not None


def assert_written(files: TableFiles) -> None:
    """Write the table, and be told that it is durable."""
    assert files.write(TABLE)


def test_a_writer_does_not_try_for_ever(store: Interrupted, files: TableFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is damaged again and again, or cannot be set aside, is the store's error after a few tries."""
    damage(store)
    monkeypatch.setattr(store, "quarantine", lambda *_: None)
    with pytest.raises(
        StorageError, match=rf"^the table {TABLE.digest} was found damaged 3 times after it was written$"
    ):
        files.write(TABLE)
    assert files.damaged < 5
