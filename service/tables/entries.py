"""Tables that are ready to be sent: verified, in memory or in the store, with what is prepared for those who ask."""

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
    """What is prepared of a table once, and kept with it, such as its responses."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes, without the table's values."""

    @property
    def is_sending(self) -> bool:
        """Whether the table's values are being sent now, which keeps them in memory."""

    def describe(self, origin: Origin) -> None:
        """Prepare what says where the table is from. A claim may be replaced by a fact later; a fact is final."""


R = TypeVar("R", bound=Rendered)
R_co = TypeVar("R_co", bound=Rendered, covariant=True)


class Renderer(Protocol[R_co]):
    """Prepares what is kept with a table. That may read all of its values: not for the event loop."""

    def in_memory(self, table: Table) -> R_co:
        """What is kept with a table in memory. No value is copied."""

    def stored(self, table: TableReader) -> R_co:
        """What is kept with a table that stays in the store."""


class Entry(Generic[R]):
    """A table that is ready to be sent, and what is prepared of it.

    Args:
        table: the table, verified.
        rendered: what is prepared of it. `is_described` says whether that has all that there is to say of its origin.
    """

    def __init__(self, table: ReadableTable, rendered: R) -> None:
        self.digest = table.digest
        self.table = table
        self.rendered = rendered
        self.is_described = False
        self._pins = 0

    @property
    def nbytes(self) -> int:
        """The memory that all of it takes, the objects around the values included."""
        return self.rendered.nbytes

    @property
    def is_pinned(self) -> bool:
        """Whether the memory of the values is in use, and would be though the entry were dropped."""
        return False

    @property
    def is_damaged(self) -> bool:
        """Whether the values were found to have changed since they were verified: then this is of no use any more."""
        return False

    def describe(self, origin: Origin) -> None:
        """Say where the table is from."""
        self.rendered.describe(origin)
        self.is_described = origin.fact is not None

    @contextmanager
    def pin(self) -> Iterator[None]:
        """Count the entry as in use for a `with` block, which reads the values."""
        self._pins += 1
        try:
            yield
        finally:
            self._pins -= 1


class MemoryEntry(Entry[R]):
    """A table in memory. To make it takes time: not for the event loop."""

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
    """A table that is read from the store whenever it is sent: in memory are its checks, and what is prepared of it."""

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
