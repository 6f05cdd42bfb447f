"""Bodies that are read from the store while they are sent."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import Spec, Table
from scheduler.builtin import OneCycleLR
from service.concurrency.executors import Executors
from service.representations.stored_body import StoredBody
from service.storage.local import LocalStore
from service.tables.formats import npy_header, npy_parts
from service.tables.repository import table_key
from service.tables.stored import CHUNK, TableReader

STEPS = 100_000  # with two columns: several chunks, and one in which the columns meet


@pytest.fixture(scope="module")
def table() -> Table:
    return Table.compute(Spec(schedule=OneCycleLR(max_lr=0.1, total_steps=STEPS), total_steps=STEPS))


@pytest.fixture
def stored(tmp_path: Path, table: Table) -> Iterator[TableReader]:
    store = LocalStore(tmp_path)
    store.put(table_key(table.digest), table.parts())
    yield TableReader(store, table_key(table.digest), len(table.to_bytes()))
    store.close()


@pytest.mark.parametrize("places", [(0, None), (0, 1), (7, 200), (CHUNK - 5, CHUNK + 5), (3 * CHUNK, None), (129, 130)])
def test_a_body_is_read_by_the_piece(table: Table, stored: TableReader, places: tuple[int, int | None]) -> None:
    """Any range of the safetensors and of the npy file is read as it would be sent from memory."""
    executors = Executors()
    bodies = [
        (StoredBody(stored, executors, stored.header), table.to_bytes()),
        (StoredBody(stored, executors, npy_header(table.layout)), b"".join(npy_parts(table))),
    ]

    async def read(body: StoredBody) -> bytes:
        start, stop = places[0], body.length if places[1] is None else places[1]
        return b"".join([bytes(piece) async for piece in body.read(start, stop)])

    for body, whole in bodies:
        assert body.length == len(whole)
        assert asyncio.run(read(body)) == whole[slice(*places)]
    executors.close()
