"""A run whose number of workers changes: on the axis of samples it applies the reference curve exactly."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from client import Client
from client.lr_scheduler import TableLR
from scheduler import ScheduleWarning, Spec, Table
from scheduler.custom import WarmupWithDecay
from tests.support.servers.process import ServerProcess

BATCH, WORKERS, ROWS = 8, 2, 40
GLOBAL_BATCH = BATCH * WORKERS
BUDGET = GLOBAL_BATCH * ROWS  # samples
HALF = BUDGET // 2
SCHEDULE = WarmupWithDecay(0.1, ROWS // 10, ROWS)
TABLE = SCHEDULE.table(ROWS, axis="sample", stride=GLOBAL_BATCH)

WORKER = Path(__file__).with_name("elastic_worker.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)


def train(table: Table, batches: list[int]) -> list[tuple[int, float]]:
    """Samples seen before each update, and the rate of the update, of a training in this process."""
    optimizer = sgd()
    scheduler = TableLR(optimizer, table)
    applied = []
    seen = 0
    for batch in batches:
        applied.append((seen, optimizer.param_groups[0]["lr"]))
        optimizer.step()
        seen += batch
        if table.axis == "sample":
            scheduler.set_progress(seen)
        else:
            scheduler.step()
    return applied


def used(applied: list[tuple[int, float]], batches: list[int]) -> float:
    """Sum of rate x samples over all updates, rounded once: how much of the curve the data has been trained with."""
    return math.fsum(rate * batch for (_, rate), batch in zip(applied, batches, strict=True))


HALVED = [GLOBAL_BATCH] * (HALF // GLOBAL_BATCH) + [BATCH] * (HALF // BATCH)  # from two workers to one
CONSTANT = [GLOBAL_BATCH] * ROWS
REFERENCE = train(TABLE, CONSTANT)


def launch(directory: Path, workers: int, until: int) -> None:
    command = [*TORCHRUN, "--standalone", f"--nproc_per_node={workers}", str(WORKER)]
    arguments = [str(directory / "table.safetensors"), str(directory / "checkpoint"), f"--until={until}"]
    done = subprocess.run([*command, *arguments], env=QUIET, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def record_of(directory: Path) -> list[dict[str, Any]]:
    path = directory / "checkpoint"
    record: list[dict[str, Any]] = torch.load(path, weights_only=True)[1] if path.exists() else []
    return record


def check(record: list[dict[str, Any]]) -> None:
    """Assert that a recorded run has applied the reference curve to every sample of the budget."""
    samples = [sample for update in record for worker in update["workers"] for sample in worker["samples"]]
    assert samples == list(range(BUDGET))

    applied = [(update["seen"], {worker["rate"] for worker in update["workers"]}) for update in record]
    assert applied == [(seen, {TABLE.get_lr(seen)}) for seen, _ in applied]
    assert {seen: rate for seen, (rate,) in applied}.items() >= dict(REFERENCE).items()

    rows = Counter({row: 0 for row in range(ROWS)})
    for update in record:
        rows[update["seen"] // TABLE.stride] += BATCH * len(update["workers"])
    assert rows == Counter({row: TABLE.stride for row in range(ROWS)})
    sizes = [BATCH * len(update["workers"]) for update in record]
    assert used([(seen, rate) for seen, (rate,) in applied], sizes) == used(REFERENCE, CONSTANT)


# -- real workers -----------------------------------------------------------------------------------------------------


@pytest.mark.slow(25)
def test_a_run_that_loses_a_worker_applies_the_reference_curve(tmp_path: Path) -> None:
    """Two workers, then one from the checkpoint: each sample meets the rate that a constant world gives it."""
    TABLE.save(tmp_path / "table.safetensors")
    launch(tmp_path, workers=2, until=HALF)
    launch(tmp_path, workers=1, until=BUDGET)
    record = record_of(tmp_path)
    assert [BATCH * len(update["workers"]) for update in record] == HALVED
    check(record)


def agent(directory: Path, port: int, table: list[str], *, host: bool) -> subprocess.Popen[str]:
    """A torchrun agent with one worker, of an elastic run of one or two agents."""
    settings = f"is_host={int(host)},last_call_timeout=5,keep_alive_interval=1,keep_alive_max_attempt=2"
    command = [*TORCHRUN, "--nnodes=1:2", "--nproc_per_node=1", "--max_restarts=3", "--rdzv_backend=c10d"]
    rendezvous = [f"--rdzv_endpoint=127.0.0.1:{port}", f"--rdzv_conf={settings}", "--local_addr=127.0.0.1"]
    worker = [str(WORKER), *table, str(directory / "checkpoint"), f"--until={BUDGET}"]
    return subprocess.Popen(
        [*command, *rendezvous, "--rdzv_id=elastic", *worker, "--pause=0.2"],
        env={**QUIET, "LRTABLES_CACHE": str(directory / "cache")},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def kill(process: subprocess.Popen[str]) -> None:
    """Kill an agent and then its worker, as when a machine is taken away: nobody says goodbye."""
    with contextlib.suppress(psutil.NoSuchProcess):
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()


@contextlib.contextmanager
def agents(directory: Path, port: int, *table: str) -> Iterator[list[subprocess.Popen[str]]]:
    running = [agent(directory, port, [*table], host=is_host) for is_host in (True, False)]
    try:
        yield running
    finally:
        for process in running:
            kill(process)
            process.communicate()


@pytest.mark.slow(25)
def test_an_elastic_run_that_loses_a_machine_applies_the_reference_curve(tmp_path: Path, free_port: int) -> None:
    """One of two torchrun agents is killed: the other restarts alone, and goes on along the same curve."""
    TABLE.save(tmp_path / "table.safetensors")
    with agents(tmp_path, free_port, str(tmp_path / "table.safetensors")) as (survivor, victim):
        wait_for_updates(tmp_path, survivor)
        kill(victim)
        check_survivor(tmp_path, survivor)


@pytest.mark.slow(25)
def test_a_run_by_name_goes_on_without_its_server(tmp_path: Path, free_port: int) -> None:
    """The server is killed, then one of two machines: the other restarts from checkpoint and cache, on the curve."""
    with ServerProcess(tmp_path / "data") as server:
        with Client(server.url, cache=False) as client:
            client.create_run(
                "team/elastic", Spec(schedule=SCHEDULE, total_steps=ROWS, axis="sample", stride=GLOBAL_BATCH)
            )
        with agents(tmp_path, free_port, "team/elastic", f"--url={server.url}") as (survivor, victim):
            wait_for_updates(tmp_path, survivor)
            server.kill()
            kill(victim)
            check_survivor(tmp_path, survivor)
    scheduler = torch.load(tmp_path / "checkpoint", weights_only=True)[0][2]
    assert (scheduler["run"], scheduler["version"], scheduler["digest"]) == ("team/elastic", 1, TABLE.digest)


def wait_for_updates(directory: Path, survivor: subprocess.Popen[str]) -> None:
    """Wait until two workers have made some updates together."""
    while not any(len(update["workers"]) == 2 for update in record_of(directory)[:-5]):
        assert survivor.poll() is None
        time.sleep(0.05)


def check_survivor(directory: Path, survivor: subprocess.Popen[str]) -> None:
    """Assert that it went on alone to the end, and that the whole run has applied the reference curve."""
    _, errors = survivor.communicate(timeout=120)
    assert survivor.returncode == 0, errors
    record = record_of(directory)
    assert [workers for workers, _ in groupby(len(update["workers"]) for update in record)][-2:] == [2, 1]
    check(record)


# -- the same law, for any change; and why steps will not do ----------------------------------------------------------


@given(st.lists(st.integers(1, 50), min_size=1, max_size=50), st.integers(1, 50))
def test_any_batches_meet_the_row_of_the_samples_seen(batches: list[int], stride: int) -> None:
    """However the batch changes, and whatever the stride, each update has the rate of the samples seen before it."""
    rows = 50 * 50  # enough for the largest batches with the smallest stride
    table = WarmupWithDecay(0.1, 100, rows).table(rows, axis="sample", stride=stride)
    seen = [0, *accumulate(batches[:-1])]
    assert train(table, batches) == [(samples, float(table.lr[samples // stride])) for samples in seen]


def test_samples_keep_the_curve() -> None:
    """Where the batch is halved midway, a table of samples is used up exactly, as if nothing had happened."""
    assert used(train(TABLE, HALVED), HALVED) == used(REFERENCE, CONSTANT)


def test_steps_lose_the_curve() -> None:
    """Where the batch is halved midway, a table of steps runs out of rows before the data ends."""
    table = SCHEDULE.table(ROWS)
    with pytest.warns(ScheduleWarning, match="step 40 is past the table's end, 40: its last values are held"):
        applied = train(table, HALVED)
    assert [rate for _, rate in applied[ROWS:]] == [float(table.lr[-1])] * (len(HALVED) - ROWS)
    assert used(applied, HALVED) < 0.9 * used(REFERENCE, CONSTANT)
