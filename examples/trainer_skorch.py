"""A table in skorch: one callback; trains, and goes on with partial_fit."""

import argparse

import torch
from skorch import NeuralNetRegressor

from client.trainers.skorch import table_callback
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100, help="updates in all (100)")
steps = parser.parse_args().steps

table = WarmupWithDecay(base_lr=0.01, warmup_steps=steps // 10, total_steps=steps, min_lr=0).table(steps)
torch.manual_seed(0)
inputs = torch.randn(16 * (steps // 10), 8)
net = NeuralNetRegressor(
    torch.nn.Linear,
    module__in_features=8,
    module__out_features=1,
    optimizer=torch.optim.AdamW,
    callbacks=[table_callback(table)],
    batch_size=16,
    max_epochs=5,
    train_split=None,
    verbose=0,
)
net.fit(inputs, inputs.sum(1, keepdim=True))
net.partial_fit(inputs, inputs.sum(1, keepdim=True))  # the other five epochs
for epoch in net.history:
    rates = [batch["lr"] for batch in epoch["batches"]]
    print(f"epoch {epoch['epoch']}: lr {rates[0]:.6f} to {rates[-1]:.6f}, loss {epoch['train_loss']:.4f}")
