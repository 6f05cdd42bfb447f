"""Trainings in timm's manner, in a process that has timm and torchvision on its path.

torchvision's build for CUDA cannot load its operators beside a torch for the CPU, and its import fails for want of two.
Nothing here calls them.
"""

from __future__ import annotations

from typing import Any

import torch

from client.trainers.timm import TimmScheduler
from scheduler import Table
from tests.trainers.support import record_rates, report

OPERATORS = torch.library.Library("torchvision", "DEF")  # its import refuses where a name is missing
BATCHES = 4
SAVED = 5


class Layers(torch.nn.Sequential):
    """A model that tells timm its layers, as timm's own do."""

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"blocks": r"^(\d+)"}


def define_operators() -> None:
    if not hasattr(torch.ops.torchvision, "nms"):
        for name in ("nms", "qnms"):
            OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def train(optimizer: Any, table: Table, accumulate: int = 1, resume: bool = False, **options: Any) -> Any:
    """What each update of each group used in three epochs of a loop as timm's train.py has it."""
    scheduler = TimmScheduler(optimizer, table, **options)
    recorded = [record_rates(optimizer, group=group) for group, _ in enumerate(optimizer.param_groups)]
    updates = 0
    saved: Any = None
    for epoch in range(3):
        for batch in range(BATCHES):
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = torch.ones_like(parameter)
            if (batch + 1) % accumulate == 0:
                optimizer.step()
                updates += 1
                scheduler.step_update(num_updates=updates, metric=0.5)
            if resume and updates == SAVED and saved is None:
                saved = optimizer.state_dict(), scheduler.state_dict()
        scheduler.step(epoch + 1, 0.5)
    return (recorded, saved) if resume else recorded


def main() -> None:
    define_operators()
    from timm.optim import create_optimizer_v2  # noqa: PLC0415  # after the operators are defined

    def make(name: str = "adamw", **settings: Any) -> Any:
        torch.manual_seed(0)
        model = Layers(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
        return create_optimizer_v2(model, opt=name, lr=1.0, **settings)

    steps = Table({"lr": [0.1 / (k + 3) for k in range(12)]})
    decayed = Table({"lr": steps.lr, "weight_decay": steps.lr * 2})
    epochs = Table({"lr": [0.3, 0.2, 0.1]}, axis="epoch")
    samples = Table({"lr": [0.1 / (k + 3) for k in range(24)]}, axis="sample")
    _, (optimizer_state, scheduler_state) = train(make("lookahead_sgd"), steps, resume=True)
    resumed = make("lookahead_sgd")
    second = TimmScheduler(resumed, steps)
    resumed.load_state_dict(optimizer_state)
    second.load_state_dict(scheduler_state)
    rates = record_rates(resumed)
    for updates in range(SAVED, 12):
        for parameter in resumed.param_groups[0]["params"]:
            parameter.grad = torch.ones_like(parameter)
        resumed.step()
        second.step_update(updates + 1)
    scaled = make(layer_decay=0.5, weight_decay=0.0)
    decays = make(layer_decay=0.5, weight_decay=0.0)
    report(
        {
            **{f"fresh {name}": train(make(name), steps) for name in ("adamw", "lamb", "lion", "lookahead_sgd")},
            "accumulated": train(make(), steps, accumulate=2),
            "epochs": train(make("sgd"), epochs),
            "samples": train(make("sgd"), samples, per_step=2),
            "resumed": [rates],
            "scales": [group["lr_scale"] for group in scaled.param_groups],
            "scaled": train(scaled, steps),
            "decayed": [train(decays, decayed), [group["weight_decay"] for group in decays.param_groups]],
        }
    )


if __name__ == "__main__":
    main()
