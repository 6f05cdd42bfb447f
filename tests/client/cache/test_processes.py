"""Many processes with one cache: one sound file, no leftovers, one copy in memory."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from scheduler import Table
from scheduler.custom import WarmupWithDecay
from tests.support.client.caches import cache_in, file_of, make_table, names_in, whole

PROCESSES = 64
SHARING, STEPS = 8, 10_000_000


def fill(folder: Path, start: Barrier, *, with_locks: bool) -> None:
    """Open the table, or keep it; exit with 0 where it is the right one, mapped."""
    if not with_locks:
        fcntl.flock = fcntl.lockf = lambda *_: None  # as on a network file system that pretends
    table = make_table(rows=20_000)
    cache = cache_in(folder)
    start.wait(60)
    found = cache.open(table.digest) or cache.keep(table)
    is_right = found == Table.from_bytes(found.to_bytes()) == table and not found.lr.flags.owndata
    os._exit(0 if is_right and not cache.counts.failures and not cache.counts.set_aside else 1)


@pytest.mark.slow
@pytest.mark.parametrize("with_locks", [True, False], ids=["locks", "no-locks"])
def test_many_processes_fill_one_cold_cache(tmp_path: Path, with_locks: bool) -> None:
    """64 processes at once each get the right table; one file is left, sound and marked, and nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.client.caches"])
    start = context.Barrier(PROCESSES)
    workers = [
        context.Process(target=fill, args=(tmp_path, start), kwargs={"with_locks": with_locks})
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    cache, table = cache_in(tmp_path), make_table(rows=20_000)
    assert names_in(cache) == whole(table)
    assert names_in(cache, "aside") == []
    assert file_of(cache, table).read_bytes() == table.to_bytes()
    assert cache.open(table.digest, verify=True) == table


def pss() -> int:
    """Bytes of memory of this process, shared ones divided by the number of processes that share them."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])


def read(folder: Path, digest: str, all_read: Barrier, all_measured: Barrier, report: Path) -> None:
    """Read the whole table, and write down how much memory it took while every process had it."""
    cache = cache_in(folder)
    before = pss()
    table = cache.open(digest)
    assert table is not None
    total = float(table.lr.sum())
    all_read.wait(120)
    report.write_text(f"{pss() - before} {total!r}")
    all_measured.wait(120)


@pytest.mark.slow
def test_processes_share_one_copy(tmp_path: Path) -> None:
    """Eight processes that read a table of 10 million steps take together at most 1.2 tables of memory."""
    table = WarmupWithDecay(5e-4, 10_000, STEPS).table(STEPS)
    cache_in(tmp_path).keep(table)
    context = multiprocessing.get_context("forkserver")
    barriers = [context.Barrier(SHARING) for _ in range(2)]
    reports = [tmp_path / f"report-{number}" for number in range(SHARING)]
    workers = [context.Process(target=read, args=(tmp_path, table.digest, *barriers, report)) for report in reports]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    taken = [report.read_text().split() for report in reports]
    share = sum(int(nbytes) for nbytes, _ in taken) / table.nbytes
    print(f"{SHARING} processes take {share:.3f} tables of {table.nbytes} bytes together")
    assert {total for _, total in taken} == {repr(float(table.lr.sum()))}
    assert 0.5 < share <= 1.2
