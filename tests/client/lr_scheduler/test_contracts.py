"""What trainers rely on, beside the rates: several optimizers, small states, sharded optimizers of two processes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD, AdamW

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.tables import RATES, make_sgd, make_table
from tests.support.client.training import make_groups, record_rates, through_file, update

ROOT = Path(__file__).parents[3]


def test_two_optimizers_count_their_own_updates() -> None:
    """Of two optimizers, one stepped every second batch, each has the rows of its own updates."""
    every, second = make_sgd(), make_sgd()
    applied = record_rates(every), record_rates(second)
    schedulers = TableLR(every, make_table()), TableLR(second, make_table())
    for batch in range(8):
        update(every)
        if batch % 2 == 0:
            update(second)
        for scheduler in schedulers:  # also where its optimizer made no update, as Lightning's manual loops do
            scheduler.step()
    assert applied == (RATES[:8], RATES[:4])


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("relative", [False, True])
def test_a_saved_state_is_small_and_plain(groups: int, relative: bool) -> None:
    """With three columns and up to eight groups the state is a file of less than 2 kB that loads with weights_only."""
    columns = {name: [0.1 / (row + 1) for row in range(10_000)] for name in ("lr", "weight_decay", "beta1")}
    scheduler = TableLR(AdamW(make_groups(groups), lr=1.0), Table(columns), relative=relative)
    scheduler.set_progress(1234)
    state = scheduler.state_dict()
    file = io.BytesIO()
    torch.save(state, file)
    assert len(file.getvalue()) < 2000 + 600 * (groups > 2 or relative)
    assert through_file(state) == state


def test_a_captured_rate_stays_the_same_memory() -> None:
    """A capturable optimizer's rate is filled in place: the address that a CUDA graph has read is the row's."""
    rate = torch.tensor(1.0, dtype=torch.float64)
    optimizer = AdamW(make_groups(1), lr=rate, capturable=False)
    scheduler = TableLR(optimizer, make_table())
    address = rate.data_ptr()
    for k in range(4):
        assert optimizer.param_groups[0]["lr"].data_ptr() == address
        assert rate.item() == RATES[k]
        update(optimizer)
        scheduler.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.param_groups[0]["lr"].item() == RATES[4]


def workers(kind: str, folder: Path, port: int) -> list[Any]:
    """What each of two processes prints."""
    script = Path(__file__).with_name("sharded_worker.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), kind, str(folder)],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fsdp2", "zero"])
def test_sharded_optimizers_of_two_processes_have_the_table_s_rates(kind: str, tmp_path: Path, free_port: int) -> None:
    """FSDP2, resumed from a distributed checkpoint made between an update and its step(), and a sharded optimizer."""
    expected = RATES[:6]
    assert workers(kind, tmp_path / "checkpoint", free_port) == [expected, expected]


def test_adding_to_an_optimizer_keeps_the_law() -> None:
    """A group added between two updates that nobody follows gets its row, and the rows go on."""
    optimizer = SGD(make_groups(1), lr=1.0)
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    for k in range(5):
        if k == 2:
            optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})
        update(optimizer)
        scheduler.step()
        scheduler.step()
    assert applied == RATES[:5]
    assert optimizer.param_groups[1]["lr"] == RATES[5]
