"""Workers of a training job: forked data loaders and ranks, with one client and one cache."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from client import Client
from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay
from tests.support.client.caches import cache_in, names_in, whole

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6), total_steps=1000)


class Rates(Dataset[torch.Tensor]):
    """Items that fetch the table through a client that was made, and used, in the parent."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> torch.Tensor:
        table = self.client.fetch(SPEC)
        return torch.tensor([table.get_lr(index), float(os.getpid()), float(len(table.lr))], dtype=torch.float64)


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no-cache"])
def test_a_client_works_in_data_loader_workers(service_url: str, tmp_path: Path, cached: bool) -> None:
    """A client of the parent serves forked workers, with a cache or over connections of their own."""
    folder: Any = tmp_path / "cache" if cached else False
    with Client(service_url, cache=folder) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        parent = client.fetch(SPEC)
        loader = DataLoader(Rates(client), batch_size=None, num_workers=2, multiprocessing_context="fork")
        items = [item.tolist() for item in loader]
        assert client.fetch(SPEC) == parent
    assert [rate for rate, _, _ in items] == [SPEC.schedules[0].get_lr(index) for index in range(16)]
    workers = {process for _, process, _ in items}
    assert len(workers) == 2
    assert os.getpid() not in workers


RANK = """
import sys
from client import Client
from scheduler.custom import WarmupWithDecay
with Client(sys.argv[1], cache=sys.argv[2]) as client:
    print(client.fetch(WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)).digest, client.last_source)
"""


def test_ranks_of_a_node_that_start_together_leave_one_file(service_url: str, tmp_path: Path) -> None:
    """Eight processes fetch at once over one cold cache: all have the table, and one file is left."""
    command = [sys.executable, "-W", "error", "-c", RANK, service_url, str(tmp_path / "cache")]
    ranks = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = [rank.communicate(timeout=120)[0].split() for rank in ranks]
    table = Table.compute(SPEC)
    assert {digest for digest, _ in said} == {table.digest}
    assert {source for _, source in said} <= {"computed", "cache"}
    cache = cache_in(tmp_path)
    assert names_in(cache) == whole(table)
    assert cache.open(table.digest, verify=True) == table
