"""Cache entries: verified tables, in memory or in the store, each with prepared data such as its responses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from typing_extensions import override

from scheduler import Table
from service.tables.origins import Origin
from service.tables.readable import ReadableTable
from service.tables.stored import TableReader

_PER_CHUNK = 100  # bytes that the checksum of a chunk takes, about


class Rendered(Protocol):
    """Data that is prepared once per table and stored in its cache entry, such as its responses."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes, without the table's values."""

    @property
    def is_sending(self) -> bool:
        """Whether the table's values are being sent, so that their memory is in use."""

    def describe(self, origin: Origin) -> None:
        """Prepare the data that depends on the table's origin. Called again if a fact replaces a claim."""


R = TypeVar("R", bound=Rendered)
R_co = TypeVar("R_co", bound=Rendered, covariant=True)


class Renderer(Protocol[R_co]):
    """Prepares the data in a table's cache entry. It may read all values, so it runs outside the event loop."""

    def in_memory(self, table: Table) -> R_co:
        """Return the data for a table in memory, without a copy of its values."""

    def stored(self, table: TableReader) -> R_co:
        """Return the data for a table whose values stay in the store."""


class Entry(Generic[R]):
    """A cache entry: a verified table and the data prepared for it.

    `is_described` is whether the prepared data includes the table's origin, and that origin is final.

    Args:
        table: the table.
        rendered: the prepared data.
    """

    def __init__(self, table: ReadableTable, rendered: R) -> None:
        self.digest = table.digest
        self.table = table
        self.rendered = rendered
        self.is_described = False
        self._pins = 0

    @property
    def nbytes(self) -> int:
        """The memory that the entry takes, including Python objects."""
        return self.rendered.nbytes

    @property
    def is_pinned(self) -> bool:
        """Whether the memory of the values is in use. Evicting the entry would not free it."""
        return False

    @property
    def is_damaged(self) -> bool:
        """Whether the stored values have changed since they were verified. The entry must then be discarded."""
        return False

    def describe(self, origin: Origin) -> None:
        """Add the table's origin to the prepared data."""
        self.rendered.describe(origin)
        self.is_described = origin.fact is not None

    @contextmanager
    def pin(self) -> Iterator[None]:
        """Pin the entry for a `with` block that reads the values."""
        self._pins += 1
        try:
            yield
        finally:
            self._pins -= 1


class MemoryEntry(Entry[R]):
    """A table whose values are in memory. Construct it outside the event loop: the renderer may read all values."""

    def __init__(self, table: Table, renderer: Renderer[R]) -> None:
        super().__init__(table, renderer.in_memory(table))

    @property
    @override
    def nbytes(self) -> int:
        return self.rendered.nbytes + self.table.nbytes

    @property
    @override
    def is_pinned(self) -> bool:
        return self._pins > 0 or self.rendered.is_sending


class StreamedEntry(Entry[R]):
    """A table whose values stay in the store. Only the checksums of its chunks and the prepared data are in memory."""

    def __init__(self, table: TableReader, renderer: Renderer[R]) -> None:
        super().__init__(table, renderer.stored(table))
        self._reader = table

    @property
    @override
    def nbytes(self) -> int:
        return self.rendered.nbytes + _PER_CHUNK * self._reader.chunks

    @property
    @override
    def is_damaged(self) -> bool:
        return self._reader.is_damaged
