"""One of two processes that train with FSDP2 or a sharded optimizer: prints the rates of its updates.

`sharded_worker.py fsdp2 FOLDER` saves a checkpoint after three updates, between an update and its `step()`, and goes on
from it with new objects. `sharded_worker.py zero FOLDER` trains with a ZeroRedundancyOptimizer.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.optim import AdamW, Optimizer

from client.lr_scheduler import TableLR
from scheduler import Table

TABLE = Table({"lr": [0.1 / (row + 1) for row in range(10)]})


class Recorded:
    """A model, its optimizer and scheduler, and the rates of all updates."""

    def __init__(self, kind: str, applied: list[float]) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(4, 4)
        if kind == "fsdp2":
            fully_shard(self.model, mesh=init_device_mesh("cpu", (2,)))
        self.optimizer = self.make_optimizer(kind)
        self.optimizer.register_step_pre_hook(lambda *_: applied.append(self.optimizer.param_groups[0]["lr"]))
        self.scheduler = TableLR(self.optimizer, TABLE)

    def make_optimizer(self, kind: str) -> Optimizer:
        if kind == "fsdp2":
            return AdamW(self.model.parameters(), lr=1.0)
        from torch.distributed.optim import ZeroRedundancyOptimizer  # noqa: PLC0415  # warns where it is imported

        return ZeroRedundancyOptimizer(self.model.parameters(), optimizer_class=AdamW, lr=1.0)

    def update(self) -> None:
        self.optimizer.zero_grad()
        self.model(torch.ones(2, 4)).sum().backward()
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer, "scheduler": self.scheduler.state_dict()}


def train(kind: str, folder: str) -> list[float]:
    """The rates of six updates."""
    applied: list[float] = []
    training = Recorded(kind, applied)
    for _ in range(2):
        training.update()
        training.scheduler.step()
        training.scheduler.step()
    training.update()
    if kind == "fsdp2":
        save(training.state(), checkpoint_id=folder)
        ignored: list[float] = []
        training = Recorded(kind, ignored)
        state = training.state()  # makes the optimizer's state by a step at a rate of 0
        assert ignored == [0.0], ignored
        load(state, checkpoint_id=folder)
        training.optimizer.register_step_pre_hook(lambda *_: applied.append(training.optimizer.param_groups[0]["lr"]))
        set_state_dict(
            training.model,
            training.optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
        )
        training.scheduler.load_state_dict(state["scheduler"])
    for _ in range(3):
        training.scheduler.step()
        training.update()
    return applied


def main() -> None:
    """Train, and print what was applied."""
    kind, folder = sys.argv[1:]
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo")
    print(json.dumps(train(kind, folder)), flush=True)
    dist.barrier()
    # torch keeps the group's threads for these optimizers, and while the interpreter clears up they abort now and then
    os._exit(0)


if __name__ == "__main__":
    main()
