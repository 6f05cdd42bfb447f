"""An LRU cache of tables, bounded by the memory that they take."""

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
        """Whether the memory is in use, for instance by a response being sent. Evicting the table would not free it."""


T = TypeVar("T", bound=Cacheable)


class TableCache(Generic[T]):
    """Tables by digest. The least recently used ones are evicted for new ones. Not thread-safe.

    A pinned table that is evicted counts until it is no longer pinned. So `nbytes` stays within `capacity`, as long as
    memory is reserved before it is allocated.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._cached: OrderedDict[str, T] = OrderedDict()
        self._cached_bytes = 0
        self._reserved = 0
        self._evicted_in_use: list[T] = []

    def __len__(self) -> int:
        return len(self._cached)

    @property
    def nbytes(self) -> int:
        """Bytes of the cached tables, of the evicted ones that are still pinned, and of what is reserved."""
        self._evicted_in_use = [item for item in self._evicted_in_use if item.is_pinned]
        return self._cached_bytes + self._reserved + sum(item.nbytes for item in self._evicted_in_use)

    def get(self, digest: str) -> T | None:
        """Return the table, and make it the most recently used one; None if it is not cached."""
        item = self._cached.get(digest)
        if item is not None:
            self._cached.move_to_end(digest)
        return item

    def reserve(self, nbytes: int) -> bool:
        """Reserve bytes for a table that is about to be loaded. Unpinned tables are evicted for it.

        Return False if there is not enough space. `release` the bytes later, whether the table was added or not.
        """
        if nbytes > self.capacity or self._free(nbytes) < nbytes:
            return False
        self._reserved += nbytes
        return True

    def release(self, nbytes: int) -> None:
        """Release reserved bytes. If the added table takes more than those, other tables are evicted."""
        self._reserved -= nbytes
        self._free(0)

    def _free(self, nbytes: int) -> int:
        """Evict the least recently used unpinned tables until `nbytes` are free. Return the number of free bytes."""
        free = self.capacity - self.nbytes
        evicted: list[T] = []
        for item in self._cached.values() if free < nbytes else ():
            if not item.is_pinned:
                evicted.append(item)
                free += item.nbytes
            if free >= nbytes:
                break
        for item in evicted:
            self.evict(item.digest)
        return free

    def add(self, item: T) -> T:
        """Cache a table as the most recently used one. Return the cached copy if there already is one."""
        if (existing := self.get(item.digest)) is not None:
            return existing
        self._cached[item.digest] = item
        self._cached_bytes += item.nbytes
        return item

    def resized(self, item: T, before: int) -> None:
        """Update the size of a table that took `before` bytes. If it has grown, other tables may be evicted."""
        if self._cached.get(item.digest) is item:
            self._cached_bytes += item.nbytes - before
            self._free(0)

    def evict(self, digest: str) -> None:
        """Remove the table from the cache, if it is cached."""
        item = self._cached.pop(digest, None)
        if item is None:
            return
        self._cached_bytes -= item.nbytes
        if item.is_pinned:
            self._evicted_in_use.append(item)
