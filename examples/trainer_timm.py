"""A table in a training loop of timm: the loop of its train.py, which gives absolute counts of updates and epochs."""

import argparse

import torch

from client.trainers.timm import TimmScheduler
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100, help="updates in all (100)")
steps = parser.parse_args().steps

table = WarmupWithDecay(base_lr=0.01, warmup_steps=steps // 10, total_steps=steps, min_lr=0).table(steps)
torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
inputs = torch.randn(16, 8)
optimizer = torch.optim.AdamW(model.parameters())  # or timm.optim.create_optimizer_v2(model, ...)
lr_scheduler = TimmScheduler(optimizer, table)  # in place of create_scheduler_v2(...)

num_updates = 0
for epoch in range(10):
    for _ in range(steps // 10):
        loss = torch.nn.functional.mse_loss(model(inputs), inputs.sum(1, keepdim=True))
        loss.backward()
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        optimizer.zero_grad()
        num_updates += 1
        lr_scheduler.step_update(num_updates=num_updates, metric=loss.item())
    print(f"update {num_updates - 1}: lr {rate:.6f}, loss {loss.item():.4f}")
    lr_scheduler.step(epoch + 1, loss.item())
