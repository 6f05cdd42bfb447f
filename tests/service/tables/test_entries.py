"""Tables that are ready to be sent, with whatever is prepared of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import Table
from service.database.tables import SpecRow
from service.storage.local import LocalStore
from service.tables.entries import MemoryEntry, StreamedEntry
from service.tables.origins import Claim, Origin
from service.tables.repository import table_key
from service.tables.stored import TableReader

TABLE = Table({"lr": [0.5, 0.25, 0.125]})
FACT = Origin(fact=SpecRow("id", "{}", TABLE.digest, 1.5))


class Label:
    """What a test prepares of a table: its first value, and where it is from."""

    nbytes = 100
    is_sending = False

    def __init__(self, first: float) -> None:
        self.first = first
        self.origin: Origin | None = None

    def describe(self, origin: Origin) -> None:
        """Keep where the table is from."""
        self.origin = origin


class Labels:
    """Prepares labels."""

    def in_memory(self, table: Table) -> Label:
        """The label of a table in memory."""
        return Label(float(table.lr[0]))

    def stored(self, table: TableReader) -> Label:
        """The label of a table in the store."""
        return Label(table.columns["lr"][0])


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[TableReader]:
    store = LocalStore(tmp_path)
    store.put(table_key(TABLE.digest), TABLE.parts())
    yield TableReader(store, table_key(TABLE.digest), len(TABLE.to_bytes()))
    store.close()


def test_what_is_prepared_is_kept_with_the_table(reader: TableReader) -> None:
    """An entry has what was prepared of its table, wherever the values are."""
    for entry in (MemoryEntry(TABLE, Labels()), StreamedEntry(reader, Labels())):
        assert (entry.digest, entry.table.digest, entry.rendered.first) == (TABLE.digest, TABLE.digest, 0.5)


def test_what_is_prepared_counts_as_memory(reader: TableReader) -> None:
    """An entry takes what is prepared of it, and the values in memory or the checks of those in the store."""
    assert MemoryEntry(TABLE, Labels()).nbytes == 100 + TABLE.nbytes
    assert StreamedEntry(reader, Labels()).nbytes > 100


def test_only_a_fact_describes_a_table() -> None:
    """What a publisher says is passed on, and may still be replaced; what was computed here is final."""
    entry, claim = MemoryEntry(TABLE, Labels()), Origin(claim=Claim(spec=None, provenance={}))
    entry.describe(claim)
    assert (entry.is_described, entry.rendered.origin) == (False, claim)
    entry.describe(FACT)
    assert (entry.is_described, entry.rendered.origin) == (True, FACT)


def test_memory_in_use_is_pinned(reader: TableReader) -> None:
    """A table in memory is pinned while it is read or sent; of one in the store, nothing stays in memory."""
    entry, streamed = MemoryEntry(TABLE, Labels()), StreamedEntry(reader, Labels())
    with entry.pin(), entry.pin(), streamed.pin():
        assert entry.is_pinned
        assert not streamed.is_pinned
    assert not entry.is_pinned
    entry.rendered.is_sending = True
    assert entry.is_pinned


def test_a_file_that_changed_is_found_by_its_entry(reader: TableReader) -> None:
    """An entry whose file has changed since it was verified says so; one in memory stays what it was."""
    entry = StreamedEntry(reader, Labels())
    assert not entry.is_damaged
    reader.is_damaged = True
    assert entry.is_damaged
    assert not MemoryEntry(TABLE, Labels()).is_damaged
