"""Small trainings with Accelerate, in this process or in each of several."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch.utils.data import DataLoader, TensorDataset

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.trainers.support import record_rates, report

TABLE = Table({"lr": [0.1 / (k + 3) for k in range(24)]})
BATCHES = 8  # of each process in an epoch
SAVED = 3  # updates before the checkpoint


class Training:
    """A model, its optimizer and a table, prepared by Accelerate; `step` is what a script does with a batch.

    Args:
        prepare: whether the scheduler is prepared, as scripts do.
        split: whether the loader's batches are split among the processes.
        settings: for the Accelerator.
    """

    def __init__(self, *, prepare: bool = True, split: bool = False, scaled: bool = False, **settings: Any) -> None:
        configuration = DataLoaderConfiguration(split_batches=split)
        self.accelerator = Accelerator(cpu=True, dataloader_config=configuration, **settings)
        if scaled:  # on a CPU Accelerate makes no scaler of its own
            self.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=10**6)
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
        scheduler = TableLR(optimizer, TABLE)
        processes = self.accelerator.num_processes
        count = BATCHES * 2 * (1 if split else processes)
        data = TensorDataset(torch.arange(2.0 * count).reshape(count, 2) / count, torch.ones(count, 1))
        self.model, self.optimizer, self.loader = self.accelerator.prepare(model, optimizer, DataLoader(data, 2))
        self.table_lr = scheduler
        self.scheduler: Any = self.accelerator.prepare(scheduler) if prepare else scheduler
        self.rates = record_rates(optimizer)
        self.logged: list[float] = []

    def step(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        with self.accelerator.accumulate(self.model):
            loss = (self.model(inputs) - targets).square().mean()
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.logged.append(self.scheduler.get_last_lr()[0])
            self.scheduler.step()
            self.optimizer.zero_grad()

    def epoch(self, batches: int = BATCHES) -> Training:
        for (inputs, targets), _ in zip(self.loader, range(batches), strict=False):
            self.step(inputs, targets)
        return self


def prepared(_folder: Path) -> list[float]:
    return Training().epoch().rates


def split_batches(_folder: Path) -> list[float]:
    return Training(split=True).epoch().rates


def accumulated(_folder: Path) -> list[float]:
    """Accumulation over 3 batches, the last update of an epoch after 2."""
    return Training(gradient_accumulation_steps=3).epoch().epoch().rates


def accumulated_and_not_prepared(_folder: Path) -> list[float]:
    """The scheduler is stepped after every batch, by nothing that knows of the accumulation."""
    return Training(prepare=False, gradient_accumulation_steps=3).epoch().epoch().rates


def stepped_every_batch(_folder: Path) -> list[float]:
    """The same, as Accelerate's own option does it."""
    return Training(gradient_accumulation_steps=3, step_scheduler_with_optimizer=False).epoch().epoch().rates


def not_prepared(_folder: Path) -> list[float]:
    return Training(prepare=False).epoch().rates


def scaled(_folder: Path) -> list[float]:
    """A scale so large that the first update is skipped."""
    return Training(scaled=True).epoch().rates


def resumed(folder: Path) -> list[float]:
    """Taken up from save_state in the middle of an epoch."""
    before = Training().epoch(SAVED)
    before.accelerator.save_state(str(folder))
    before.accelerator.wait_for_everyone()
    after = Training()
    after.accelerator.load_state(str(folder))
    return before.rates + after.epoch(BATCHES - SAVED).rates


def registered(folder: Path) -> list[float]:
    """The same for a scheduler that is not prepared, but registered for checkpointing."""
    before, after = Training(prepare=False), Training(prepare=False)
    for each in (before, after):
        each.accelerator.register_for_checkpointing(each.table_lr)
    before.epoch(SAVED).accelerator.save_state(str(folder))
    before.accelerator.wait_for_everyone()
    after.accelerator.load_state(str(folder))
    return before.rates + after.epoch(BATCHES - SAVED).rates


TRAININGS: dict[str, tuple[Callable[[Path], list[float]], int]] = {  # and how many updates it makes
    "prepared": (prepared, 8),
    "split_batches": (split_batches, 8),
    "accumulated": (accumulated, 6),
    "accumulated_and_not_prepared": (accumulated_and_not_prepared, 6),
    "stepped_every_batch": (stepped_every_batch, 6),
    "not_prepared": (not_prepared, 8),
    "scaled": (scaled, 7),
    "resumed": (resumed, 8),
    "registered": (registered, 8),
}


def main() -> None:
    """All trainings, in each of several processes."""
    report({name: training(Path(sys.argv[1]) / name) for name, (training, _) in TRAININGS.items()})


if __name__ == "__main__":
    main()
