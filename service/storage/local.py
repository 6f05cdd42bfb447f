"""Objects as files in a data directory of this machine.

lock                            held while a server uses the directory
tables/ab/abcd....safetensors   the objects, in folders by the first two digits of their names
tmp/                            files being written; emptied at start-up
damaged/                        objects that failed their check, kept to be looked at
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.storage.store import Part, StorageError, check_range, checked, is_key


class DirectoryInUseError(StorageError):
    """Another server has the data directory."""


class LocalStore:
    """An `ObjectStore` in a directory of this machine.

    An object is written to a name of its own in `tmp`, synced, and then linked to its key: a crash at any moment
    leaves the object whole or absent. Objects are read, not mapped: a mapped file could change, or be cut short,
    after its digest was checked.

    Args:
        directory: where the objects are.
        exclusive: make the directory where it is missing, tidy up after a crash, and lock it until `close`. Without,
            the store is for reading, and another may have the directory.

    Raises `DirectoryInUseError` where another server has the directory, `StorageError` where it cannot be used.
    """

    def __init__(self, directory: Path, *, exclusive: bool = True) -> None:
        self.directory = directory
        self._lock: int | None = None
        if exclusive:
            with _system_errors():
                self._prepare()
        elif not directory.is_dir():
            raise StorageError(f"there is no data directory {directory}")

    def _prepare(self) -> None:
        for folder in ("tmp", "damaged"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.directory / "lock")
        for stale in (self.directory / "tmp").iterdir():
            stale.unlink()

    @property
    def url(self) -> str:
        # docstring inherited
        return self.directory.absolute().as_uri()

    def get(self, key: str) -> memoryview | None:
        # docstring inherited
        return self._load(key, 0, None)

    def size(self, key: str) -> int | None:
        # docstring inherited
        with _system_errors():
            try:
                return self._path(key).stat().st_size
            except FileNotFoundError:
                return None

    def read(self, key: str, start: int, stop: int) -> memoryview | None:
        # docstring inherited
        check_range(start, stop)
        return self._load(key, start, stop)

    def put(self, key: str, parts: Iterable[Part]) -> bool:
        # docstring inherited
        target = self._path(key)
        temporary = self.directory / "tmp" / secrets.token_hex(16)
        with _system_errors():
            _make_folder(target.parent)
            try:
                _write(temporary, parts)
                made = _link(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
            _sync(target.parent)  # even where it was taken: whoever took it may not have come to this line
            return made

    def set_aside(self, key: str) -> None:
        # docstring inherited
        path = self._path(key)
        damaged = self.directory / "damaged"
        with _system_errors():
            try:
                path.rename(damaged / f"{path.name}.{secrets.token_hex(4)}")
            except FileNotFoundError:
                return
            _sync(damaged)
            _sync(path.parent)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        # docstring inherited
        with _system_errors():
            for folder in sorted(self.directory.glob("tables/[0-9a-f][0-9a-f]")):
                for name in sorted(os.listdir(folder)):
                    key = f"tables/{folder.name}/{name}"
                    if is_key(key) and key.startswith(prefix) and (size := self.size(key)) is not None:
                        yield key, size

    def delete(self, key: str) -> None:
        # docstring inherited
        path = self._path(key)
        with _system_errors():
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync(path.parent)

    def check(self) -> None:
        # docstring inherited
        if not os.access(self.directory / "tmp", os.W_OK | os.X_OK):
            raise StorageError("the data directory cannot be written to")

    def close(self) -> None:
        # docstring inherited
        if self._lock is not None:
            os.close(self._lock)

    def _load(self, key: str, start: int, stop: int | None) -> memoryview | None:
        with _system_errors():
            try:
                file = self._path(key).open("rb", buffering=0)
            except FileNotFoundError:
                return None
            with file:
                return _read(file.fileno(), start, stop)

    def _path(self, key: str) -> Path:
        return self.directory / checked(key)


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


def _read(descriptor: int, start: int, stop: int | None) -> memoryview:
    """The bytes from `start` to `stop`, or to the end where that is sooner."""
    end = os.fstat(descriptor).st_size
    view = memoryview(bytearray(max(0, min(end if stop is None else stop, end) - start)))
    done = 0
    while count := os.preadv(descriptor, [view[done:]], start + done):
        done += count
    return view[:done].toreadonly()


def _write(path: Path, parts: Iterable[Part]) -> None:
    with path.open("xb", buffering=0) as file:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[file.write(view) :]
        os.fsync(file.fileno())


def _link(source: Path, target: Path) -> bool:
    """Give the file its name. False where the name is taken: a rename would take it away."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    return True


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
