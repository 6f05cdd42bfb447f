"""A table with FSDP2 and torch.distributed.checkpoint. On two processes: torchrun --nproc_per_node 2 ..."""

import argparse
import os
import tempfile
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from client.lr_scheduler import TableLR
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=40)
steps = parser.parse_args().steps
alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29508"}
os.environ.update(alone | dict(os.environ))  # torchrun sets these
dist.init_process_group("gloo")
table = WarmupWithDecay(0.1, steps // 10, steps).table(steps)


class Training:
    """A sharded model, its optimizer and the table; torch.distributed.checkpoint saves and loads it."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(8, 1)
        fully_shard(self.model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.scheduler = TableLR(self.optimizer, table)

    def train(self, until: int) -> None:
        for update in range(self.scheduler.last_epoch, until):
            if update % (steps // 10) == 0 and dist.get_rank() == 0:
                print(f"update {update}: lr {self.optimizer.param_groups[0]['lr']:.6f}")
            self.model(torch.randn(4, 8)).square().mean().backward()
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer, "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        set_state_dict(self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


dist.broadcast_object_list(folder := [tempfile.mkdtemp()])
(before := Training()).train(steps // 2)
save({"training": before}, checkpoint_id=folder[0])
load({"training": (after := Training())}, checkpoint_id=folder[0])
after.train(steps)
dist.destroy_process_group()
