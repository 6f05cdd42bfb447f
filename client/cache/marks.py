"""Marks: what a cached file looked like when its digest was last verified, so that it need not be read again."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from client.cache.folders import read_own, write_file

BACKDATED_NS = 3600 * 10**9
"""How old a new file is made to look. A later write, however soon, then gives it another time."""

_FRESH_NS = 10 * 10**9  # a file modified within so long gets a time in the past when it is marked


def is_marked(path: str | Path, found: os.stat_result) -> bool:
    """Whether the mark at `path` belongs to a file of this status. Never raises.

    A mark keeps size, time of modification, time of the last change of the inode, and inode number of the file whose
    digest was verified. A file that was written to, truncated, extended or replaced differs in one of them: its time of
    modification was set to the past on purpose, so that even a write within the same tick of the clock shows. The mark
    must belong to this user or to root.

    What this alone misses: bytes that change without a write through the file system, as on a failing disk or memory;
    a write within one tick of the clock (about 4 ms) of the mark whose time of modification is then put back on
    purpose; and a system clock that is set back for that purpose. `verify=True` reads the digest and misses nothing.
    """
    return read_own(path) == mark_of(found)


def mark_of(found: os.stat_result) -> bytes:
    """The text of the mark of a file of this status."""
    return b"%d %d %d %d\n" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def write_mark(path: Path, descriptor: int, found: os.stat_result) -> None:
    """Mark an open file that was verified while it had the status `found`. A folder that is read-only gets no mark."""
    with suppress(OSError):
        if mark_of(os.fstat(descriptor)) != mark_of(found):
            return  # it was written to meanwhile
        if time.time_ns() - found.st_mtime_ns < _FRESH_NS:
            past = time.time_ns() - BACKDATED_NS
            os.utime(descriptor, ns=(past, past))
            found = os.fstat(descriptor)
        write_file(path, [mark_of(found)], sync=False)


def touch(path: str | Path) -> None:
    """Note at a mark that its file was used now: the time by which the least recently used is found."""
    with suppress(OSError):
        os.utime(path)
