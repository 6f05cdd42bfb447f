"""Cache entries: verified tables, in memory or in the store, each with what was prepared of it, as its responses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from typing_extensions import override

from scheduler import Table
from service.tables.origins import Origin
from service.tables.readable import ReadableTable
from service.tables.stored import TableReader

_PER_CHUNK = 100  # bytes of the check of a chunk, about


class Rendered(Protocol):
    """What is prepared of a table once, and kept in its cache entry, such as its responses."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes, without that of the table's values."""

    @property
    def is_sending(self) -> bool:
        """Whether the table's values are being sent now, which keeps them in memory."""

    def describe(self, origin: Origin) -> None:
        """Prepare what tells the table's origin. Called again where a fact replaces a claim; a fact is final."""


R = TypeVar("R", bound=Rendered)
R_co = TypeVar("R_co", bound=Rendered, covariant=True)


class Renderer(Protocol[R_co]):
    """Prepares what is kept in a table's entry. It may read all values, so it runs outside the event loop."""

    def in_memory(self, table: Table) -> R_co:
        """What is kept with a table in memory. It copies no values."""

    def stored(self, table: TableReader) -> R_co:
        """What is kept with a table that stays in the store."""


class Entry(Generic[R]):
    """A cache entry: a verified table, and what was prepared of it.

    `is_described` says whether what was prepared tells the table's origin, and that origin is final.

    Args:
        table: the table.
        rendered: what was prepared of it.
    """

    def __init__(self, table: ReadableTable, rendered: R) -> None:
        self.digest = table.digest
        self.table = table
        self.rendered = rendered
        self.is_described = False
        self._pins = 0

    @property
    def nbytes(self) -> int:
        """The memory that the entry takes, Python objects included."""
        return self.rendered.nbytes

    @property
    def is_pinned(self) -> bool:
        """Whether the memory of the values is in use: to evict the entry would free nothing yet."""
        return False

    @property
    def is_damaged(self) -> bool:
        """Whether the stored values have been found changed since they were verified: the entry is of no use then."""
        return False

    def describe(self, origin: Origin) -> None:
        """Let what was prepared tell the table's origin."""
        self.rendered.describe(origin)
        self.is_described = origin.fact is not None

    @contextmanager
    def pin(self) -> Iterator[None]:
        """Count the entry as in use for a `with` block that reads the values."""
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
    """A table whose values stay in the store. In memory are the checks of its chunks, and what was prepared of it."""

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
