"""Pattern 2: one schedule for the whole training, and the plainest loop there is: ask for the rate, write it, update.

There is no state to save: to resume, start the loop at another step.
"""

import argparse

import torch

from client.plain_loop import set_lr
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=1000, help="updates in all (1000)")
total_steps = parser.parse_args().steps

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
data = torch.randn(64, 8)
target = data @ torch.randn(8, 1)
optimizer = torch.optim.AdamW(model.parameters())

schedule = WarmupWithDecay(base_lr=5e-4, warmup_steps=total_steps // 10, total_steps=total_steps, min_lr=1e-6)
for step in range(total_steps):
    set_lr(optimizer, schedule.get_lr(step))
    loss = torch.nn.functional.mse_loss(model(data), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step in schedule.boundaries(total_steps):
        print(f"step {step}: lr {optimizer.param_groups[0]['lr']:.9f}, loss {loss.item():.4f}")
