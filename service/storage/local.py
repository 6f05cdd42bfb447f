"""Objects as files in a data directory of this machine.

lock                            held while a server uses the directory
tables/ab/abcd....safetensors   the objects, in folders by the first two digits of their names
tmp/                            files being written; emptied at start-up
damaged/                        objects that failed their check, kept to be looked at
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.storage.store import Part, StorageError

_KEY = re.compile(r"[a-z]+/([0-9a-f]{2})/\1[0-9a-f]{62}\.[a-z]+")


class DirectoryInUseError(StorageError):
    """Another server has the data directory."""


class LocalStore:
    """An `ObjectStore` in a directory, which it makes where it is missing and locks until `close`.

    An object is written to a name of its own in `tmp`, synced, and then linked to its key: a crash at any moment
    leaves the object whole or absent. Objects are read, not mapped: a mapped file could change, or be cut short,
    after its digest was checked.

    Raises `DirectoryInUseError` where another server has the directory, `StorageError` where it cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with _system_errors():
            for folder in ("tmp", "damaged"):
                (directory / folder).mkdir(parents=True, exist_ok=True)
            self._lock = _lock(directory / "lock")
            for stale in (directory / "tmp").iterdir():
                stale.unlink()

    def get(self, key: str) -> memoryview | None:
        # docstring inherited
        with _system_errors():
            try:
                file = self._path(key).open("rb", buffering=0)
            except FileNotFoundError:
                return None
            with file:
                data = bytearray(os.fstat(file.fileno()).st_size)
                view = memoryview(data)
                done = 0
                while count := file.readinto(view[done:]):
                    done += count
                return view[:done].toreadonly()

    def exists(self, key: str) -> bool:
        # docstring inherited
        with _system_errors():
            return self._path(key).exists()

    def put(self, key: str, parts: Iterable[Part]) -> bool:
        # docstring inherited
        target = self._path(key)
        temporary = self.directory / "tmp" / secrets.token_hex(16)
        with _system_errors():
            _make_folder(target.parent)
            try:
                _write(temporary, parts)
                os.link(temporary, target)  # unlike a rename, it fails where the name is taken
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
            _sync(target.parent)
            return True

    def set_aside(self, key: str) -> None:
        # docstring inherited
        path = self._path(key)
        with _system_errors():
            path.rename(self.directory / "damaged" / f"{path.name}.{secrets.token_hex(4)}")
            _sync(path.parent)

    def check(self) -> None:
        # docstring inherited
        if not os.access(self.directory / "tmp", os.W_OK | os.X_OK):
            raise StorageError("the data directory cannot be written to")

    def close(self) -> None:
        # docstring inherited
        os.close(self._lock)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"keys are like 'tables/ab/ab...', got {key!r}")
        return self.directory / key


@contextmanager
def _system_errors() -> Iterator[None]:
    """The system's errors as the store's; their text names a path, which is for the log and not for the answer."""
    try:
        yield
    except OSError as error:
        raise StorageError(error.strerror or "the system refused") from error


def _lock(path: Path) -> int:
    """An open file with an exclusive lock, which ends with the process if not before."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DirectoryInUseError(f"another server uses the data directory {path.parent}") from None
    return descriptor


def _write(path: Path, parts: Iterable[Part]) -> None:
    with path.open("xb", buffering=0) as file:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[file.write(view) :]
        os.fsync(file.fileno())


def _make_folder(folder: Path) -> None:
    """The folder, its own name synced too: else a crash could take the folder with the object in it."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync(folder.parent)
        _sync(folder.parent.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
