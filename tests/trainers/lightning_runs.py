"""Small trainings with Lightning, in this process or in each of several."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from client.trainers.lightning import lightning_config
from scheduler import Table
from tests.trainers.support import record_rates, report

IGNORED = [  # warnings of other packages that every training here gives
    "ignore:.*does not have many workers:UserWarning",  # one process that loads tiny batches is what is wanted here
    "ignore:.*LeafSpec.*is deprecated:FutureWarning",  # a name that Lightning takes from torch
    "ignore:Checkpoint directory .* exists and is not empty:UserWarning",  # where a resumed training saves on
    "ignore:You're resuming from a checkpoint that ended before the epoch ended:UserWarning",  # which is what is tested
]
BATCHES = 4  # of each process in an epoch
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})

Configure = Callable[[Optimizer, Any], Any]
"""An optimizer and a trainer to what `configure_optimizers` returns."""


class Model(pl.LightningModule):
    """A linear model whose losses at the batches `infinite`, counted over all epochs, overflow."""

    def __init__(self, configure: Configure, infinite: tuple[int, ...] = (), **settings: Any) -> None:
        super().__init__()
        self.configure = configure
        self.infinite = infinite
        self.settings = settings
        self.linear = torch.nn.Linear(2, 1)
        self.batches: list[int] = []  # their sizes

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        factor = float("inf") if len(self.batches) in self.infinite else 1.0
        self.batches.append(len(batch[0]))
        loss: torch.Tensor = self.linear(batch[0]).square().mean() * factor
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = SGD(self.parameters(), lr=1.0, **self.settings)
        configured = self.configure(optimizer, self.trainer)
        self.rates = record_rates(optimizer)
        self.columns = {name: record_rates(optimizer, name) for name in self.settings}
        return configured


def loader(batches: int = BATCHES, size: int = 2, last: int | None = None) -> DataLoader[tuple[torch.Tensor, ...]]:
    """Batches of `size` samples, the last one of `last`."""
    samples = batches * size - (0 if last is None else size - last)
    return DataLoader(TensorDataset(torch.arange(2.0 * samples).reshape(samples, 2) / samples), batch_size=size)


def trainer(folder: Path, **settings: Any) -> pl.Trainer:
    """A quiet Trainer on the CPU, which logs and saves nothing unless told to."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    defaults = {"accelerator": "cpu", "devices": 1, "max_epochs": 3, "enable_model_summary": False}
    return pl.Trainer(default_root_dir=folder, **{**quiet, **defaults, **settings})


class TwoOptimizers(pl.LightningModule):
    """A model trained by hand: the first optimizer at every batch, the second at every other one."""

    def __init__(self, tables: tuple[Table, Table]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.tables = tables
        self.linears = torch.nn.ModuleList(torch.nn.Linear(2, 1) for _ in tables)
        self.rates: list[list[float]] = []

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        for optimizer, scheduler, linear in zip(self.optimizers(), self.lr_schedulers(), self.linears, strict=True):
            if linear is self.linears[0] or batch_idx % 2 == 0:
                optimizer.zero_grad()
                self.manual_backward(linear(batch[0]).square().mean())
                optimizer.step()
                scheduler.step()

    def configure_optimizers(self) -> Any:
        optimizers = [SGD(linear.parameters(), lr=1.0) for linear in self.linears]
        pairs = zip(optimizers, self.tables, strict=True)
        configured = [lightning_config(optimizer, table, self.trainer) for optimizer, table in pairs]
        self.rates = [record_rates(optimizer) for optimizer in optimizers]
        return configured


def main() -> None:
    """Train on each of two processes; report what each update used, and the rows of the scheduler at its end."""
    found = []
    for accumulate in (1, 3):
        model = Model(lambda optimizer, _: lightning_config(optimizer, TABLE))
        run = trainer(Path(sys.argv[1]), devices=2, strategy="ddp", accumulate_grad_batches=accumulate)
        run.fit(model, loader(2 * BATCHES))
        found.append([model.rates, run.lr_scheduler_configs[0].scheduler.last_epoch])
    report(found)


if __name__ == "__main__":
    main()
