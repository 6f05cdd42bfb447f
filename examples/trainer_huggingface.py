"""A table in the Trainer of transformers: it makes its own optimizer, trains, and resumes from its own checkpoint."""

import argparse
import tempfile
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from client.trainers.huggingface import with_table
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100, help="updates in all (100)")
steps = parser.parse_args().steps


class Regression(torch.nn.Module):
    """What Trainer asks of a model: a dictionary with the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mean squared error."""
        return {"loss": torch.nn.functional.mse_loss(self.layer(inputs).squeeze(-1), labels)}


table = WarmupWithDecay(base_lr=0.01, warmup_steps=steps // 10, total_steps=steps, min_lr=0).table(steps)
torch.manual_seed(0)
data = [{"inputs": x, "labels": x.sum()} for x in torch.randn(256, 8)]


def trainer(folder: str) -> Any:
    """A Trainer that saves a checkpoint in the middle."""
    settings: dict[str, Any] = {"max_steps": steps, "save_steps": steps // 2, "logging_steps": max(1, steps // 10)}
    arguments = TrainingArguments(folder, use_cpu=True, report_to=[], disable_tqdm=True, **settings)
    return with_table(Trainer, table)(Regression(), arguments, train_dataset=data)


def show(log: list[dict[str, float]], first: int = 0) -> None:
    """Print what Trainer has logged: the rate of the last update so far."""
    for entry in log:
        if "learning_rate" in entry and entry["step"] > first:
            print(f"update {entry['step'] - 1}: lr {entry['learning_rate']:.6f}")


with tempfile.TemporaryDirectory() as folder:
    complete = trainer(folder)
    complete.train()
    show(complete.state.log_history)

    print(f"again, from update {steps // 2}")
    resumed = trainer(folder)
    resumed.train(resume_from_checkpoint=f"{folder}/checkpoint-{steps // 2}")
    show(resumed.state.log_history, first=steps // 2)
