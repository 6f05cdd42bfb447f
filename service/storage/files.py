"""Regular files: opened without blocking on FIFOs and devices, and compared later to notice replaced files."""

from __future__ import annotations

import errno
import os
import stat

_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
_UNOPENABLE = {errno.ELOOP: "a link in a circle", errno.ENXIO: "a socket or a device without driver"}

Name = str | os.PathLike[str]


class NotAFileError(OSError):
    """A path leads to something that is not a regular file."""


class FileIdentities:
    """The device and inode of some paths, to notice later that one was removed or replaced.

    What is written to a file that has lost its name is lost.
    """

    def __init__(self, name: Name) -> None:
        self._files = {name: _identity(name)}

    def add(self, name: Name) -> None:
        """Remember one more path and the file that it leads to now."""
        self._files[name] = _identity(name)

    @property
    def are_unchanged(self) -> bool:
        """Whether every path leads to the same file as before, or still to none."""
        return all(map(self.is_unchanged, self._files))

    def is_unchanged(self, name: Name) -> bool:
        """Return whether this path leads to the same file as before."""
        return _identity(name) == self._files[name]


def _identity(name: Name) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_file(name: Name) -> int:
    """Open a regular file for reading and return its descriptor.

    Anything else is refused without waiting: opening a FIFO would block until somebody writes to it. Raises
    `NotAFileError`, and `OSError` from the system.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _UNOPENABLE:
            raise NotAFileError(error.errno, f"is {_UNOPENABLE[error.errno]}, no file", name) from error
        raise
    try:
        _check(os.fstat(descriptor), name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_file(name: Name) -> None:
    """Raise what `open_file` would raise, without opening: closing a file of SQLite's would release its locks."""
    try:
        found = os.stat(name)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotAFileError(error.errno, f"is {_UNOPENABLE[error.errno]}, no file", name) from error
        raise
    _check(found, name)


def _check(found: os.stat_result, name: Name) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        raise NotAFileError(errno.EINVAL, f"is {kind}, no file", name)
