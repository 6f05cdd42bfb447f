"""The store in a directory of this machine."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.storage.local import DirectoryInUseError, LocalStore
from service.storage.store import StorageError

KEY = f"tables/ab/{'ab' * 32}.safetensors"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    opened = LocalStore(tmp_path)
    yield opened
    opened.close()


def content(store: LocalStore) -> bytes:
    """The bytes of the object that is there."""
    data = store.get(KEY)
    assert data is not None
    return bytes(data)


def test_what_is_put_is_got(store: LocalStore) -> None:
    """An object is its parts, joined; the bytes cannot be written to."""
    assert store.put(KEY, [b"one", memoryview(b"two"), b""])
    data = store.get(KEY)
    assert data is not None
    assert (bytes(data), data.readonly) == (b"onetwo", True)
    assert store.exists(KEY)


def test_what_is_missing_is_none(store: LocalStore) -> None:
    """A missing object is no error."""
    assert store.get(KEY) is None
    assert not store.exists(KEY)


def test_a_key_is_written_once(store: LocalStore, tmp_path: Path) -> None:
    """A second put to a key changes nothing, says so, and leaves no temporary file."""
    assert store.put(KEY, [b"first"])
    assert not store.put(KEY, [b"second"])
    assert content(store) == b"first"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_one_of_many_writers_wins(store: LocalStore) -> None:
    """Of sixteen threads that put to one key at once, one succeeds, and its bytes are there."""
    results: dict[int, bool] = {}
    barrier = threading.Barrier(16)

    def put(number: int) -> None:
        barrier.wait()
        results[number] = store.put(KEY, [bytes([number]) * 10_000])

    threads = [threading.Thread(target=put, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for number, won in results.items() if won]
    assert content(store) == bytes([winner]) * 10_000


def test_a_failed_write_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    """A writer that fails half way leaves neither an object nor a temporary file."""

    def parts() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the other half")

    with pytest.raises(RuntimeError, match="the other half"):
        store.put(KEY, parts())
    assert store.get(KEY) is None
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_damaged_object_is_set_aside(store: LocalStore, tmp_path: Path) -> None:
    """An object set aside is gone from its key, which is free again, and is kept elsewhere."""
    store.put(KEY, [b"damaged"])
    store.set_aside(KEY)
    assert store.get(KEY) is None
    assert store.put(KEY, [b"good"])
    assert [path.read_bytes() for path in (tmp_path / "damaged").iterdir()] == [b"damaged"]


@pytest.mark.parametrize(
    "key", ["", "tables/../../etc", "/tables/ab/x", f"tables/cd/{'ab' * 32}.json", "tables/ab/../x.json", f"{KEY}\n"]
)
def test_only_keys_are_keys(store: LocalStore, key: str) -> None:
    """Nothing but a well-formed key reaches the file system."""
    with pytest.raises(ValueError, match="keys are like"):
        store.get(key)


def test_a_directory_has_one_server(store: LocalStore, tmp_path: Path) -> None:
    """A second store on the directory is refused while the first is open, and not after."""
    with pytest.raises(DirectoryInUseError, match="another server uses the data directory"):
        LocalStore(tmp_path)


def test_a_closed_directory_is_free_and_tidied(tmp_path: Path) -> None:
    """Opening a directory again removes what a crash left behind."""
    LocalStore(tmp_path).close()
    (tmp_path / "tmp" / "left-behind").write_bytes(b"x")
    again = LocalStore(tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []
    again.close()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A data directory in the place of a file is refused with the system's reason."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Not a directory"):
        LocalStore(tmp_path / "file" / "data")


def test_a_system_error_is_a_storage_error(store: LocalStore, tmp_path: Path) -> None:
    """What the system refuses is the store's error, with the system's reason and without a path."""
    (tmp_path / "tables").write_bytes(b"in the way")
    with pytest.raises(StorageError, match=r"^(Not a directory|File exists)$"):
        store.put(KEY, [b"x"])
