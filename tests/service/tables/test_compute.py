"""Computations: one at a time, few that wait, none that is too long or for nobody."""

import asyncio
import mmap
import os
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scheduler import Spec, Table, TableError
from scheduler.compose import Constant, Product
from scheduler.compose.literal import Literal
from scheduler.custom import LinearWarmup
from scheduler.numerics.cancellation import ComputationStoppedError
from service.concurrency.executors import Executors
from service.errors import (
    ComputationLostError,
    DeadlineExceededError,
    LimitExceededError,
    NotComputableError,
    QueueFullError,
    TableLostError,
)
from service.settings import Settings
from service.storage.local import LocalStore
from service.tables.compute import Computations
from service.tables.repository import table_key
from service.tables.stored import TableReader
from service.workers.pool import MAPPED, Job, Workers
from tests.service.conftest import SharedWorkers
from tests.support.misbehaving import CRASHING, ENDLESS, FAILING, GREEDY, constant, misbehaving_path

Work = Callable[[Computations], Coroutine[Any, Any, None]]
Run = Callable[..., Computations]

SMALL = Spec(schedule=LinearWarmup(0.1, 5), total_steps=10)
# minutes of work, if it were let
LONG = Spec(schedule=Product([Product([Constant(1.0)] * 50)] * 50), total_steps=20_000_000)
OVERFLOWING = Spec(schedule=Product([Constant(1e6)] * 60), total_steps=3)


@pytest.fixture
def run(workers: Workers) -> Run:
    """Do some work with new computations, which are closed then, and their threads with them."""

    def run(work: Work, workers: Workers = workers, **settings: Any) -> Computations:
        executors = Executors()
        computations = Computations(executors, workers, Settings(**settings))
        try:
            asyncio.run(work(computations))
        finally:
            computations.close()
            executors.close()
        return computations

    return run


async def table_of(computations: Computations, spec: Spec) -> Table:
    """The table of a spec that names no other."""
    async with computations.run(spec, lost) as table:
        return table


async def one_more(computations: Computations) -> None:
    """Compute a small table."""
    assert (await table_of(computations, SMALL)).digest == SMALL.table().digest


async def lost(digest: str) -> TableReader:
    """A table that a Literal names, and nobody has."""
    raise TableLostError(digest)


def test_a_table_is_computed(run: Run) -> None:
    """What is computed is the spec's table; how many began and ended is counted."""

    async def work(computations: Computations) -> None:
        assert (await table_of(computations, SMALL)).digest == SMALL.table().digest
        with pytest.raises(NotComputableError, match="column 'lr' must be finite, got inf at step 0"):
            await table_of(computations, OVERFLOWING)

    computations = run(work)
    assert (computations.started, computations.ended, computations.depth) == (2, 2, 0)


def test_a_named_table_that_changes_is_no_error_of_the_spec(run: Run, tmp_path: Path) -> None:
    """Where the file of a table that a Literal names changes before it is read, that is said: a retry may help."""
    table, store = SMALL.table(), LocalStore(tmp_path)
    path = tmp_path / table_key(table.digest)
    store.put(table_key(table.digest), table.parts())
    spec = Spec(schedule=Literal(digest=table.digest), total_steps=10)
    lacking = Spec(schedule=Literal(digest=table.digest, column="momentum"), total_steps=10)
    other = Spec(schedule=LinearWarmup(0.2, 5), total_steps=20).table()

    async def work(computations: Computations) -> None:
        async def stored(digest: str) -> TableReader:
            return TableReader(store, table_key(digest), path.stat().st_size)

        async def changing(digest: str) -> TableReader:
            found = await stored(digest)
            path.unlink()
            return found

        async with computations.run(spec, stored) as computed:
            assert computed.digest == table.digest
        with pytest.raises(NotComputableError, match="has no column 'momentum'"):
            await computations.run(lacking, stored).__aenter__()
        path.write_bytes(other.to_bytes())
        with pytest.raises(TableError, match="missing or truncated"):
            await computations.run(spec, changing).__aenter__()
        assert (await table_of(computations, SMALL)).digest == table.digest

    run(work)
    store.close()


def test_too_long_a_computation_ends(run: Run) -> None:
    """A computation beyond the deadline is an error that says so, and the next one is computed."""

    async def work(computations: Computations) -> None:
        with pytest.raises(DeadlineExceededError, match=r"did not end within 0\.2 s \(compute_seconds\)"):
            await table_of(computations, LONG)

    run(work, compute_seconds=0.2)
    run(one_more)


def test_the_wait_for_a_turn_counts(run: Run) -> None:
    """A short computation that never gets its turn meets its deadline while it waits, and does not start later."""

    async def work(computations: Computations) -> None:
        busy = asyncio.create_task(table_of(computations, LONG))
        await asyncio.sleep(0)  # so it is first
        with pytest.raises(DeadlineExceededError, match="did not end within"):
            await table_of(computations, SMALL)
        await asyncio.gather(busy, return_exceptions=True)

    assert run(work, compute_seconds=0.2, compute_workers=1).started == 1


def test_a_full_queue_refuses(run: Run) -> None:
    """Beyond one that runs and `max_queue` that wait, the next is refused, with a time after which to come again."""

    async def work(computations: Computations) -> None:
        waiting = [asyncio.create_task(table_of(computations, LONG)) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(QueueFullError, match="3 computations are running or waiting") as refused:
            await table_of(computations, SMALL)
        assert 1 <= refused.value.retry_after <= 60
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert computations.depth == 0
        assert (await table_of(computations, SMALL)).total_steps == 10

    run(work, max_queue=2)


def test_the_wait_for_memory_counts(run: Run) -> None:
    """Where the memory for tables is lent, those that wait for it stand in the queue, and meet their deadline there."""

    async def work(computations: Computations) -> None:
        async with AsyncExitStack() as kept:
            for _ in range(2):  # twice the largest table: all that there is
                await kept.enter_async_context(computations.run(SMALL, lost))
            waiting = [asyncio.create_task(table_of(computations, SMALL)) for _ in range(3)]
            await asyncio.sleep(0.01)
            assert computations.depth == 3
            with pytest.raises(QueueFullError, match="3 computations are running or waiting"):
                await table_of(computations, SMALL)
            for error in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(error, DeadlineExceededError)
        assert (await table_of(computations, SMALL)).total_steps == 10

    run(one_more)  # so that a process is there
    assert run(work, max_queue=2, max_table_bytes=80, compute_seconds=2.0).started == 3


def test_nobody_is_computed_for_in_vain(run: Run) -> None:
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
    """The server does not wait for a computation when it is told to stop, and its processes end."""
    executors, workers = Executors(), Workers()
    computations = Computations(executors, workers, Settings())

    async def main() -> None:
        task = asyncio.create_task(table_of(computations, LONG))
        while not computations.started:
            await asyncio.sleep(0.01)
        computations.close()
        executors.close()
        with pytest.raises(ComputationStoppedError, match="stopped"):
            await task

    asyncio.run(main())
    assert computations.ended == 1
    with pytest.raises(ComputationStoppedError, match="the server ends"):
        workers.compute(Job(SMALL, {}, 0))


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Worker processes that know no better."""
    monkeypatch.syspath_prepend(misbehaving_path(tmp_path / "site"))
    workers = SharedWorkers()
    yield workers
    Workers.close(workers)


def test_a_computation_that_never_ends_is_in_nobodys_way(run: Run, misbehaving: Workers) -> None:
    """Others are computed beside it, and after it: it is killed when its time is over, or nobody wants it any more."""

    async def work(computations: Computations) -> None:
        endless = asyncio.create_task(table_of(computations, constant(ENDLESS)))
        await asyncio.sleep(0)  # so it is first
        assert (await table_of(computations, SMALL)).digest == SMALL.table().digest
        assert not endless.done()
        assert computations.longest >= 1.0
        assert re.fullmatch("one has run for [1-9][0-9]* s, 1 in all", computations.state())
        endless.cancel()
        await asyncio.wait({endless})
        assert (computations.killed, computations.longest, computations.state()) == (1, 0.0, "ok")
        assert (await table_of(computations, SMALL)).digest == SMALL.table().digest

    computations = run(work, misbehaving)
    assert (computations.depth, computations.workers.lost) == (0, 0)


def test_a_computation_that_ignores_its_deadline_is_killed(run: Run, misbehaving: Workers) -> None:
    """What does not stop when its time is over ends all the same, and says why; the next one is computed."""

    async def work(computations: Computations) -> None:
        with pytest.raises(DeadlineExceededError, match=r"did not end within 0\.1 s \(compute_seconds\)"):
            await table_of(computations, constant(ENDLESS))

    run(one_more, misbehaving)  # so that a process is there
    assert run(work, misbehaving, compute_seconds=0.1).killed == 1
    run(one_more, misbehaving)


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        pytest.param(GREEDY, LimitExceededError, "more memory than this server allows", id="greedy"),
        pytest.param(CRASHING, ComputationLostError, "has ended, by signal 11", id="crashing"),
    ],
)
def test_a_process_that_ends_is_an_error_of_one_request(
    run: Run, misbehaving: Workers, value: float, error: type[Exception], said: str
) -> None:
    """A computation that takes all memory, or crashes its process, is a named error; the next one is computed."""

    async def work(computations: Computations) -> None:
        for _ in range(2):
            with pytest.raises(error, match=said):
                await table_of(computations, constant(value))
            assert (await table_of(computations, SMALL)).digest == SMALL.table().digest

    assert run(work, misbehaving).workers.lost == (2 if error is ComputationLostError else 0)


def test_a_failure_is_not_a_crash(run: Run, misbehaving: Workers) -> None:
    """An error of ours while computing comes with its trace, and its process goes on."""

    async def work(computations: Computations) -> None:
        with pytest.raises(RuntimeError, match=r"Traceback[^$]*ZeroDivisionError"):
            await table_of(computations, constant(FAILING))
        assert (await table_of(computations, SMALL)).digest == SMALL.table().digest

    assert run(work, misbehaving).workers.lost == 0


@pytest.mark.skipif(sys.platform != "linux", reason="memory is shared on Linux alone")
def test_a_large_table_is_not_copied(run: Run) -> None:
    """A large table is computed where it stays: its memory is sealed, so that nobody can write to it any more."""
    spec = constant(0.5, MAPPED // 8)

    async def work(computations: Computations) -> None:
        table = await table_of(computations, spec)
        assert table == spec.table()
        assert table.to_bytes() == spec.table().to_bytes()
        memory: Any = table.lr.base
        while isinstance(memory, np.ndarray):
            memory = memory.base
        assert isinstance(memory.obj, mmap.mmap)
        with pytest.raises(TypeError, match="readonly"):
            memory.obj[0] = 1

    run(work)


def test_processes_are_replaced(run: Run) -> None:
    """A process that ended while it waited is replaced before anybody notices."""
    workers = SharedWorkers()

    async def work(computations: Computations) -> None:
        workers.prepare()
        for worker in workers._idle:
            worker.process.kill()
            os.waitid(os.P_PID, worker.process.pid, os.WEXITED | os.WNOWAIT)
        assert (await table_of(computations, SMALL)).digest == SMALL.table().digest

    assert run(work, workers).workers.lost == 0
    Workers.close(workers)


def test_a_process_that_cannot_be_started_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started that is an error worth a retry, and the server says so as long as it lasts."""
    workers = Workers()
    monkeypatch.setattr("sys.executable", "/no/such/python")

    async def work(computations: Computations) -> None:
        workers.prepare()
        with pytest.raises(ComputationLostError, match="no worker process could be started"):
            await table_of(computations, SMALL)
        assert computations.state().startswith("no worker process could be started: [Errno 2] No such file")

    run(work, workers)
