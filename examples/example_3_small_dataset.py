"""Example 3: a small data set, with cyclical rates whose amplitude halves from cycle to cycle.

A cycle is 8 epochs long: 4 up, 4 down. High rates shake the weights out of poor minima, low ones settle them.
"""

import argparse

import torch

from client.plain_loop import set_lr
from scheduler.custom import CyclicLR

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=25, help="updates per epoch (25)")
steps_per_epoch = parser.parse_args().steps

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
data, target = torch.randn(100, 8), torch.randn(100, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

step_size = steps_per_epoch * 4
schedule = CyclicLR(base_lr=1e-4, max_lr=1e-1, step_size=step_size, mode="triangular2")

global_step = 0
for epoch in range(24):
    for _ in range(steps_per_epoch):
        set_lr(optimizer, schedule.get_lr(global_step))
        loss = torch.nn.functional.mse_loss(model(data), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        global_step += 1
    if epoch % 4 == 3:
        print(f"epoch {epoch}: next lr {schedule.get_lr(global_step):.5f}, loss {loss.item():.4f}")
