"""Time to the first step of a job of several ranks, by each strategy. Run: python benchmarks/ranks.py

Every job is torchrun with gloo on this machine, and a server of its own. `cold` is an empty cache, `warm` the next job
on the same machine, which finds the table there. Measured on each rank from the process group's start to the first
rate in the optimizer, with `share_table` and `TableLR` between; the slowest rank counts. `alone` is the same without
ranks that agree: each fetches for itself and compares nothing. Process starts, imports and gloo's connections among the
ranks are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.nn  # before the process group is made: imported later, it would keep the group alive

from client import Client
from client.distributed import share_table
from client.lr_scheduler import TableLR
from scheduler import Spec
from scheduler.custom import WarmupWithDecay
from tests.support.servers.process import ServerProcess

RUN = "bench/ranks"
STRATEGIES = ("rank0", "node", "all", "alone")


def first_step(client: Client, strategy: str) -> float:
    """Seconds of one rank until its optimizer has its first rate."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    dist.barrier()
    started = time.perf_counter()
    if strategy == "alone":
        table = client.get(client.run(RUN))
    else:
        table = share_table(client, RUN, strategy=strategy, optimizer=optimizer)  # type: ignore[arg-type]  # one of them
    TableLR(optimizer, table)
    return time.perf_counter() - started


def work(url: str, folder: Path) -> None:
    """One rank: every strategy, cold and then warm. Rank 0 prints the slowest rank's seconds."""
    slowest: dict[str, list[float]] = {}
    with Client(url, cache=folder / "first") as client:
        first_step(client, "all")  # connects the ranks with each other, and imports what is imported late
    for strategy in STRATEGIES:
        for _ in ("cold", "warm"):
            with Client(url, cache=folder / strategy) as client:
                seconds = torch.tensor(first_step(client, strategy), dtype=torch.float64)
            dist.all_reduce(seconds, op=dist.ReduceOp.MAX)
            slowest.setdefault(strategy, []).append(seconds.item())
    if dist.get_rank() == 0:
        print(json.dumps(slowest))


def job(url: str, folder: Path, ranks: int) -> dict[str, list[float]]:
    """The seconds of one job, cold and warm, by strategy."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}", __file__]
    quiet = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [*command, "--url", url, "--folder", str(folder)],
        env={**os.environ, **quiet}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, job by job, and print the medians; with `--url`, be one rank of such a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.url is not None:
        dist.init_process_group("gloo")
        work(options.url, options.folder)
        dist.destroy_process_group()
        return
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder) / "data") as server:
            with Client(server.url, cache=False) as client:
                schedule = WarmupWithDecay(5e-4, options.steps // 10, options.steps)
                client.create_run(RUN, Spec(schedule=schedule, total_steps=options.steps))
            rounds.append(job(server.url, Path(folder), options.ranks))
    print(f"{options.ranks} ranks, a table of {options.steps} steps, medians of {options.rounds} jobs, slowest rank")
    for strategy in STRATEGIES:
        cold, warm = (statistics.median(each[strategy][which] for each in rounds) for which in (0, 1))
        print(f"  {strategy:6} to the first step: cold {1e3 * cold:7.1f} ms, warm {1e3 * warm:7.1f} ms")


if __name__ == "__main__":
    main()
