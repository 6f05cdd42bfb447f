"""The recorder sees what an update really used, and the launcher gives each process its rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim.swa_utils import AveragedModel

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.training import make_groups, update
from tests.support.preloaded import Preloaded
from tests.trainers.support import on_processes, record_rates, rows_of

TABLE = Table({"lr": [0.1, 0.2, 0.3], "weight_decay": [0.0, 0.1, 0.2], "beta1": [0.9, 0.8, 0.7]})

WORKER = """
import os
import sys

from tests.trainers.support import report

report([int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), sys.argv[1:]])
"""


def test_each_column_is_recorded_at_each_update() -> None:
    """What each update used is recorded, bit for bit, and nothing else."""
    optimizer = AdamW(make_groups(1))
    scheduler = TableLR(optimizer, TABLE)
    recorded = {column: record_rates(optimizer, column) for column in TABLE.columns}
    for _ in range(3):
        update(optimizer)
        scheduler.step()
    assert recorded == {column: rows_of(TABLE, column=column) for column in TABLE.columns}


def test_a_rate_that_no_update_used_is_not_recorded() -> None:
    """What is written and replaced between two updates leaves no trace; a group can be chosen."""
    optimizer = SGD(make_groups(2), lr=1.0)
    recorded = record_rates(optimizer, group=1)
    for rates in ([0.5, 0.25], [0.125]):
        for rate in rates:
            optimizer.param_groups[1]["lr"] = torch.tensor(rate)
        update(optimizer)
    assert recorded == [0.25, 0.125]


def test_the_optimizer_within_a_wrapper_is_recorded() -> None:
    """A wrapper that is an optimizer by class alone is recorded where it steps."""
    inner = SGD(make_groups(1), lr=0.5)

    class Wrapper(torch.optim.Optimizer):
        def __init__(self, wrapped: SGD) -> None:
            self.wrapped = wrapped
            self.average = AveragedModel(torch.nn.Linear(1, 1))

    recorded = record_rates(Wrapper(inner))
    update(inner)
    assert recorded == [0.5]


def test_processes_report_by_rank(preloaded: Preloaded, tmp_path: Path) -> None:
    """Each process gets its rank and the arguments, and its report comes back."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    reports: list[Any] = on_processes(preloaded, script, "a")
    assert reports == [[0, 2, ["a"]], [1, 2, ["a"]]]


def test_a_process_that_fails_fails_the_test(preloaded: Preloaded, tmp_path: Path) -> None:
    """The output of a process that failed is what the failure says."""
    script = tmp_path / "worker.py"
    script.write_text("raise SystemExit('the reason')")
    with pytest.raises(AssertionError, match="the reason"):
        on_processes(preloaded, script)
