"""Where the cache is, how large it may be, and how a file gets into it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

_MOST_BYTES = 200  # of a mark, or of a remembered digest

CacheFolder = str | os.PathLike[str] | Literal[False] | None
"""A folder, False for no cache, or None for what the environment says."""

DEFAULT_BYTES = 2 * 2**30
"""Bytes of tables that the cache may hold, where `LRTABLES_CACHE_BYTES` does not say."""
OFF = "off"
"""The value of `LRTABLES_CACHE` for no cache."""
TEMPORARY = ".tmp"
"""How the name of a file ends that is being written, or was left behind by a killed process."""


def cache_folder(given: CacheFolder = None) -> Path | None:
    """The folder of the cache; None for no cache.

    Without one given it is `LRTABLES_CACHE`, where `off` means no cache, else `lrtables` in `XDG_CACHE_HOME` or
    in `~/.cache`. Nothing is created.
    """
    if given is False:
        return None
    if given is not None:
        return Path(given)
    if named := os.environ.get("LRTABLES_CACHE"):
        return None if named == OFF else Path(named)
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "lrtables"
    try:
        return Path.home() / ".cache" / "lrtables"
    except RuntimeError:  # a user without a home
        return None


def cache_bytes() -> int:
    """Bytes of tables that the cache may hold. Raises `ValueError` for an `LRTABLES_CACHE_BYTES` that is no number."""
    text = os.environ.get("LRTABLES_CACHE_BYTES", "")
    if not text:
        return DEFAULT_BYTES
    if not text.isdecimal():
        raise ValueError(f"LRTABLES_CACHE_BYTES must be a number of bytes, got {text!r}")
    return int(text)


def write_file(
    path: Path, parts: Iterable[bytes | memoryview], *, sync: bool, mtime_ns: int | None = None
) -> os.stat_result:
    """Write a file under a temporary name and rename it: it is complete, or it is not there.

    With `sync` both the file and its folder are on the disk afterwards. No lock is used: of several processes
    the last one to rename wins. Returns the status of the written file, after the rename. Raises `OSError`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY}")
    try:
        with temporary.open("xb", buffering=0) as file:
            for part in parts:
                _write_all(file.fileno(), memoryview(part))
            if mtime_ns is not None:
                os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
            if sync:
                os.fsync(file.fileno())
            temporary.replace(path)
            written = os.fstat(file.fileno())
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if sync:
        _sync_folder(path.parent)
    return written


def read_own(path: str | Path) -> bytes | None:
    """The content of a small file that this user or root wrote; None for any other, and where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        is_own = os.fstat(descriptor).st_uid in (os.geteuid(), 0)
        return os.read(descriptor, _MOST_BYTES) if is_own else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems sync no folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
