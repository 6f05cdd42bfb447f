"""Pattern 1: warm up step by step with our schedule, then decay epoch by epoch with one of PyTorch's.

Each scheduler has its own time: ours writes the rate during the warmup, PyTorch's afterwards, never both at once.
"""

import argparse

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from client.plain_loop import set_lr
from scheduler.custom import LinearWarmup

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=1000, help="updates in all, in 10 epochs (1000)")
steps = parser.parse_args().steps

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
data = torch.randn(64, 8)
target = data @ torch.randn(8, 1)

total_epochs = 10
warmup_steps = steps // 5
base_lr = 1e-1
optimizer = torch.optim.SGD(model.parameters(), lr=base_lr)
warmup = LinearWarmup(base_lr, warmup_steps)
cosine = CosineAnnealingLR(optimizer, T_max=total_epochs - 2)

global_step = 0
for epoch in range(total_epochs):
    for _ in range(steps // total_epochs):
        if global_step < warmup_steps:
            set_lr(optimizer, warmup.get_lr(global_step))
        loss = torch.nn.functional.mse_loss(model(data), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        global_step += 1
    print(f"epoch {epoch}: lr {optimizer.param_groups[0]['lr']:.6f}, loss {loss.item():.4f}")
    if global_step >= warmup_steps:
        cosine.step()
