"""Bodies that are read from the store, or written as text, while they are sent."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from scheduler import Spec, Table, TableError
from scheduler.builtin import OneCycleLR
from service.concurrency.executors import Executors
from service.representations.table_bodies import StoredBody, TextBody, TextExtent
from service.storage.local import LocalStore
from service.tables.formats import CsvText, JsonText, TableText, npy_header, npy_parts
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


class Counting:
    """A text that counts the blocks that are written of it."""

    def __init__(self, text: TableText) -> None:
        self.text = text
        self.written = 0

        self.blocks = text.blocks

    def block(self, index: int) -> bytes:
        self.written += 1
        return self.text.block(index)


@pytest.mark.parametrize("kind", [CsvText, JsonText])
def test_a_range_of_a_text_writes_the_blocks_that_it_touches(
    table: Table, stored: TableReader, kind: type[CsvText | JsonText]
) -> None:
    """From memory and from the store, every range of a text is its own bytes, and little more of it is written."""
    whole = b"".join(map(kind(table).block, range(kind(table).blocks)))
    executors = Executors()

    async def read(text: Counting, body: TextBody, start: int, stop: int) -> tuple[bytes, int]:
        text.written = 0
        return b"".join([piece async for piece in body.read(start, stop)]), text.written

    async def check(text: Counting) -> None:
        extent = await TextExtent.of(text, executors)
        assert (extent.sha256, extent.ends[-1]) == (hashlib.sha256(whole).digest(), len(whole))
        assert len(extent.ends) == text.blocks < len(whole) / 10_000
        body = TextBody(text, extent, executors, nullcontext)
        end, joint = extent.ends[0], extent.ends[text.blocks // 2]
        for start, stop in [
            (0, 1),
            (end - 1, end),
            (end, end + 1),
            (joint - 1, joint + 1),
            (body.length - 1, body.length),
        ]:
            assert await read(text, body, start, stop) == (whole[start:stop], 2 if start < joint < stop else 1)
        assert await read(text, body, 0, body.length) == (whole, text.blocks)

    for source in (table, stored):
        asyncio.run(check(Counting(kind(source))))
    executors.close()


def test_a_table_that_is_deleted_while_it_is_read_ends_in_an_error(
    tmp_path: Path, table: Table, stored: TableReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reader of its CSV gets an error, and before that nothing but the bytes of the table."""
    monkeypatch.setattr("service.tables.stored._CACHED_CHUNKS", 1)  # what is cached would still be sent
    whole = b"".join(map(CsvText(table).block, range(CsvText(table).blocks)))
    executors = Executors()

    async def read(body: TextBody, started: asyncio.Event, go_on: asyncio.Event, received: list[bytes]) -> None:
        async for piece in body.read(0, body.length):
            received.append(piece)
            started.set()
            await go_on.wait()

    async def check() -> None:
        text = CsvText(stored)
        body = TextBody(text, await TextExtent.of(text, executors), executors, nullcontext)
        started, go_on = [asyncio.Event() for _ in range(3)], asyncio.Event()
        received: list[list[bytes]] = [[] for _ in started]
        readers = [asyncio.create_task(read(body, *each)) for each in zip(started, [go_on] * 3, received, strict=True)]
        await asyncio.gather(*(each.wait() for each in started))
        (tmp_path / table_key(table.digest)).unlink()
        go_on.set()
        for reader, parts in zip(readers, received, strict=True):
            with pytest.raises(TableError, match="missing or truncated"):
                await reader
            assert b"".join(parts) != whole
            assert whole.startswith(b"".join(parts))

    asyncio.run(check())
    executors.close()
