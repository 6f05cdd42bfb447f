"""A cache of tables, bounded by the memory that they take."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Cacheable(Protocol):
    """What the cache can hold."""

    @property
    def digest(self) -> str:
        """The table's digest."""

    @property
    def nbytes(self) -> int:
        """The memory it takes."""

    @property
    def is_pinned(self) -> bool:
        """Whether that memory is in use now, as by a response under way. To evict the table would free nothing yet."""


T = TypeVar("T", bound=Cacheable)


class TableCache(Generic[T]):
    """Tables by digest. The least recently used ones are evicted for new ones. Not thread-safe.

    A pinned table that is evicted counts until it is no longer pinned. So `nbytes` stays within `capacity`, as long as
    memory is reserved before it is allocated.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._kept_bytes = 0
        self._reserved = 0
        self._evicted_in_use: list[T] = []

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes of the cached tables, of the evicted ones that are still pinned, and of what is reserved."""
        self._evicted_in_use = [item for item in self._evicted_in_use if item.is_pinned]
        return self._kept_bytes + self._reserved + sum(item.nbytes for item in self._evicted_in_use)

    def get(self, digest: str) -> T | None:
        """The table, which becomes the most recently used one; None where it is not cached."""
        item = self._kept.get(digest)
        if item is not None:
            self._kept.move_to_end(digest)
        return item

    def reserve(self, nbytes: int) -> bool:
        """Reserve bytes for a table that is about to be loaded; tables that are not pinned are evicted for it.

        Returns False where there is no room. Give the bytes back with `release`, whether the table was added or not.
        """
        if nbytes > self.capacity or self._free(nbytes) < nbytes:
            return False
        self._reserved += nbytes
        return True

    def release(self, nbytes: int) -> None:
        """Give reserved bytes back. Where the table that was added takes more than that, others are evicted for it."""
        self._reserved -= nbytes
        self._free(0)

    def _free(self, nbytes: int) -> int:
        """Evict the least recently used tables, but pinned ones, until so many bytes are free. Returns how many are."""
        free = self.capacity - self.nbytes
        evicted: list[T] = []
        for item in self._kept.values() if free < nbytes else ():
            if not item.is_pinned:
                evicted.append(item)
                free += item.nbytes
            if free >= nbytes:
                break
        for item in evicted:
            self.evict(item.digest)
        return free

    def add(self, item: T) -> T:
        """Cache a table as the most recently used one. Returns the copy that was there first, where there was one."""
        if (known := self.get(item.digest)) is not None:
            return known
        self._kept[item.digest] = item
        self._kept_bytes += item.nbytes
        return item

    def resized(self, item: T, before: int) -> None:
        """Count a table anew that took `before` bytes until now; others are evicted where it has grown."""
        if self._kept.get(item.digest) is item:
            self._kept_bytes += item.nbytes - before
            self._free(0)

    def evict(self, digest: str) -> None:
        """Remove the table from the cache; nothing where it is not in it."""
        item = self._kept.pop(digest, None)
        if item is None:
            return
        self._kept_bytes -= item.nbytes
        if item.is_pinned:
            self._evicted_in_use.append(item)
