"""Response bodies of tables that are not in memory: read from the store, or written as text, while they are sent."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Self

from service.concurrency.executors import Executors
from service.tables.formats import TableText
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


class TextExtent(NamedTuple):
    """What a text is known to be once it was written: where each of its blocks ends, and the SHA-256 of all of it.

    It takes 8 bytes per block of a few thousand values, so that ranges of the text need no copy of it.
    """

    ends: array[int]
    sha256: bytes

    @classmethod
    async def of(cls, text: TableText, executors: Executors) -> Self:
        """Write the whole text once, block by block. Raises `QueueFullError` if too many texts are being written."""
        ends, hasher, length = array("q"), hashlib.sha256(), 0
        async for block in executors.blocks(map(text.block, range(text.blocks))):
            hasher.update(block)
            length += len(block)
            ends.append(length)
        return cls(ends, hasher.digest())


class TextBody:
    """The body of a table's response as text. Only the blocks in which the requested bytes are get written.

    Args:
        text: the table as text.
        extent: of the same text.
        executors: the threads that write it.
        pin: keeps the table in memory, for a `with` block.
    """

    def __init__(
        self, text: TableText, extent: TextExtent, executors: Executors, pin: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.length = extent.ends[-1]
        self._text = text
        self._ends = extent.ends
        self._executors = executors
        self._pin = pin

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` until `stop`, block by block."""
        first, last = bisect_right(self._ends, start), bisect_left(self._ends, stop)
        place = self._ends[first - 1] if first else 0
        with self._pin():
            async for block in self._executors.blocks(map(self._text.block, range(first, last + 1))):
                yield block[max(start - place, 0) : stop - place]
                place += len(block)
