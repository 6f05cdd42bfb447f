"""A table with Accelerate, prepared like any scheduler. On two: accelerate launch --cpu --num_processes 2 ..."""

import argparse
import tempfile
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

from client.lr_scheduler import TableLR
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=40, help="updates in all (40)")
steps = parser.parse_args().steps

table = WarmupWithDecay(base_lr=0.1, warmup_steps=steps // 10, total_steps=steps, min_lr=0).table(steps)
torch.manual_seed(0)
inputs = torch.randn(256, 8)
data = TensorDataset(inputs, inputs.sum(1, keepdim=True))


def prepared() -> tuple[Accelerator, Any]:
    """Model, optimizer, data and schedule, as each process sees them."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return accelerator, accelerator.prepare(model, optimizer, DataLoader(data, 4), TableLR(optimizer, table))


def train(accelerator: Accelerator, parts: Any, begin: int, end: int) -> None:
    """Make the updates from `begin` to `end`, each of two batches."""
    model, optimizer, loader, scheduler = parts
    done = begin
    while done < end:
        for batch, target in loader:
            with accelerator.accumulate(model):
                accelerator.backward(torch.nn.functional.mse_loss(model(batch), target))
                rate = optimizer.param_groups[0]["lr"]
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients and done < end:
                if done % max(1, steps // 10) == 0:
                    accelerator.print(f"update {done}: lr {rate:.6f}")
                done += 1
                if done == end:
                    break


with tempfile.TemporaryDirectory() as folder:
    accelerator, parts = prepared()
    train(accelerator, parts, 0, steps // 2)
    accelerator.save_state(folder)
    accelerator, parts = prepared()  # as after a restart
    accelerator.load_state(folder)
    train(accelerator, parts, steps // 2, steps)
