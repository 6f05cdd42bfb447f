"""Example 5: long training with warm restarts: 500 epochs, cycles of 50, 100, 200 and 400 epochs.

Each cycle falls by a cosine from max_lr to min_lr and starts again at the top. The schedule is a pure function of the
step, so the restarts are where they are, however often the training is interrupted.
"""

import argparse

import torch

from client.plain_loop import set_lr
from scheduler.custom import CosineAnnealingWarmRestarts

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=4, help="updates per epoch (4)")
steps_per_epoch = parser.parse_args().steps

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
data = torch.randn(64, 8)
target = data @ torch.randn(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

schedule = CosineAnnealingWarmRestarts(max_lr=0.1, min_lr=1e-5, t_0=steps_per_epoch * 50, t_mult=2)

global_step = 0
for epoch in range(500):
    for _ in range(steps_per_epoch):
        lr = schedule.get_lr(global_step)
        set_lr(optimizer, lr)
        loss = torch.nn.functional.mse_loss(model(data), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        global_step += 1
    if epoch in (0, 49, 50, 149, 150, 349, 350, 499):
        print(f"epoch {epoch}: lr {lr:.5f}, loss {loss.item():.4f}")
