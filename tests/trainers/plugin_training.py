"""A small training with an Accelerator that has a plugin, for the processes of `..._plugin_runs.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.trainers.support import record_rates

UPDATES = 6
SAVED = 2  # updates before the checkpoint
ACCUMULATED = 2  # batches in an update
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(UPDATES)]})


class Training:
    """A linear model, its optimizer, its data and a table, all prepared by an Accelerator."""

    def __init__(self, accelerator: Any, outputs: int) -> None:
        self.accelerator = accelerator
        torch.manual_seed(0)
        model = torch.nn.Linear(2, outputs)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
        count = UPDATES * ACCUMULATED * 2 * accelerator.num_processes
        data = TensorDataset(torch.arange(2.0 * count).reshape(count, 2) / count, torch.ones(count, outputs))
        self.model, self.optimizer, self.loader, self.scheduler = accelerator.prepare(
            model, optimizer, DataLoader(data, 2), TableLR(optimizer, TABLE)
        )
        self.rates = record_rates(optimizer)

    def train(self, updates: int) -> Training:
        """Make so many updates."""
        for (inputs, targets), _ in zip(self.loader, range(updates * ACCUMULATED), strict=False):
            with self.accelerator.accumulate(self.model):
                loss = (self.model(inputs) - targets).square().mean()
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
        return self


def resumed(folder: Path, make: Callable[[], Training]) -> list[float]:
    """The rates of a training that is taken up from save_state after two updates."""
    before = make().train(SAVED)
    before.accelerator.save_state(str(folder))
    after = make()
    after.accelerator.load_state(str(folder))
    return before.rates + after.train(UPDATES - SAVED).rates
