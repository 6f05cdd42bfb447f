"""The store in a local directory: durability, ownership of the directory, and failing disks."""

import os
import re
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from service.errors import StorageError
from service.storage.local import DirectoryInUseError, LocalStore
from tests.support.servers.small_disk import SmallDisk

KEY = f"tables/ab/{'ab' * 32}.safetensors"
OTHER = f"tables/cd/{'cd' * 32}.safetensors"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    opened = LocalStore(tmp_path)
    yield opened
    opened.close()


def version(store: LocalStore) -> str:
    """Return the version of the stored object."""
    found = store.stat(KEY)
    assert found is not None
    return found.version


def temporary_files(store: LocalStore) -> list[Path]:
    """Return the temporary files of writes."""
    return list((store.directory / "tmp").iterdir())


def test_no_temporary_file_stays(store: LocalStore) -> None:
    """Whether a put succeeds, finds the key taken or fails, its temporary file is gone."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the other half")

    assert store.put(KEY, [b"first"])
    assert not store.put(KEY, [b"second"])
    with pytest.raises(RuntimeError, match="the other half"):
        store.put(OTHER, broken())
    assert temporary_files(store) == []


def test_bytes_that_were_read_do_not_change(store: LocalStore) -> None:
    """Bytes that were read do not change when the file does."""
    store.put(KEY, [b"good"])
    data = store.get(KEY)
    assert data is not None
    with (store.directory / KEY).open("r+b") as file:
        file.truncate(0)
        file.write(b"evil")
    assert bytes(data) == b"good"


def test_a_damaged_object_is_kept_elsewhere(store: LocalStore) -> None:
    """Every quarantined object is kept in the folder for damaged ones, under a name of its own."""
    for content in (b"damaged", b"again"):
        store.put(KEY, [content])
        store.quarantine(KEY, version(store))
    assert sorted(path.read_bytes() for path in (store.directory / "damaged").iterdir()) == [b"again", b"damaged"]


def test_the_folder_for_damaged_objects_may_be_removed(store: LocalStore) -> None:
    """After an operator has removed the folder of damaged objects, the next one is quarantined all the same."""
    store.put(KEY, [b"damaged"])
    (store.directory / "damaged").rmdir()
    store.quarantine(KEY, version(store))
    assert store.get(KEY) is None
    assert [path.read_bytes() for path in (store.directory / "damaged").iterdir()] == [b"damaged"]


def test_a_broken_link_is_a_damaged_object(store: LocalStore) -> None:
    """A key that is taken by a broken link has an object without bytes; quarantined, the key is free."""
    store.put(KEY, [b"x"])
    path = store.directory / KEY
    path.rename(path.with_name("moved"))
    path.symlink_to("/nonexistent/x")
    assert not store.put(KEY, [b"x"])
    assert [bytes(store.get(KEY) or b"gone"), bytes(store.read(KEY, 0, 8) or b"gone")] == [b"gone", b"gone"]
    store.quarantine(KEY, version(store))
    assert store.put(KEY, [b"x"])


def test_other_files_are_no_objects(store: LocalStore) -> None:
    """Files among the objects whose names are no keys are not listed."""
    store.put(KEY, [b"x"])
    (store.directory / "tables" / "ab" / "notes.txt").write_bytes(b"mine")
    assert list(store.keys()) == [(KEY, 1)]


def test_a_directory_has_one_owner(store: LocalStore) -> None:
    """A second store on the directory is refused while the first is open, unless it is only for reading."""
    with pytest.raises(DirectoryInUseError, match="another server uses the data directory"):
        LocalStore(store.directory)
    store.put(KEY, [b"x"])
    (store.directory / "tmp" / "in-the-making").write_bytes(b"x")
    reader = LocalStore(store.directory, exclusive=False)
    assert list(reader.keys()) == [(KEY, 1)]
    reader.close()
    assert len(temporary_files(store)) == 1


def test_a_reader_makes_no_directory(tmp_path: Path) -> None:
    """A store for reading is refused where there is nothing to read, and leaves nothing."""
    with pytest.raises(StorageError, match=r"there is no data directory .*missing"):
        LocalStore(tmp_path / "missing", exclusive=False)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_directory_is_free_and_cleaned_up(tmp_path: Path) -> None:
    """Opening a directory again removes the temporary files that a crash left behind."""
    LocalStore(tmp_path).close()
    (tmp_path / "tmp" / "left-behind").write_bytes(b"x")
    again = LocalStore(tmp_path)
    assert temporary_files(again) == []
    again.close()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A data directory in the place of a file is refused with the system's reason."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=rf"^Not a directory: {re.escape(str(tmp_path))}/file/data"):
        LocalStore(tmp_path / "file" / "data")


def test_what_prevents_the_start_is_named(tmp_path: Path) -> None:
    """A folder among the temporary files, which no server creates, is left alone and named in the error."""
    (tmp_path / "tmp" / "mine").mkdir(parents=True)
    with pytest.raises(StorageError, match=rf"^[A-Z][a-z ]+: {re.escape(str(tmp_path))}/tmp/mine$"):
        LocalStore(tmp_path)


def test_a_system_error_is_a_storage_error(store: LocalStore, tmp_path: Path) -> None:
    """An error of the system becomes a `StorageError` with its reason and a path relative to the directory."""
    (tmp_path / "tables").write_bytes(b"in the way")
    with pytest.raises(StorageError, match=r"^(Not a directory|File exists): tables/ab$"):
        store.put(KEY, [b"x"])


# -- durability -------------------------------------------------------------------------------------------------------


@contextmanager
def recorded(*names: str) -> Iterator[list[str]]:
    """Record the system calls of these names, in the order in which this thread makes them."""
    calls: list[str] = []

    def record(_: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in names:
            calls.append(function.__name__)

    sys.setprofile(record)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def test_bytes_and_key_are_synced_before_put_returns(store: LocalStore) -> None:
    """The bytes are synced before they are linked to the key, and the key before `put` returns."""
    store.put(KEY, [b"its folder is there from now on"])
    store.delete(KEY)
    with recorded("write", "fsync", "link") as calls:
        store.put(KEY, [b"one", b"two"])
    assert calls == ["write", "write", "fsync", "link", "fsync"]


def test_new_folders_are_synced_too(store: LocalStore) -> None:
    """The first object of a folder is as durable as any: the folder's entry is synced, and its parent's."""
    with recorded("fsync", "mkdir", "link") as calls:
        store.put(KEY, [b"x"])
    assert calls[-5:] == ["fsync", "fsync", "fsync", "link", "fsync"]


def test_a_folder_of_a_killed_writer_is_synced(store: LocalStore) -> None:
    """An existing folder is synced when it is first used: its creator may have been killed before it did."""
    (store.directory / KEY).parent.mkdir(parents=True)
    with recorded("fsync", "link") as calls:
        store.put(KEY, [b"x"])
        store.put(KEY, [b"x"])
    assert calls == ["fsync", "fsync", "fsync", "link", "fsync", "fsync", "link", "fsync"]


def test_a_folder_that_was_removed_is_synced_again(store: LocalStore) -> None:
    """A folder that has to be created again is synced again."""
    for _ in range(2):
        with recorded("fsync", "link") as calls:
            store.put(KEY, [b"x"])
        assert calls == ["fsync", "fsync", "fsync", "link", "fsync"]
        shutil.rmtree(store.directory / "tables")


@pytest.mark.parametrize(("name", "folders"), [("", 1), ("one", 1), ("one/two/three", 3)])
def test_the_directory_is_synced_too(tmp_path: Path, name: str, folders: int) -> None:
    """The parent of each new folder is synced, and the parent of an existing data directory, too."""
    with recorded("fsync") as calls:
        LocalStore(tmp_path / name).close()
    assert len(calls) == folders


def test_a_taken_key_is_synced_before_put_returns(store: LocalStore) -> None:
    """When a key is taken its folder is synced before `put` returns: its writer may not have done so yet."""
    store.put(KEY, [b"x"])
    with recorded("fsync", "link") as calls:
        assert not store.put(KEY, [b"x"])
    assert calls == ["fsync", "link", "fsync"]


# -- failing disks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk_store(disk: SmallDisk) -> Iterator[LocalStore]:
    """A store on a file system of its own, with an object in it."""
    opened = LocalStore(disk.directory / "data")
    opened.put(KEY, [b"kept"])
    yield opened
    opened.close()


def check_only_the_first(store: LocalStore) -> None:
    """Check that there is the first object and nothing else: no partial object, no temporary file."""
    assert bytes(store.get(KEY) or b"") == b"kept"
    assert list(store.keys()) == [(KEY, 4)]
    assert store.get(OTHER) is None
    assert temporary_files(store) == []


def test_a_full_disk_takes_nothing_and_loses_nothing(disk: SmallDisk, disk_store: LocalStore) -> None:
    """On a full disk a put fails with that reason and leaves nothing; with space again, it works."""
    with disk.full():
        with pytest.raises(StorageError, match=r"^No space left on device"):
            disk_store.put(OTHER, [bytes(100_000)])
        check_only_the_first(disk_store)
    assert disk_store.put(OTHER, [bytes(100_000)])


def test_a_disk_that_fills_up_keeps_no_partial_object(disk_store: LocalStore) -> None:
    """An object that fills the disk half way leaves nothing, and its space is free again."""
    for _ in range(3):
        with pytest.raises(StorageError, match=r"^No space left on device"):
            disk_store.put(OTHER, [bytes(100_000)] * 20)
        check_only_the_first(disk_store)
    assert disk_store.put(OTHER, [bytes(100_000)] * 5)


def test_a_limit_on_file_sizes_keeps_no_partial_object(store: LocalStore) -> None:
    """An object that outgrows the largest file that the process may write leaves nothing."""
    store.put(KEY, [b"kept"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"^File too large$"):
            store.put(OTHER, [bytes(30_000)] * 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    check_only_the_first(store)
    assert store.put(OTHER, [bytes(30_000)] * 2)


def test_a_read_only_disk_is_read(disk: SmallDisk, disk_store: LocalStore) -> None:
    """A read-only disk is still read; every write fails with the reason, and works once the disk is writable."""
    found = version(disk_store)
    writes = (
        lambda: disk_store.put(OTHER, [b"x"]),
        lambda: disk_store.quarantine(KEY, found),
        lambda: disk_store.delete(KEY),
    )
    with disk.read_only():
        with pytest.raises(StorageError, match="cannot be written to"):
            disk_store.check()
        for write in writes:
            with pytest.raises(StorageError, match=r"^Read-only file system: (tmp|tables)/"):
                write()
        check_only_the_first(disk_store)
    disk_store.check()
    assert disk_store.put(OTHER, [b"x"])


def test_a_read_only_directory_is_not_opened_to_write(disk: SmallDisk) -> None:
    """A server does not start on a directory that it cannot write to; a store for reading opens it."""
    LocalStore(disk.directory / "data").close()
    with disk.read_only():
        with pytest.raises(StorageError, match=r"^Read-only file system: .*/data/lock$"):
            LocalStore(disk.directory / "data")
        assert list(LocalStore(disk.directory / "data", exclusive=False).keys()) == []


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Take this process's permissions for the folder away."""
    folder.chmod(0)
    if os.getuid() == 0:
        os.seteuid(65534)  # `nobody`: the superuser may do everything
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o700)


def test_a_forbidden_folder_is_an_error(store: LocalStore) -> None:
    """An object without permission to read is an error, not a missing object; nothing is written."""
    store.put(KEY, [b"kept"])
    uses = (lambda: store.get(KEY), lambda: store.stat(KEY), lambda: store.put(OTHER, [b"x"]))
    with forbidden(store.directory):
        for use in uses:
            with pytest.raises(StorageError, match=r"^Permission denied: (tables/|lock)"):
                use()
    check_only_the_first(store)
