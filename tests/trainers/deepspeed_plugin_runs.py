"""Small trainings with DeepSpeed under Accelerate, in each of some processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.update(DS_ACCELERATOR="cpu", ACCELERATE_USE_CPU="true")  # before deepspeed is imported

import torch
from accelerate import Accelerator
from accelerate.utils import DeepSpeedPlugin
from deepspeed.ops import __compatible_ops__ as compatible_ops
from torch.utils.data import DataLoader, TensorDataset

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.trainers.support import record_rates, report

UPDATES = 6
SAVED = 2  # updates before the checkpoint
ACCUMULATED = 2  # batches in an update
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(UPDATES)]})


class Training:
    """A model that Accelerate gives to DeepSpeed, and a prepared table.

    Accelerate has one plugin a process: a stage of ZeRO takes processes of its own.
    """

    def __init__(self, stage: int) -> None:
        plugin = DeepSpeedPlugin(zero_stage=stage, gradient_accumulation_steps=ACCUMULATED)
        plugin.deepspeed_config["zero_allow_untested_optimizer"] = True
        plugin.deepspeed_config["zero_force_ds_cpu_optimizer"] = False
        self.accelerator = Accelerator(cpu=True, deepspeed_plugin=plugin, gradient_accumulation_steps=ACCUMULATED)
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
        count = UPDATES * ACCUMULATED * 2 * self.accelerator.num_processes
        data = TensorDataset(torch.arange(2.0 * count).reshape(count, 2) / count, torch.ones(count, 1))
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


def resumed(folder: Path, stage: int) -> list[float]:
    """Taken up from save_state after two updates."""
    before = Training(stage).train(SAVED)
    before.accelerator.save_state(str(folder))
    after = Training(stage)
    after.accelerator.load_state(str(folder))
    return before.rates + after.train(UPDATES - SAVED).rates


def main() -> None:
    """Both trainings, in the stage that was asked for."""
    compatible_ops["deepspeed_shm_comm"] = False  # which a compiler would build now: gloo does
    folder, stage = Path(sys.argv[1]), int(sys.argv[2])
    report({"fresh": Training(stage).train(UPDATES).rates, "resumed": resumed(folder, stage)})


if __name__ == "__main__":
    main()
