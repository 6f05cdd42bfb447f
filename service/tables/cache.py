"""Tables kept in memory, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Cacheable(Protocol):
    """What a cache keeps."""

    @property
    def digest(self) -> str:
        """The table's digest."""

    @property
    def nbytes(self) -> int:
        """The memory it takes."""

    @property
    def is_pinned(self) -> bool:
        """Whether an answer is being sent out of that memory now: dropping it frees nothing yet."""


T = TypeVar("T", bound=Cacheable)


class TableCache(Generic[T]):
    """Tables by digest, the least recently used ones dropped for new ones. Not for several threads.

    A table that is being sent when it is dropped counts until it was sent: `nbytes` stays within `capacity`, as long
    as memory is reserved before it is taken.
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
        """Bytes of the tables that are kept, of those dropped that are still being sent, and what is reserved."""
        self._evicted_in_use = [item for item in self._evicted_in_use if item.is_pinned]
        return self._kept_bytes + self._reserved + sum(item.nbytes for item in self._evicted_in_use)

    def get(self, digest: str) -> T | None:
        """The table, now the most recently used one; None where it is not kept."""
        item = self._kept.get(digest)
        if item is not None:
            self._kept.move_to_end(digest)
        return item

    def reserve(self, nbytes: int) -> bool:
        """Set bytes aside for a table that is about to be kept; others, but those being sent, are dropped for it.

        False where there is no room. What was reserved is given back by `release`, once the table is kept or is not.
        """
        if nbytes > self.capacity or self._free(nbytes) < nbytes:
            return False
        self._reserved += nbytes
        return True

    def release(self, nbytes: int) -> None:
        """Give back what was reserved; where a table that was kept meanwhile takes more, others make room for it."""
        self._reserved -= nbytes
        self._free(0)

    def _free(self, nbytes: int) -> int:
        """Drop what was used least recently and is not being sent, until so many bytes are free; how many are then."""
        free = self.capacity - self.nbytes
        leaving: list[T] = []
        for item in self._kept.values() if free < nbytes else ():
            if not item.is_pinned:
                leaving.append(item)
                free += item.nbytes
            if free >= nbytes:
                break
        for item in leaving:
            self.drop(item.digest)
        return free

    def add(self, item: T) -> T:
        """Keep a table as the most recently used one; what is returned is the copy that was there first."""
        if (known := self.get(item.digest)) is not None:
            return known
        self._kept[item.digest] = item
        self._kept_bytes += item.nbytes
        return item

    def resized(self, item: T, before: int) -> None:
        """Count a table's memory anew, which was so much before; others make room for it."""
        if self._kept.get(item.digest) is item:
            self._kept_bytes += item.nbytes - before
            self._free(0)

    def drop(self, digest: str) -> None:
        """Keep the table no longer."""
        item = self._kept.pop(digest, None)
        if item is None:
            return
        self._kept_bytes -= item.nbytes
        if item.is_pinned:
            self._evicted_in_use.append(item)
