"""A training with Ignite on each of several processes: fresh, with accumulation, and with samples counted."""

from __future__ import annotations

from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import create_supervised_trainer
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from client.lr_scheduler import TableLR
from client.trainers.ignite import attach_table
from scheduler import Table
from tests.trainers.support import record_rates, report

TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})
SAMPLES = Table({"lr": [0.1 / (k + 3) for k in range(24)]}, axis="sample")


def train(table: Table, epochs: int = 3, accumulate: int = 1, count: Any = None) -> list[float]:
    """The rate of each update of this process, four batches of two samples to an epoch."""
    model = DistributedDataParallel(torch.nn.Linear(2, 1))
    optimizer = SGD(model.parameters(), lr=1.0)
    scheduler = TableLR(optimizer, table)
    loss = torch.nn.functional.mse_loss
    trainer = create_supervised_trainer(model, optimizer, loss, gradient_accumulation_steps=accumulate)
    attach_table(trainer, scheduler, count=count)
    rates = record_rates(optimizer)
    trainer.run([(torch.ones(2, 2), torch.ones(2, 1))] * 4, max_epochs=epochs)
    return rates


def main(_rank: int) -> None:
    counted = train(SAMPLES, epochs=2, count=lambda batch: len(batch[0]))[:6]
    report([train(TABLE), train(TABLE, accumulate=3), counted])


if __name__ == "__main__":
    with idist.Parallel(backend="gloo") as parallel:
        parallel.run(main)
