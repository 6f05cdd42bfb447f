"""A response's body that is read from the store while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

from service.concurrency.executors import Executors
from service.tables.stored import CHUNK, TableReader


class StoredBody:
    """A file that is made of a header and a stored table's values: read, and checked, while it is sent.

    Reading raises `TableError` where the table has changed since it was verified; what was sent until then is right.
    Raises `QueueFullError` where too many are being read.
    """

    def __init__(self, table: TableReader, executors: Executors, start: bytes) -> None:
        self.length = len(start) + table.nbytes
        self._table = table
        self._executors = executors
        self._start = start
        self._shift = table.header_size - len(start)  # from a place in this body to the place in the table's file

    async def read(self, start: int, stop: int) -> AsyncIterator[memoryview]:
        """The bytes from `start` up to but without `stop`, a chunk at a time."""
        with self._executors.streaming():
            if start < len(self._start):
                yield memoryview(self._start)[start:stop]
            place, end = max(start, len(self._start)) + self._shift, stop + self._shift
            while place < end:
                index, offset = divmod(place, CHUNK)
                chunk = await self._executors.storage(self._table.chunk, index)
                part = chunk[offset : offset + end - place]
                yield part
                place += len(part)
