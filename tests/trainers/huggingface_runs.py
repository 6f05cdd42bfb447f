"""Small trainings with the Trainer of transformers, in this process or in each of several."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from client.lr_scheduler import TableLR
from client.trainers.huggingface import with_table
from scheduler import Table
from tests.trainers.support import record_rates, report

UPDATES = 7
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(UPDATES)]})
SAVED = 3  # updates before the checkpoint

Recorded = list[list[float]]  # the rates of each parameter group, by update


class Model(torch.nn.Module):
    """A layer and a norm: what Trainer puts in a group with weight decay, and what in one without."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = torch.nn.Linear(2, 1), torch.nn.LayerNorm(2)

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (self.layer(self.norm(inputs)).squeeze(-1) - labels).square().mean()}


class Recorder(TrainerCallback):
    """Records what the optimizer's groups had at each update, as soon as the Trainer has its optimizer."""

    def __init__(self) -> None:
        self.rates: Recorded = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        optimizer = kwargs["optimizer"]
        self.rates = [record_rates(optimizer, group=index) for index in range(len(optimizer.param_groups))]


def arguments(folder: Path | str, **changes: Any) -> TrainingArguments:
    settings: dict[str, Any] = {
        "output_dir": str(folder), "use_cpu": True, "max_steps": UPDATES, "weight_decay": 0.01,
        "per_device_train_batch_size": 2, "report_to": [], "disable_tqdm": True, "logging_steps": 1, "seed": 0,
        "save_strategy": "no", "dataloader_pin_memory": False,
    }  # fmt: skip
    if "RANK" in os.environ:
        settings["ddp_backend"] = "gloo"
    return TrainingArguments(**(settings | changes))


def samples(count: int = 64) -> list[dict[str, Any]]:
    return [{"inputs": torch.tensor([float(k), 1.0]), "labels": torch.tensor(k / count)} for k in range(count)]


def own_optimizer(
    folder: Path | str, table: Table = TABLE, options: dict[str, Any] | None = None, **changes: Any
) -> tuple[Any, Recorder]:
    """A Trainer with an optimizer of ours, and what records its rates."""
    model, recorder = Model(), Recorder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    pair: Any = (optimizer, TableLR(optimizer, table, **(options or {})))  # Trainer asks for a LambdaLR by its types
    settings = arguments(folder, **changes)
    return Trainer(model, settings, train_dataset=samples(), optimizers=pair, callbacks=[recorder]), recorder


def own_trainer(
    folder: Path | str, table: Table = TABLE, options: dict[str, Any] | None = None, **changes: Any
) -> tuple[Any, Recorder]:
    """A Trainer that makes its optimizer, and what records its rates."""
    recorder = Recorder()
    trainer = with_table(Trainer, table, **(options or {}))
    return trainer(Model(), arguments(folder, **changes), train_dataset=samples(), callbacks=[recorder]), recorder


Make = Callable[..., tuple[Any, Recorder]]
WAYS: dict[str, Make] = {"optimizers": own_optimizer, "with_table": own_trainer}


def fresh(make: Make, folder: Path) -> Recorded:
    trainer, recorder = make(folder)
    trainer.train()
    return recorder.rates


def accumulated(make: Make, folder: Path) -> Recorded:
    trainer, recorder = make(folder, gradient_accumulation_steps=3)
    trainer.train()
    return recorder.rates


def resumed(make: Make, folder: Path) -> Recorded:
    """The rates after a checkpoint at an update that ends neither an epoch nor the table."""
    make(folder, save_strategy="steps", save_steps=SAVED)[0].train()
    trainer, recorder = make(folder)
    trainer.train(resume_from_checkpoint=str(folder / f"checkpoint-{SAVED}"))
    return recorder.rates


TRAININGS: dict[str, tuple[Callable[[Make, Path], Recorded], int]] = {  # and the first row that is expected
    "fresh": (fresh, 0),
    "accumulated": (accumulated, 0),
    "resumed": (resumed, SAVED),
}


def main() -> None:
    """All trainings, in each of several processes."""
    recorded = {
        f"{way} {name}": training(make, Path(sys.argv[1]) / way / name)
        for way, make in WAYS.items()
        for name, (training, _) in TRAININGS.items()
    }
    report(recorded)


if __name__ == "__main__":
    main()
