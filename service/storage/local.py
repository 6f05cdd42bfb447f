"""Objects as files in a data directory of this machine.

lock                            locked while a server uses the directory; its inode identifies the directory
tables/ab/abcd....safetensors   the objects, in folders by the first two digits of their names
tmp/                            files being written; emptied at start-up
damaged/                        objects that failed their check, kept for inspection
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from service.errors import StorageError
from service.storage.files import FileIdentities, NotAFileError, open_file
from service.storage.store import Part, Stat, check_range, checked_key, is_key

_logger = logging.getLogger("lrtables")


class DirectoryInUseError(StorageError):
    """Another server uses the data directory."""


class LocalStore:
    """An `ObjectStore` in a directory of this machine.

    An object is written to a unique file in `tmp`, synced, and then linked to its key: after a crash at any moment
    the object is whole or absent. Objects are read, not mapped: a mapped file could change, or be cut short, after its
    digest was checked. A FIFO or a circular link in the place of an object counts as a damaged object.

    If the directory is replaced later, for example by the empty mount point of an unmounted disk, nothing is read from
    or written to the new one. If it has a `lock` that nobody holds, it counts as the same directory put back.

    Args:
        directory: where the objects are.
        exclusive: create the directory if it is missing, clean up after a crash, and lock it until `close`. Without
            it, the store is only for reading, and another server may use the directory.

    Raises `DirectoryInUseError` if another server uses the directory, `StorageError` if it cannot be used.
    """

    def __init__(self, directory: Path, *, exclusive: bool = True) -> None:
        self.directory = directory
        self._lock: int | None = None
        self._opened: FileIdentities | None = None
        self._synced: set[Path] = set()
        self._removing, self._relocking = threading.Lock(), threading.Lock()
        if exclusive:
            with _system_errors():
                self._prepare()
        elif not directory.is_dir():
            raise StorageError(f"there is no data directory {directory}")

    def _prepare(self) -> None:
        new = [folder for folder in (self.directory, *self.directory.parents) if not folder.exists()]
        for name in ("tmp", "damaged"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for folder in new or [self.directory]:
            with suppress(OSError):  # a parent may be forbidden, or on a file system that cannot sync folders
                sync(folder.absolute().parent)
        self._take_lock()
        for stale in (self.directory / "tmp").iterdir():
            stale.unlink()

    @property
    def url(self) -> str:
        # docstring inherited
        return self.directory.absolute().as_uri()

    def get(self, key: str) -> memoryview | None:
        # docstring inherited
        return self._load(key, 0, None)

    def stat(self, key: str) -> Stat | None:
        # docstring inherited
        path = self._path(key)
        with self._errors(), suppress(FileNotFoundError):
            found = path.lstat() if _is_broken_link(path) else path.stat()
            return Stat(found.st_size, f"{found.st_ino} {found.st_mtime_ns}", found.st_mtime)
        self._check_directory()
        return None

    def read(self, key: str, start: int, stop: int) -> memoryview | None:
        # docstring inherited
        check_range(start, stop)
        return self._load(key, start, stop)

    def put(self, key: str, parts: Iterable[Part]) -> bool:
        # docstring inherited
        target = self._path(key)
        temporary = self.directory / "tmp" / secrets.token_hex(16)
        with self._errors():
            self._check_directory()
            temporary.parent.mkdir(exist_ok=True)
            self._make_folder(target.parent)
            try:
                _write(temporary, parts)
                made = _link(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
            sync(target.parent)  # also if the key was taken: its writer may not have synced yet
            return made

    def quarantine(self, key: str, version: str) -> None:
        # docstring inherited
        path = self._path(key)
        damaged = self.directory / "damaged"
        with self._errors(), self._removing:
            found = self.stat(key)
            if found is None or found.version != version:
                return
            damaged.mkdir(exist_ok=True)
            path.rename(damaged / f"{path.name}.{secrets.token_hex(4)}")
            sync(damaged)
            sync(path.parent)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        # docstring inherited
        with self._errors():
            self._check_directory()
            for folder in sorted(self.directory.glob("tables/[0-9a-f][0-9a-f]")):
                for name in sorted(os.listdir(folder)):
                    key = f"tables/{folder.name}/{name}"
                    if is_key(key) and key.startswith(prefix) and (found := self.stat(key)) is not None:
                        yield key, found.size

    def delete(self, key: str) -> None:
        # docstring inherited
        path = self._path(key)
        with self._errors(), self._removing, suppress(FileNotFoundError):
            path.unlink()
            sync(path.parent)

    def check(self) -> None:
        # docstring inherited
        with self._errors():
            self._check_directory()
        folder = self.directory / "tmp"  # created again by `put` if it was removed
        if not os.access(folder if folder.exists() else self.directory, os.W_OK | os.X_OK):
            raise StorageError("the data directory cannot be written to")

    def close(self) -> None:
        # docstring inherited
        if self._lock is not None:
            os.close(self._lock)

    def _load(self, key: str, start: int, stop: int | None) -> memoryview | None:
        path = self._path(key)
        with self._errors():
            try:
                descriptor = open_file(path)
            except NotAFileError as error:
                _logger.error("%s %s", key, error.strerror)  # noqa: TRY400  # expected: no trace
                return memoryview(b"")
            except FileNotFoundError:
                if _is_broken_link(path):
                    return memoryview(b"")
                self._check_directory()
                return None
            try:
                return _read(descriptor, start, stop)
            finally:
                os.close(descriptor)

    def _take_lock(self) -> None:
        path = self.directory / "lock"
        self._lock = _lock(path)
        self._opened = FileIdentities(path)

    def _check_directory(self) -> None:
        """Raise `StorageError` if the directory was replaced. Lock it again if the original was put back."""
        if self._opened is None or self._opened.are_unchanged:
            return
        with self._relocking:
            if self._opened.are_unchanged:
                return
            if not (self.directory / "lock").exists():
                raise StorageError("the data directory was removed, or is not mounted: it has no file lock any more")
            before = self._lock
            self._take_lock()
            self._synced.clear()
            if before is not None:
                os.close(before)
            _logger.warning("the data directory was put back, and is locked again")

    def _make_folder(self, folder: Path) -> None:
        """Create a folder, and sync the folders above it: a crash could otherwise lose it with the object in it.

        An existing folder is synced once, too: whoever created it may have crashed before.
        """
        if folder in self._synced and folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)
        sync(folder.parent.parent)
        self._synced.add(folder)

    def _path(self, key: str) -> Path:
        return self.directory / checked_key(key)

    def _errors(self) -> AbstractContextManager[None]:
        """Translate the system's errors. Paths are relative, so that no response reveals where the directory is."""
        return _system_errors(lambda path: os.path.relpath(path, self.directory))


@contextmanager
def _system_errors(display_path: Callable[[str], str] = str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = "" if error.filename is None else f": {display_path(error.filename)}"
        raise StorageError(f"{error.strerror or 'the system refused'}{path}") from error


def _is_broken_link(path: Path) -> bool:
    """Return whether the path is a link to nothing. The key is taken, so it counts as a damaged object."""
    return path.is_symlink() and not path.exists()


def _lock(path: Path) -> int:
    """Open a file, lock it exclusively until it is closed or the process ends, and return its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DirectoryInUseError(f"another server uses the data directory {path.parent}") from None
    return descriptor


def _read(descriptor: int, start: int, stop: int | None) -> memoryview:
    """Return the bytes from `start` up to `stop`, or up to the end of the file."""
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
    """Link the file to its key. Return False if the key is taken; a rename would overwrite it."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    return True


def sync(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
