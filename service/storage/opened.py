"""Files and what is none: opened without waiting, and known again when their names lead elsewhere."""

from __future__ import annotations

import errno
import os
import stat

_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
_WITHOUT_CONTENT = {errno.ELOOP: "a link in a circle", errno.ENXIO: "a socket or a device without driver"}

Name = str | os.PathLike[str]


class NotAFileError(OSError):
    """A name that leads to something that is no file."""


class Opened:
    """The files behind some names, to be compared later: what is written to a file that lost its name is lost."""

    def __init__(self, name: Name) -> None:
        self._files = {name: _identity(name)}

    def add(self, name: Name) -> None:
        """Remember one more name, and the file that it leads to now."""
        self._files[name] = _identity(name)

    @property
    def is_there(self) -> bool:
        """Whether every name leads to what it led to, which may be nothing."""
        return all(map(self.leads, self._files))

    def leads(self, name: Name) -> bool:
        """Whether this name still leads to the file that it led to."""
        return _identity(name) == self._files[name]


def _identity(name: Name) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_file(name: Name) -> int:
    """A descriptor of a file, to read it. What is none is refused, not waited for: a FIFO opens when it is written to.

    Raises `NotAFileError`, and `OSError` from the system.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _WITHOUT_CONTENT:
            raise NotAFileError(error.errno, f"is {_WITHOUT_CONTENT[error.errno]}, no file", name) from error
        raise
    try:
        _check(os.fstat(descriptor), name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_file(name: Name) -> None:
    """Raise what `open_file` would raise. Nothing is opened: to close a file of SQLite's would end its locks."""
    try:
        found = os.stat(name)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotAFileError(error.errno, f"is {_WITHOUT_CONTENT[error.errno]}, no file", name) from error
        raise
    _check(found, name)


def _check(found: os.stat_result, name: Name) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        raise NotAFileError(errno.EINVAL, f"is {kind}, no file", name)
