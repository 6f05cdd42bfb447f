"""Example 2: pretraining BERT, a million steps of warmup and decay, of which a toy model takes the first few.

With `--url` the million rates come from a server (`lrtables serve`), verified, so that every worker has the same ones;
without it they are computed here, and are the same: the loop cannot tell the difference.
"""

import argparse

import torch

from client import Client
from client.plain_loop import set_lr
from scheduler import CachedScheduler
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100, help="how many of the million updates to take (100)")
parser.add_argument("--url", help="a server to fetch the table from, like http://127.0.0.1:8000")
arguments = parser.parse_args()

total_steps, warmup_steps = 1_000_000, 10_000
schedule = WarmupWithDecay(base_lr=1e-4, warmup_steps=warmup_steps, total_steps=total_steps, min_lr=0)
if arguments.url:
    with Client(arguments.url) as client:
        table = client.fetch(schedule)
else:
    table = CachedScheduler(schedule, total_steps).table
print(f"{table.total_steps:,} rates, {table.nbytes / 1e6:.0f} MB")
for step in schedule.boundaries(total_steps):
    print(f"  step {step:>7}: lr {table.get_lr(step):.3e}")

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Embedding(100, 16), torch.nn.Linear(16, 100))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01)
for step in range(arguments.steps):
    set_lr(optimizer, table.get_lr(step))
    tokens = torch.randint(100, (32,))
    loss = torch.nn.functional.cross_entropy(model(tokens), tokens)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"after {arguments.steps} updates: lr {optimizer.param_groups[0]['lr']:.3e}, loss {loss.item():.4f}")
