"""One of several processes: small trainings with DDP, FSDP2 and its checkpoints, and a split optimizer state."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before the process group is made: imported later, by DDP, it would keep the group alive
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.stateful import Stateful
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.trainers.support import record_rates, report

FOLDER = Path(sys.argv[1])
TABLE = Table.load(FOLDER / "table.safetensors")
UPDATES = TABLE.total_steps
SAVED = int(sys.argv[2])  # updates before the checkpoint
Recorded = list[list[float]]  # by column


class Training:
    """A model that processes share in some way, its optimizer and a table, and what reached the optimizer."""

    def __init__(self, model: torch.nn.Module, optimizer: Any = None) -> None:
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1.0) if optimizer is None else optimizer
        self.scheduler = TableLR(self.optimizer, TABLE)
        self.recorded = [record_rates(self.optimizer, column) for column in TABLE.columns]

    def updates(self, count: int, accumulation: int = 1) -> Training:
        for _ in range(count):
            for index in range(accumulation):
                self.model(torch.full((2, 4), index + 1.0)).square().mean().backward()
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()
        return self


def joined(before: Training, after: Training) -> Recorded:
    return [first + second for first, second in zip(before.recorded, after.recorded, strict=True)]


def plain_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))


def parallel() -> Training:
    return Training(DistributedDataParallel(plain_model()))


def sharded() -> Training:
    model = plain_model()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in [*model.children(), model]:
        fully_shard(part, mesh=mesh)
    return Training(model)


def split_state() -> Training:
    model = DistributedDataParallel(plain_model())
    return Training(model, ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=1.0))


# -- checkpoints ------------------------------------------------------------------------------------------------------


class Checkpoint(Stateful):
    """Model, optimizer and scheduler, as `torch.distributed.checkpoint` saves and loads them."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def state_dict(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.training.model, self.training.optimizer)
        return {"model": model, "optimizer": optimizer, "scheduler": self.training.scheduler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        parts = {"model_state_dict": state_dict["model"], "optim_state_dict": state_dict["optimizer"]}
        set_state_dict(self.training.model, self.training.optimizer, **parts)
        self.training.scheduler.load_state_dict(state_dict["scheduler"])


def resumed_by_dcp(make: Callable[[], Training], folder: Path) -> Recorded:
    """The fresh optimizer has no state: torch makes it, by a step at rate 0, before it loads the checkpoint."""
    before, after = make().updates(SAVED), make()
    save({"training": Checkpoint(before)}, checkpoint_id=folder)
    load({"training": Checkpoint(after)}, checkpoint_id=folder)
    return joined(before, after.updates(UPDATES - SAVED))


def resumed_by_file(make: Callable[[], Training], folder: Path) -> Recorded:
    """The scheduler's state and the optimizer's through torch.save and torch.load."""
    before, after = make().updates(SAVED), make()
    if isinstance(before.optimizer, ZeroRedundancyOptimizer):
        before.optimizer.consolidate_state_dict()
    if dist.get_rank() == 0:
        folder.mkdir(parents=True)
        torch.save([before.optimizer.state_dict(), before.scheduler.state_dict()], folder / "checkpoint")
    dist.barrier()
    optimizer, scheduler = torch.load(folder / "checkpoint", weights_only=True)
    after.optimizer.load_state_dict(optimizer)
    after.scheduler.load_state_dict(scheduler)
    return joined(before, after.updates(UPDATES - SAVED))


WAYS: dict[str, tuple[Callable[[], Training], Callable[[Callable[[], Training], Path], Recorded]]] = {
    "DDP": (parallel, resumed_by_file),
    "FSDP2": (sharded, resumed_by_dcp),
    "ZeroRedundancyOptimizer": (split_state, resumed_by_file),
}


def main() -> None:
    """All trainings, in each of several processes."""
    dist.init_process_group("gloo")
    recorded: dict[str, Recorded] = {}
    for way, (make, resume) in WAYS.items():
        recorded[f"{way} fresh"] = make().updates(UPDATES).recorded
        recorded[f"{way} accumulated"] = make().updates(UPDATES, accumulation=3).recorded
        recorded[f"{way} resumed"] = resume(make, FOLDER / way)
    report(recorded)


if __name__ == "__main__":
    main()
