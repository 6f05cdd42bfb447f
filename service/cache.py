"""Tables kept in memory, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict

from service.ready import ReadyTable


class TableCache:
    """Ready tables by digest, the least recently used ones dropped beyond `capacity` bytes. Not for several threads.

    The table kept last stays, however large it is: a herd that asks for it shares one copy.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.nbytes = 0
        self._kept: OrderedDict[str, ReadyTable] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: str) -> ReadyTable | None:
        """The table, now the most recently used one; None where it is not kept."""
        ready = self._kept.get(digest)
        if ready is not None:
            self._kept.move_to_end(digest)
        return ready

    def keep(self, ready: ReadyTable) -> ReadyTable:
        """Keep a table as the most recently used one; what is returned is the copy that was there first."""
        digest = ready.table.digest
        if (known := self.get(digest)) is not None:
            return known
        self._kept[digest] = ready
        self.nbytes += ready.nbytes
        while self.nbytes > self.capacity and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self.nbytes -= dropped.nbytes
        return ready
