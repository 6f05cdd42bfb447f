"""Response bodies that are read from the store while they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

from service.concurrency.executors import Executors
from service.tables.stored import CHUNK, TableReader


class StoredBody:
    """The body of a stored table's response: a header, and values that are read and checked while they are sent.

    Reading raises `TableError` if the table has changed since it was verified; the bytes before that are correct.
    Raises `QueueFullError` if too many bodies are being read.
    """

    def __init__(self, table: TableReader, executors: Executors, start: bytes) -> None:
        self.length = len(start) + table.nbytes
        self._table = table
        self._executors = executors
        self._start = start
        self._shift = table.header_size - len(start)  # from an offset in this body to that in the table's file

    async def read(self, start: int, stop: int) -> AsyncIterator[memoryview]:
        """Yield the bytes from `start` until `stop`, chunk by chunk."""
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
