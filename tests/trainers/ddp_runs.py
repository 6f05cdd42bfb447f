"""Trainings with DistributedDataParallel on each of several processes, as under torchrun."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before the process group is made: imported later, by DDP, it would keep the group alive
from torch.nn.parallel import DistributedDataParallel

from client.distributed import share_table
from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.training import through_file
from tests.trainers.support import record_rates, report

TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})
SAVED = 5  # updates


def train(accumulate: int = 1, updates: int = 12, saved: Any = None) -> tuple[list[float], Any]:
    """The rate of each update of this process, and the states at the end."""
    model = DistributedDataParallel(torch.nn.Linear(2, 1))
    optimizer = torch.optim.AdamW(model.parameters())
    checkpoint = None if saved is None else saved["scheduler"]
    scheduler = TableLR(optimizer, share_table(None, TABLE, optimizer=optimizer, checkpoint=checkpoint))
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    for name, part in parts.items():
        if saved is not None:
            part.load_state_dict(saved[name])
    rates = record_rates(optimizer)
    for batch in range(scheduler.last_epoch * accumulate, updates * accumulate):
        is_update = (batch + 1) % accumulate == 0
        with nullcontext() if is_update else model.no_sync():
            model(torch.ones(2, 2)).square().mean().backward()
        if is_update:
            optimizer.step()
            optimizer.zero_grad()
        scheduler.step()  # after each batch: without an update it moves nothing
    return rates, {name: part.state_dict() for name, part in parts.items()}


def main() -> None:
    _, state = train(accumulate=3, updates=SAVED)
    resumed, _ = train(accumulate=3, saved=through_file(state))
    report({"fresh": train()[0], "accumulated": train(accumulate=3)[0], "resumed": resumed})


if __name__ == "__main__":
    dist.init_process_group("gloo")
    main()
