"""Small trainings with DeepSpeed on CPUs, in each of some processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["DS_ACCELERATOR"] = "cpu"  # before deepspeed is imported

import deepspeed
import torch

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.trainers.support import report

UPDATES = 7
SAVED = 3  # updates before the checkpoint
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(UPDATES)]})


class Training:
    """A model with two parameter groups, and DeepSpeed's engine for it.

    Args:
        stage: of ZeRO, from 0 to 3.
        factory: whether DeepSpeed makes the scheduler, by a function of the optimizer.
        accumulation: batches in an update.
        settings: of DeepSpeed's configuration.
    """

    def __init__(self, stage: int, *, factory: bool = False, accumulation: int = 1, **settings: Any) -> None:
        torch.manual_seed(0)
        self.accumulation = accumulation
        model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Linear(4, 1))
        groups = [{"params": layer.parameters(), "weight_decay": 0.1 * index} for index, layer in enumerate(model)]
        optimizer = torch.optim.AdamW(groups, lr=1.0)
        scheduler: Any = (lambda given: TableLR(given, TABLE)) if factory else TableLR(optimizer, TABLE)
        configuration: dict[str, Any] = {
            "train_micro_batch_size_per_gpu": 2,
            "gradient_accumulation_steps": accumulation,
            "zero_optimization": {"stage": stage},
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
        }
        self.engine, *_ = deepspeed.initialize(
            model=model, optimizer=optimizer, lr_scheduler=scheduler, config=configuration | settings
        )
        self.rates: list[list[float]] = []  # the different ones in each update
        self._in_update: set[float] = set()
        optimizer.register_step_pre_hook(self._record)

    def _record(self, optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        """ZeRO steps the optimizer once for each of its groups, or for each of their parts."""
        self._in_update |= {group["lr"] for group in optimizer.param_groups}

    def updates(self, count: int) -> Training:
        for _ in range(count * self.accumulation):
            inputs = torch.ones(2, 2, dtype=next(self.engine.module.parameters()).dtype)
            self.engine.backward(self.engine(inputs).square().mean())
            self.engine.step()
            if self._in_update:
                self.rates.append([*self._in_update])
                self._in_update.clear()
        return self


def trainings(stage: int, folder: Path) -> dict[str, list[list[float]]]:
    """The rates of each kind of training, by update."""
    fresh = Training(stage)
    fresh.updates(SAVED).engine.save_checkpoint(str(folder), tag="t")
    resumed = Training(stage)
    resumed.engine.load_checkpoint(str(folder), tag="t")
    return {
        "fresh": fresh.updates(UPDATES - SAVED).rates,
        "resumed": fresh.rates[:SAVED] + resumed.updates(UPDATES - SAVED).rates,
        "factory": Training(stage, factory=True).updates(UPDATES).rates,
        "accumulated": Training(stage, accumulation=3).updates(UPDATES).rates,
        "bf16": Training(stage, bf16={"enabled": True}).updates(UPDATES).rates,
    }


def main() -> None:
    """All trainings, for each stage of ZeRO that is named."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # which a compiler would build now: gloo does
    deepspeed.init_distributed("gloo", auto_mpi_discovery=False)
    folder, *stages = sys.argv[1:]
    report({stage: trainings(int(stage), Path(folder) / stage) for stage in stages})


if __name__ == "__main__":
    main()
