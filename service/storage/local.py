"""Objects as files in a data directory of this machine.

lock                            held while a server uses the directory, which is known again by it
tables/ab/abcd....safetensors   the objects, in folders by the first two digits of their names
tmp/                            files being written; emptied at start-up
damaged/                        objects that failed their check, kept to be looked at
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
from service.storage.opened import NotAFileError, Opened, open_file
from service.storage.store import Part, Stat, check_range, checked, is_key

_logger = logging.getLogger("lrtables")


class DirectoryInUseError(StorageError):
    """Another server has the data directory."""


class LocalStore:
    """An `ObjectStore` in a directory of this machine.

    An object is written to a name of its own in `tmp`, synced, and then linked to its key: a crash at any moment
    leaves the object whole or absent. Objects are read, not mapped: a mapped file could change, or be cut short,
    after its digest was checked. What is no file where an object should be, a FIFO or a link in a circle, counts as a
    damaged object.

    In the place of the directory that was opened there may be another one later, such as that on which a disk is not
    mounted any more: nothing is looked for or written there. One with a `lock` that nobody holds is the same, put back.

    Args:
        directory: where the objects are.
        exclusive: make the directory where it is missing, tidy up after a crash, and lock it until `close`. Without,
            the store is for reading, and another may have the directory.

    Raises `DirectoryInUseError` where another server has the directory, `StorageError` where it cannot be used.
    """

    def __init__(self, directory: Path, *, exclusive: bool = True) -> None:
        self.directory = directory
        self._lock: int | None = None
        self._opened: Opened | None = None
        self._synced: set[Path] = set()
        self._freeing, self._locking = threading.Lock(), threading.Lock()
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
            with suppress(OSError):  # what is around may be forbidden, or of a file system that syncs no folders
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
            found = path.lstat() if _leads_nowhere(path) else path.stat()
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
            sync(target.parent)  # even where it was taken: whoever took it may not have come to this line
            return made

    def quarantine(self, key: str, version: str) -> None:
        # docstring inherited
        path = self._path(key)
        damaged = self.directory / "damaged"
        with self._errors(), self._freeing:
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
        with self._errors(), self._freeing, suppress(FileNotFoundError):
            path.unlink()
            sync(path.parent)

    def check(self) -> None:
        # docstring inherited
        with self._errors():
            self._check_directory()
        folder = self.directory / "tmp"  # made anew where it was removed
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
                if _leads_nowhere(path):
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
        self._opened = Opened(path)

    def _check_directory(self) -> None:
        """Raise `StorageError` where there is another directory than was opened, and it is not that, put back."""
        if self._opened is None or self._opened.is_there:
            return
        with self._locking:
            if self._opened.is_there:
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
        """The folder, its name synced, and those above it: else a crash could take it with the object in it.

        One that is there is synced once, too: whoever made it may not have come to that.
        """
        if folder in self._synced and folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)
        sync(folder.parent.parent)
        self._synced.add(folder)

    def _path(self, key: str) -> Path:
        return self.directory / checked(key)

    def _errors(self) -> AbstractContextManager[None]:
        """The system's errors as the store's: they name what is in the directory; where that is, no answer tells."""
        return _system_errors(lambda path: os.path.relpath(path, self.directory))


@contextmanager
def _system_errors(display_path: Callable[[str], str] = str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = "" if error.filename is None else f": {display_path(error.filename)}"
        raise StorageError(f"{error.strerror or 'the system refused'}{path}") from error


def _leads_nowhere(path: Path) -> bool:
    """Whether it is a link to something that is not there: the key is taken, so it counts as a damaged object."""
    return path.is_symlink() and not path.exists()


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


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
