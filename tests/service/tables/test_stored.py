"""Tables that stay in the store."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scheduler import Spec, Table, TableError
from scheduler.builtin import OneCycleLR
from service.representations.manifest import Manifest
from service.representations.values import ValuesQuery, select
from service.storage.local import LocalStore
from service.tables.formats import CsvText, JsonText, TableText
from service.tables.origins import Origin
from service.tables.repository import table_key
from service.tables.stored import CHUNK, TableReader

STEPS = 100_000  # with two columns: several chunks, and one in which the columns meet


@pytest.fixture(scope="module")
def table() -> Table:
    return Table.compute(Spec(schedule=OneCycleLR(max_lr=0.1, total_steps=STEPS), total_steps=STEPS))


@pytest.fixture
def store(tmp_path: Path, table: Table) -> Iterator[LocalStore]:
    store = LocalStore(tmp_path)
    store.put(table_key(table.digest), table.parts())
    yield store
    store.close()


@pytest.fixture
def stored(store: LocalStore, table: Table) -> TableReader:
    return TableReader(store, table_key(table.digest), len(table.to_bytes()))


def blocks(text: TableText) -> list[bytes]:
    """Every block of a text."""
    return [text.block(index) for index in range(text.blocks)]


def test_it_tells_what_the_table_tells(table: Table, stored: TableReader) -> None:
    """Its manifest, texts and values are those of the same table in memory."""
    assert len(table.columns) == 2
    assert (stored.digest, stored.header, stored.nbytes) == (table.digest, table.header, table.nbytes)
    assert Manifest.of(stored, Origin()) == Manifest.of(table, Origin())
    for text in (JsonText, CsvText):
        assert b"".join(blocks(text(stored))) == b"".join(blocks(text(table)))
    for query in (ValuesQuery(), ValuesQuery(start=70, stop=99_990, points=50), ValuesQuery(steps="99999,0,5,65536")):
        assert select(stored, query, 10_000) == select(table, query, 10_000)


def test_any_rows_are_the_arrays(table: Table, stored: TableReader) -> None:
    """Slices and lists of rows, within a chunk and across, are what an array gives."""
    random = np.random.default_rng(0)
    for name, column in stored.columns.items():
        for _ in range(20):
            start, stop = sorted(random.integers(0, STEPS, 2).tolist())
            assert column[start:stop].tobytes() == table.columns[name][start:stop].tobytes()
            rows = random.integers(0, STEPS, 50)
            assert column[rows].tobytes() == table.columns[name][rows].tobytes()
        assert column[5:5].size == 0


@pytest.mark.parametrize("at", [0, 20, 200, 1000, -1])
def test_a_changed_byte_is_found_at_the_start(store: LocalStore, table: Table, at: int) -> None:
    """A table with one changed bit, in its header or its values, is refused."""
    path = store.directory / table_key(table.digest)
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)
    with pytest.raises(TableError, match="table"):
        TableReader(store, table_key(table.digest), len(content))


def test_a_byte_that_changes_later_is_not_read(store: LocalStore, table: Table, stored: TableReader) -> None:
    """A chunk that is no longer what it was is an error, and the other chunks are still read."""
    path = store.directory / table_key(table.digest)
    content = bytearray(path.read_bytes())
    content[CHUNK + 9] ^= 1
    path.write_bytes(content)
    assert stored.chunk(0) == content[:CHUNK]
    with pytest.raises(TableError, match="its file has changed"):
        stored.chunk(1)
    path.write_bytes(content[: 2 * CHUNK + 1])
    with pytest.raises(TableError, match="missing or truncated"):
        stored.chunk(2)
    path.unlink()
    with pytest.raises(TableError, match="missing or truncated"):
        stored.chunk(0)


MEASURE = """
import gc, sys, tracemalloc
from contextlib import closing
from pathlib import Path
import numpy as np
from scheduler import Table
from service.tables.repository import table_key
from service.representations.manifest import Manifest
from service.tables.origins import Origin
from service.storage.local import LocalStore
from service.tables.stored import TableReader
from service.representations.values import ValuesQuery, select

with closing(LocalStore(Path(sys.argv[1]))) as store:
    stored = []
    for number in range(4):
        table = Table({f"c{column}": np.linspace(number, column, 20_000) for column in range(64)})
        store.put(table_key(table.digest), table.parts())
        stored.append((table_key(table.digest), len(table.to_bytes())))
    del table
    gc.collect()
    tracemalloc.start()
    tables = [TableReader(store, key, size) for key, size in stored]
    for kept in tables:
        Manifest.of(kept, Origin())
    print(tracemalloc.get_traced_memory()[0])
    for kept in tables:
        select(kept, ValuesQuery(steps="0,10000,19999"), 10_000)
    print(tracemalloc.get_traced_memory()[0])
"""


def test_reading_takes_bounded_memory(tmp_path: Path) -> None:
    """However many columns of however many tables are read, and the tables kept, it takes what a few chunks take.

    Measured in a process of its own: in this one, what other tests have left behind may allocate meanwhile.
    """
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "data")]
    verified, read = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert verified < 2 * CHUNK
    assert read < 130 * CHUNK


def test_reading_on_costs_a_read_per_chunk(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's file is read once to verify it, and once for all values that are asked for, in whatever order."""
    table = Table({"lr": np.linspace(0, 1, STEPS), "momentum": np.linspace(1, 2, STEPS)})
    store.put(table_key(table.digest), table.parts())
    reads, read = Counter[int](), store.read

    def counted(key: str, start: int, stop: int) -> memoryview | None:
        reads[start // CHUNK] += stop - start > 8
        return read(key, start, stop)

    monkeypatch.setattr(store, "read", counted)
    stored = TableReader(store, table_key(table.digest), len(table.to_bytes()))
    Manifest.of(stored, Origin())
    reads.clear()
    select(stored, ValuesQuery(), 10_000)
    b"".join(blocks(CsvText(stored)))
    assert dict(reads) == dict.fromkeys(range(stored.chunks), 1)
