"""The node cache: tables in files named by their digest, which every process of a machine maps.

```text
FOLDER/tables/DIGEST.safetensors   the one file that the digest has
FOLDER/tables/DIGEST.mark          what it looked like when its digest was verified; its time is that of the last use
FOLDER/specs/KEY                   the digest that a service gave for a spec
FOLDER/aside/DIGEST.RANDOM         damaged files, set aside
```
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from client.cache.folders import TEMPORARY, read_own, write_file
from client.cache.marks import BACKDATED_NS, is_marked, mark_of, touch, write_mark
from scheduler import Table, TableError
from scheduler.texts import is_digest

_SUFFIX, _MARK = ".safetensors", ".mark"
_SMALLEST = 8  # bytes of a file's first field: a shorter file is no table
_MOST_ASIDE = 8  # damaged files that are kept to be looked at
_YOUNG = 60.0  # seconds after its last use for which a table is not removed to make room
_ABANDONED = 3600.0  # seconds after which a temporary file is taken for that of a killed process

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheEntry:
    """A table in the cache.

    Args:
        digest: of the table, as its file is named.
        nbytes: of the file.
        used_at: when it was last opened, in seconds since the epoch.
    """

    digest: str
    nbytes: int
    used_at: float


@dataclass
class CacheCounts:
    """What a cache has done in this process: tables opened and kept, damaged files set aside, and failures."""

    opened: int = 0
    kept: int = 0
    set_aside: int = 0
    failures: int = 0
    last_failure: str = ""


class NodeCache:
    """Tables in a folder, mapped read-only, so that the processes of a machine share one copy in memory.

    A file is written under a name of its own, synced and renamed, and no lock is relied on: of processes that
    fill the cache at once each writes a whole file, and one of the equal files stays. Its digest is verified when it is
    filled, and when it is opened, unless its mark shows that it has not changed since (see
    `client.cache.marks.is_marked`, which says what this can miss). A file that is damaged, truncated or no table
    is renamed into `aside` and not returned.

    No method raises an error of the file system: a folder that is missing, read-only or full counts as a failure in
    `counts`, and the table is kept in memory. A file must never be written in place: its table would change where it
    is in use. Files that are removed stay readable where they are mapped.

    Args:
        folder: made when the first table is kept.
        max_bytes: bytes of tables above which the least recently used are removed. A table that was used in the last
            minute stays, and so does the one that was just kept.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._tables = f"{folder}{os.sep}tables{os.sep}"  # text: joining paths takes longer than opening a file
        self._specs = f"{folder}{os.sep}specs{os.sep}"
        self.max_bytes = max_bytes
        self.counts = CacheCounts()

    def open(self, digest: str, *, verify: bool = False) -> Table | None:
        """The table with this digest, mapped; None where the cache has none that is sound.

        Args:
            digest: 64 hexadecimal digits.
            verify: read every byte and compare the digest, even where the file's mark is right.
        """
        path = f"{self._tables}{digest}{_SUFFIX}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._failed(error)
            return None
        try:
            return self._opened(path, descriptor, digest, verify=verify)
        except TableError as error:
            self._set_aside(Path(path), descriptor, error)
        except OSError as error:
            self._failed(error)
        finally:
            os.close(descriptor)
        return None

    def keep(self, table: Table) -> Table:
        """Write a verified table's file. Returns the table as it is mapped; the given one where it cannot be kept."""
        digest = table.digest
        if (kept := self.open(digest)) is not None:
            return kept
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            past = time.time_ns() - BACKDATED_NS
            written = write_file(path, table.parts(), sync=True, mtime_ns=past)
            write_file(self._mark(digest), [mark_of(written)], sync=False)
        except OSError as error:
            self._failed(error)
            return table
        self.counts.kept += 1
        self.prune(self.max_bytes, keep=digest, young=_YOUNG)
        return self.open(digest) or table

    def known_digest(self, key: str) -> str | None:
        """The digest that was remembered under this key; None where there is none, or another user wrote it."""
        digest = (read_own(f"{self._specs}{key}") or b"").decode("latin-1").strip()
        return digest if is_digest(digest) else None

    def remember(self, key: str, digest: str) -> None:
        """Remember a digest under a key, which is a file's name."""
        path = Path(f"{self._specs}{key}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, [digest.encode() + b"\n"], sync=False)
        except OSError as error:
            self._failed(error)

    def entries(self) -> list[CacheEntry]:
        """The tables in the cache, the least recently used first. Nothing is verified."""
        found = [self._entry(path) for path in self._files("tables") if path.suffix == _SUFFIX and is_digest(path.stem)]
        return sorted(filter(None, found), key=lambda entry: (entry.used_at, entry.digest))

    def verify(self) -> Iterator[tuple[CacheEntry, bool]]:
        """Read every table and compare its digest: each entry, and whether it is sound. Damaged ones are set aside."""
        for entry in self.entries():
            yield entry, self.open(entry.digest, verify=True) is not None

    def prune(self, max_bytes: int, *, keep: str | None = None, young: float = 0.0) -> list[CacheEntry]:
        """Remove the least recently used tables until the rest has at most `max_bytes`. Returns what was removed.

        Files that killed processes left behind are removed too, and all but the newest files that were set aside.

        Args:
            max_bytes: of the files that stay.
            keep: the digest of a table that stays.
            young: seconds for which a table stays after its last use.
        """
        self._tidy()
        entries = self.entries()
        excess, removed = sum(entry.nbytes for entry in entries) - max_bytes, []
        for entry in entries:
            if excess <= 0:
                break
            if entry.digest == keep or time.time() - entry.used_at < young:
                continue
            excess -= entry.nbytes
            if self._remove(self._path(entry.digest)) | self._remove(self._mark(entry.digest)):
                removed.append(entry)
        return removed

    def _path(self, digest: str) -> Path:
        return Path(f"{self._tables}{digest}{_SUFFIX}")

    def _mark(self, digest: str) -> Path:
        return Path(self._mark_name(digest))

    def _mark_name(self, digest: str) -> str:
        return f"{self._tables}{digest}{_MARK}"

    def _opened(self, path: str, descriptor: int, digest: str, *, verify: bool) -> Table:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size < _SMALLEST:
            raise TableError(f"not a table: {path} is no regular file, or too short")
        mark = self._mark_name(digest)
        is_known = not verify and is_marked(mark, found)
        try:
            data = memoryview(mmap(descriptor, found.st_size, access=ACCESS_READ))
        except ValueError as error:  # it has become shorter since
            raise TableError(f"not a table: {path} was cut off: {error}") from error
        table = Table.from_bytes(data, verified=digest if is_known else None)
        if table.digest != digest:
            raise TableError(f"another table: {path} holds {table.digest}")
        if is_known:
            touch(mark)
        else:
            write_mark(Path(mark), descriptor, found)
        self.counts.opened += 1
        return table

    def _set_aside(self, path: Path, descriptor: int, error: TableError) -> None:
        """Rename a damaged file, unless another process has put a new one in its place."""
        self.counts.set_aside += 1
        _logger.warning("%s is set aside: %s", path, str(error))
        try:
            if os.path.samestat(path.lstat(), os.fstat(descriptor)) or path.is_symlink():
                aside = self.folder / "aside"
                aside.mkdir(exist_ok=True)
                path.rename(aside / f"{path.stem}.{secrets.token_hex(4)}")
        except OSError as failure:
            self._failed(failure)

    def _failed(self, error: OSError) -> None:
        if not self.counts.failures:
            _logger.warning("the cache %s does not work: %s; tables are kept in memory", self.folder, str(error))
        self.counts.failures += 1
        self.counts.last_failure = str(error)

    def _entry(self, path: Path) -> CacheEntry | None:
        try:
            found = path.lstat()
        except OSError:
            return None
        try:
            used_at = self._mark(path.stem).lstat().st_mtime
        except OSError:
            used_at = found.st_ctime
        return CacheEntry(path.stem, found.st_size, used_at)

    def _files(self, room: str) -> list[Path]:
        try:
            return list((self.folder / room).iterdir())
        except OSError:
            return []

    def _tidy(self) -> None:
        for room in ("tables", "specs"):
            for path in self._files(room):
                if path.name.endswith(TEMPORARY) and _age(path) > _ABANDONED:
                    self._remove(path)
        for path in sorted(self._files("aside"), key=_age)[_MOST_ASIDE:]:
            self._remove(path)

    @staticmethod
    def _remove(path: Path) -> bool:
        with suppress(OSError):
            if path.is_dir():
                path.rmdir()  # a folder that was in a file's place, and only where it is empty
            else:
                path.unlink()
            return True
        return False


def _age(path: Path) -> float:
    """Seconds since a file was changed; 0 where it is gone."""
    with suppress(OSError):
        return time.time() - path.lstat().st_ctime
    return 0.0
