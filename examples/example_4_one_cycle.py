"""Example 4: fast training with one cycle, by PyTorch's scheduler (`--option torch`) or by ours (`--option custom`).

PyTorch's drives the optimizer itself; ours is asked for each step's rate, and can be asked for any other step as well.
"""

import argparse

import torch
from torch.optim.lr_scheduler import OneCycleLR as PyTorchOneCycle

from client.plain_loop import set_lr
from scheduler.custom import OneCycleLR

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=500, help="updates in all (500)")
parser.add_argument("--option", choices=["torch", "custom"], default="custom", help="whose schedule (custom)")
arguments = parser.parse_args()
total_steps = arguments.steps

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
data = torch.randn(64, 8)
target = data @ torch.randn(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def train_step() -> float:
    """One update; the loss before it."""
    loss = torch.nn.functional.mse_loss(model(data), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


if arguments.option == "torch":
    scheduler = PyTorchOneCycle(optimizer, max_lr=0.1, total_steps=total_steps, pct_start=0.3)
    for step in range(total_steps):
        last_lr, loss = scheduler.get_last_lr()[0], train_step()
        if step < total_steps - 1:  # it refuses to be stepped past its last step
            scheduler.step()
else:
    schedule = OneCycleLR(
        max_lr=0.1, total_steps=total_steps, pct_start=0.3, anneal_strategy="cos", div_factor=25.0, final_div_factor=1e4
    )
    for step in range(total_steps):
        last_lr = schedule.get_lr(step)
        set_lr(optimizer, last_lr)
        loss = train_step()
print(f"{arguments.option}: {total_steps} updates, last lr {last_lr:.3e}, loss {loss:.4f}")
