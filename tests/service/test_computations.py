"""Computations: one at a time, few that wait, none that is too long or for nobody."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from scheduler import Spec, Table, TableError
from scheduler.compose import Constant, Product
from scheduler.custom import LinearWarmup
from scheduler.literal import Literal
from service.computations import Computations, compute
from service.errors import DeadlineExceededError, NotComputableError, QueueFullError, TableLostError
from service.files import table_key
from service.settings import Settings
from service.storage.local import LocalStore
from service.streamed import StoredTable
from service.threads import Threads

SMALL = Spec(schedule=LinearWarmup(0.1, 5), total_steps=10)
# minutes of work, if it were let
LONG = Spec(schedule=Product([Product([Constant(1.0)] * 1000)] * 100), total_steps=2_000_000)
OVERFLOWING = Spec(schedule=Product([Constant(1e6)] * 60), total_steps=3)


def run(
    work: Callable[[Computations], Coroutine[Any, Any, None]], threads: Threads | None = None, **settings: Any
) -> Computations:
    """Do some work with new computations, which are closed then, and their threads with them."""
    threads = threads or Threads()
    computations = Computations(threads, Settings(**settings))
    try:
        asyncio.run(work(computations))
    finally:
        computations.close()
        threads.close()
    return computations


async def table_of(computations: Computations, spec: Spec) -> Table:
    """The table of a spec that names no other."""
    async with computations.run(spec, lost) as table:
        return table


async def lost(digest: str) -> StoredTable:
    """A table that a Literal names, and nobody has."""
    raise TableLostError(digest)


def test_a_table_is_computed() -> None:
    """What is computed is the spec's table; how many began and ended is counted."""

    async def work(computations: Computations) -> None:
        assert (await table_of(computations, SMALL)).digest == SMALL.table().digest
        with pytest.raises(NotComputableError, match="column 'lr' must be finite, got inf at step 0"):
            await table_of(computations, OVERFLOWING)

    computations = run(work)
    assert (computations.started, computations.ended, computations.depth) == (2, 2, 0)


def test_a_named_table_that_changes_is_no_error_of_the_spec(tmp_path: Path) -> None:
    """Where the file of a table that a Literal names changes before it is read, that is said: a retry may help."""
    table, store = SMALL.table(), LocalStore(tmp_path)
    store.put(table_key(table.digest), table.parts())
    stored = StoredTable(store, table_key(table.digest), len(table.to_bytes()))
    spec = Spec(schedule=Literal(digest=table.digest), total_steps=10)
    assert compute(spec, {table.digest: stored}).digest == table.digest
    lacking = Spec(schedule=Literal(digest=table.digest, column="momentum"), total_steps=10)
    with pytest.raises(NotComputableError, match="has no column 'momentum'"):
        compute(lacking, {table.digest: stored})
    other = Spec(schedule=LinearWarmup(0.2, 5), total_steps=20).table()
    (tmp_path / table_key(table.digest)).write_bytes(other.to_bytes())
    changed = StoredTable(store, table_key(table.digest), len(other.to_bytes()))
    (tmp_path / table_key(table.digest)).unlink()
    with pytest.raises(TableError, match="gone or cut short"):
        compute(spec, {table.digest: changed})
    store.close()


def test_too_long_a_computation_ends() -> None:
    """A computation beyond the deadline is an error that says so, and the thread is free for the next one."""

    async def work(computations: Computations) -> None:
        with pytest.raises(DeadlineExceededError, match=r"did not end within 0\.2 s \(compute_seconds\)"):
            await table_of(computations, LONG)
        assert (await table_of(computations, SMALL)).total_steps == 10

    run(work, compute_seconds=0.2)


def test_the_wait_for_a_turn_counts() -> None:
    """A short computation that never gets its turn meets its deadline while it waits, and does not start later."""
    threads, free = Threads(), threading.Event()

    async def work(computations: Computations) -> None:
        busy = asyncio.create_task(threads.compute(free.wait))
        await asyncio.sleep(0)  # so it is first
        try:
            with pytest.raises(DeadlineExceededError, match="did not end within"):
                await table_of(computations, SMALL)
        finally:
            free.set()
        assert await busy

    assert run(work, threads, compute_seconds=0.05).started == 0


def test_a_full_queue_refuses() -> None:
    """Beyond one that runs and `max_queue` that wait, the next is refused, with a time after which to come again."""

    async def work(computations: Computations) -> None:
        waiting = [asyncio.create_task(table_of(computations, LONG)) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(QueueFullError, match="3 computations are under way or waiting") as refused:
            await table_of(computations, SMALL)
        assert 1 <= refused.value.retry_after <= 60
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert computations.depth == 0
        assert (await table_of(computations, SMALL)).total_steps == 10

    run(work, max_queue=2)


def test_the_wait_for_memory_counts() -> None:
    """Where the memory for tables is lent, those that wait for it stand in the queue, and meet their deadline there."""

    async def work(computations: Computations) -> None:
        async with AsyncExitStack() as kept:
            for _ in range(2):  # twice the largest table: all that there is
                await kept.enter_async_context(computations.run(SMALL, lost))
            waiting = [asyncio.create_task(table_of(computations, SMALL)) for _ in range(3)]
            await asyncio.sleep(0.01)
            assert computations.depth == 3
            with pytest.raises(QueueFullError, match="3 computations are under way or waiting"):
                await table_of(computations, SMALL)
            for error in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(error, DeadlineExceededError)
        assert (await table_of(computations, SMALL)).total_steps == 10

    assert run(work, max_queue=2, max_table_bytes=80, compute_seconds=0.5).started == 3


def test_nobody_is_computed_for_in_vain() -> None:
    """A computation whose caller is cancelled stops; one that waited for its turn never starts."""

    async def work(computations: Computations) -> None:
        running, waiting = (asyncio.create_task(table_of(computations, LONG)) for _ in range(2))
        await asyncio.sleep(0.05)
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        await table_of(computations, SMALL)

    computations = run(work)
    assert (computations.started, computations.ended) == (2, 2)


def test_closing_stops_what_runs() -> None:
    """The server does not wait for a computation when it is told to stop."""
    threads = Threads()
    computations = Computations(threads, Settings())
    began = threading.Event()

    async def main() -> None:
        task = asyncio.create_task(table_of(computations, LONG))
        while not computations.started:
            await asyncio.sleep(0.01)
        began.set()
        computations.close()
        threads.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert began.is_set()
    assert computations.ended == 1
