"""Pattern 4: warm up by a schedule, then let ReduceLROnPlateau react to the validation loss.

The warmup is a table whose `after` is `release`: TableLR stops writing at its end, and whatever the plateau scheduler
does from then on stays. With `hold` the table would undo every cut, and warn about the other writer.
"""

import argparse

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from client.lr_scheduler import TableLR
from scheduler import Spec, Table
from scheduler.custom import ExponentialWarmup

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=1000, help="updates in all, in 20 epochs (1000)")
steps = parser.parse_args().steps

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
data = torch.randn(64, 8)
target = data @ torch.randn(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-1)

warmup_steps = steps // 4
warmup = ExponentialWarmup(base_lr=1e-1, warmup_steps=warmup_steps)
scheduler = TableLR(optimizer, Table.compute(Spec(schedule=warmup, total_steps=warmup_steps, after="release")))
plateau = ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=1)

for epoch in range(20):
    for _ in range(steps // 20):
        loss = torch.nn.functional.mse_loss(model(data[:32]), target[:32])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        validation_loss = torch.nn.functional.mse_loss(model(data[32:]), target[32:]).item()
    if scheduler.last_epoch >= warmup_steps:
        plateau.step(validation_loss)
    print(f"epoch {epoch}: lr {optimizer.param_groups[0]['lr']:.3e}, validation loss {validation_loss:.4f}")
