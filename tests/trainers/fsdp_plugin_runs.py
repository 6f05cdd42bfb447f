"""Small trainings with FSDP2 under Accelerate, in each of two processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.update(ACCELERATE_USE_CPU="true", ACCELERATE_USE_FSDP="true")  # before accelerate is imported

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.utils.data import DataLoader, TensorDataset

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.trainers.support import record_rates, report

UPDATES = 6
SAVED = 2  # updates before the checkpoint
ACCUMULATED = 2  # batches in an update
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(UPDATES)]})


class Training:
    """A model that Accelerate shards, and a prepared table."""

    def __init__(self) -> None:
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="no_wrap", state_dict_type="SHARDED_STATE_DICT"
        )
        self.accelerator = Accelerator(fsdp_plugin=plugin, gradient_accumulation_steps=ACCUMULATED)
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
        count = UPDATES * ACCUMULATED * 2 * self.accelerator.num_processes
        data = TensorDataset(torch.arange(2.0 * count).reshape(count, 2) / count, torch.ones(count, 2))
        self.model, self.optimizer, self.loader, self.scheduler = self.accelerator.prepare(
            model, optimizer, DataLoader(data, 2), TableLR(optimizer, TABLE)
        )
        self.rates = record_rates(optimizer)

    def train(self, updates: int) -> Training:
        for (inputs, targets), _ in zip(self.loader, range(updates * ACCUMULATED), strict=False):
            with self.accelerator.accumulate(self.model):
                loss = (self.model(inputs) - targets).square().mean()
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
        return self


def resumed(folder: Path) -> list[float]:
    """Taken up from save_state after two updates."""
    before = Training().train(SAVED)
    before.accelerator.save_state(str(folder))
    after = Training()
    after.accelerator.load_state(str(folder))
    return before.rates + after.train(UPDATES - SAVED).rates


def main() -> None:
    """Both trainings, with the class that the model was made.

    Accelerate shards where there are accelerators. Told that these processes with gloo have some, it does so on CPUs.
    """
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    training = Training()
    sharded = type(training.model).__name__
    report({"model": sharded, "fresh": training.train(UPDATES).rates, "resumed": resumed(Path(sys.argv[1]))})


if __name__ == "__main__":
    main()
