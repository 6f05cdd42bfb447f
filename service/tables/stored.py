"""Tables whose values stay in the store. They are verified once, and each chunk is checked again when it is read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from scheduler import TableError
from scheduler.fields import Values
from scheduler.table_format import LENGTH, FileHeader, header_size
from service.storage.store import ObjectStore

CHUNK = 2**18  # bytes read at a time: a multiple of 8, as the header is, so that no value spans two chunks
_CACHED_CHUNKS = 128  # 32 MiB: two for each of 64 columns, which CSV reads in parallel


class _ChunkCache:
    """An LRU cache of chunks by their SHA-256. With it, reading a table from start to end reads each chunk once.

    All tables share one cache, as there may be thousands of tables.
    """

    def __init__(self) -> None:
        self._chunks: dict[bytes, memoryview] = {}  # the most recently used one is last
        self._lock = threading.Lock()

    def get(self, check: bytes, read: Callable[[], memoryview]) -> memoryview:
        """Return the chunk with this SHA-256. It is read if it is not cached."""
        with self._lock:
            chunk = self._chunks.pop(check, None)
        if chunk is None:
            chunk = read()
        with self._lock:
            self._chunks[check] = chunk
            if len(self._chunks) > _CACHED_CHUNKS:
                del self._chunks[next(iter(self._chunks))]
        return chunk


_chunk_cache = _ChunkCache()


class TableReader:
    """A `ReadableTable` whose values stay in the store, and are read on access.

    The constructor reads and verifies the whole file. Chunks read later are compared with their checksums. Every method
    blocks. Raises `TableError` if the object is no table, does not match its digest, has no checksum of its header, or
    has changed since.

    `header` and `sha256` are those of the file as this version writes it. An earlier version may have stored another
    header, of `header_size` bytes. `is_damaged` is whether the object was found changed.
    """

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._size = size
        self.is_damaged = False
        self._store = store
        self._key = key
        header_bytes = self._read(0, header_size(self._read(0, LENGTH.size), size))
        header = FileHeader.from_bytes(header_bytes, size)
        self.header_size = header.size
        self.layout = header.layout
        self.axis, self.stride, self.after = self.layout.axis, self.layout.stride, self.layout.after
        self.total_steps = self.layout.total_steps
        self.nbytes = self.layout.nbytes
        self.digest = header.digest
        self.header = self.layout.header(header.digest)
        self._checks: list[bytes] = []
        self.columns = self._verified(header)

    def _verified(self, header: FileHeader) -> dict[str, StoredColumn]:
        """Read and verify all bytes, and return the columns."""
        if header.size % 8 or not header.checked:
            raise TableError("damaged table: its header is not one that this service writes")
        file_hasher, hasher = hashlib.sha256(self.header), self.layout.hasher()
        columns = {
            name: StoredColumn(self, header.size // 8 + index * self.total_steps, self.total_steps)
            for index, name in enumerate(self.layout.columns)
        }
        for start in range(0, self._size, CHUNK):
            data = self._read(start, min(start + CHUNK, self._size))
            self._checks.append(hashlib.sha256(data).digest())
            values = data[max(header.size - start, 0) :]
            file_hasher.update(values)
            hasher.update(values)
            _take(np.frombuffer(values, "<f8"), max(start - header.size, 0) // 8, list(columns.values()))
        if hasher.hexdigest() != header.digest:
            raise TableError(f"damaged table: its values have the digest {hasher.hexdigest()}, not {header.digest}")
        self.sha256 = file_hasher.digest()
        return columns

    @property
    def chunks(self) -> int:
        """The number of chunks of the file."""
        return len(self._checks)

    def chunk(self, index: int) -> memoryview:
        """Return CHUNK bytes of the file, or fewer at its end, from CHUNK * index on. Raises if they have changed."""
        start = CHUNK * index
        data = self._read(start, min(start + CHUNK, self._size))
        if hashlib.sha256(data).digest() != self._checks[index]:
            self.is_damaged = True
            raise TableError("damaged table: its file has changed")
        return data

    def values(self, index: int) -> Values:
        """Return the values of a chunk. Recently read chunks are cached."""
        return np.frombuffer(_chunk_cache.get(self._checks[index], lambda: self.chunk(index)), "<f8")

    def _read(self, start: int, stop: int) -> memoryview:
        data = self._store.read(self._key, start, stop)
        if data is None or len(data) != stop - start:
            self.is_damaged = True
            raise TableError("damaged table: its file is missing or truncated")
        return data


class StoredColumn:
    """A column of a stored table. `column[a:b]` and `column[steps]` read values as from an array.

    The smallest, largest, first and last value need no reading.
    """

    def __init__(self, table: TableReader, first: int, rows: int) -> None:
        self._table = table
        self._first = first  # offset of the column in the file, in values
        self._rows = rows
        self._lowest, self._highest = np.inf, -np.inf
        self._ends: dict[int, float] = {}

    def __len__(self) -> int:
        return self._rows

    def min(self) -> float:
        """The smallest value."""
        return self._lowest

    def max(self) -> float:
        """The largest value."""
        return self._highest

    def take(self, values: Values) -> None:
        """Add the next values of this column to its statistics. Raises `TableError` if one is not finite."""
        if not np.isfinite(values).all():
            raise TableError("not a table: a value is not finite")
        self._lowest = min(self._lowest, float(values.min()))
        self._highest = max(self._highest, float(values.max()))
        self._ends = {0: float(values[0])} | self._ends | {-1: float(values[-1])}

    @overload
    def __getitem__(self, rows: Literal[0, -1]) -> float: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Values: ...
    def __getitem__(self, rows: Literal[0, -1] | slice | NDArray[np.int64]) -> float | Values:
        if isinstance(rows, int):
            return self._ends[rows]
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(self._rows)
            return np.concatenate([*self._parts(start, stop), np.empty(0)])
        return self._gather(rows)

    def _parts(self, start: int, stop: int) -> Iterator[Values]:
        """Yield the values of a range of rows, chunk by chunk."""
        while start < stop:
            chunk, offset = divmod(self._first + start, CHUNK // 8)
            part = self._table.values(chunk)[offset : offset + stop - start]
            yield part
            start += len(part)

    def _gather(self, rows: NDArray[np.int64]) -> Values:
        places = self._first + rows
        found = np.empty(len(rows))
        for chunk in np.unique(places // (CHUNK // 8)).tolist():
            here = places // (CHUNK // 8) == chunk
            found[here] = self._table.values(chunk)[places[here] - chunk * (CHUNK // 8)]
        return found


def _take(values: Values, position: int, columns: list[StoredColumn]) -> None:
    """Add values to the statistics of their columns. `position` is the index of the first one among all values."""
    while len(values):
        column, row = divmod(position, columns[0]._rows)
        part = values[: columns[0]._rows - row]
        columns[column].take(part)
        position += len(part)
        values = values[len(part) :]
