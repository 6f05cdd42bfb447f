"""Example 1: the rates of ResNet-50 on ImageNet, 100 epochs with PyTorch's MultiStepLR, on a toy network.

PyTorch's own scheduler is the right choice here: a standard recipe, one change of rate every 30 epochs.
"""

import argparse

import torch
from torch.optim.lr_scheduler import MultiStepLR

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=5, help="updates per epoch (5; on ImageNet it would be 5005)")
steps_per_epoch = parser.parse_args().steps

torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 7 * 7, 10)
)
images, labels = torch.randn(16, 3, 16, 16), torch.randint(10, (16,))

optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
scheduler = MultiStepLR(optimizer, milestones=[30, 60, 90], gamma=0.1)

for epoch in range(100):
    for _ in range(steps_per_epoch):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch in (0, 29, 30, 59, 60, 89, 90, 99):
        print(f"epoch {epoch}: lr {scheduler.get_last_lr()[0]:.6f}, loss {loss.item():.4f}")
    scheduler.step()
