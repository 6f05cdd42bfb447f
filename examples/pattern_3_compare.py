"""Pattern 3: the same model with PyTorch's OneCycleLR and with ours, side by side.

They are not the same schedule: PyTorch rises by a cosine where ours rises by a line, PyTorch has its peak one step
before ours, and it falls to initial_lr / final_div_factor where ours falls to max_lr / final_div_factor.
"""

import argparse

import torch
from torch.optim.lr_scheduler import OneCycleLR as PyTorchOneCycle

from client.plain_loop import set_lr
from scheduler.custom import OneCycleLR as CustomOneCycle

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=1000, help="updates in all (1000)")
total_steps = parser.parse_args().steps

torch.manual_seed(0)
data = torch.randn(64, 8)
target = data @ torch.randn(8, 1)
models = [torch.nn.Linear(8, 1) for _ in range(2)]
models[1].load_state_dict(models[0].state_dict())
optimizers = [torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9) for model in models]

torch_schedule = PyTorchOneCycle(optimizers[0], max_lr=0.1, total_steps=total_steps, cycle_momentum=False)
custom_schedule = CustomOneCycle(max_lr=0.1, total_steps=total_steps)
shown = custom_schedule.boundaries(total_steps)

print(f"{'step':>6} {'torch lr':>12} {'custom lr':>12} {'torch loss':>12} {'custom loss':>12}")
for step in range(total_steps):
    set_lr(optimizers[1], custom_schedule.get_lr(step))
    rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    losses = []
    for model, optimizer in zip(models, optimizers, strict=True):
        loss = torch.nn.functional.mse_loss(model(data), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if step < total_steps - 1:  # PyTorch's refuses to be stepped past its last step
        torch_schedule.step()
    if step in shown:
        print(f"{step:>6} {rates[0]:>12.3e} {rates[1]:>12.3e} {losses[0]:>12.4f} {losses[1]:>12.4f}")
