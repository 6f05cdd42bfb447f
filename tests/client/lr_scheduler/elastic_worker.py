"""One worker of an elastic training: torchrun starts any number of these, and again with another number.

The batch of a worker stays, so the global batch changes with their number. The table counts samples: what is in force
depends on how many were seen, and not on who saw them. Marked (1) to (3) is what an elastic script needs of lrtables.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before the process group is made: imported later, by DDP, it would keep the group alive
from torch.nn.parallel import DistributedDataParallel

from client import Client
from client.distributed import share_table
from client.lr_scheduler import TableLR
from scheduler import Table

BATCH = 8  # samples of one worker in one update


class Training:
    """A training that any number of workers can take up from the last checkpoint."""

    def __init__(self, table: Table, checkpoint: Path) -> None:
        torch.manual_seed(0)
        self.model = DistributedDataParallel(torch.nn.Linear(1, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0)
        self.scheduler = TableLR(self.optimizer, table)  # (1) a table with axis="sample"
        self.record: list[dict[str, Any]] = []  # one entry per update: what each worker did
        self.checkpoint = checkpoint
        if checkpoint.exists():
            self.resume()

    @property
    def seen(self) -> int:
        """Samples seen so far by all workers together."""
        return self.scheduler.last_epoch

    def update(self) -> None:
        begin = self.seen + dist.get_rank() * BATCH
        samples = list(range(begin, begin + BATCH))
        self.model(torch.tensor(samples, dtype=torch.float32).unsqueeze(1) / 1000).square().mean().backward()
        mine = {"rate": self.optimizer.param_groups[0]["lr"], "samples": samples}
        everyone: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everyone, mine)
        self.record.append({"seen": self.seen, "workers": everyone})
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.scheduler.set_progress(self.seen + BATCH * len(everyone))  # (2) progress is the global count

    def save(self) -> None:
        parts = (self.model, self.optimizer, self.scheduler)
        temporary = self.checkpoint.with_suffix(f".{os.getpid()}")
        torch.save(([part.state_dict() for part in parts], self.record), temporary)
        temporary.replace(self.checkpoint)

    def resume(self) -> None:
        (model, optimizer, scheduler), self.record = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.scheduler.load_state_dict(scheduler)  # (3) brings the count back, whatever the number of workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="a file, or with --url the name of a run")
    parser.add_argument("--url", help="of the service that has the run")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--until", required=True, type=int, help="samples after which to stop")
    parser.add_argument("--pause", default=0.0, type=float, help="seconds that an update takes longer")
    arguments = parser.parse_args()
    dist.init_process_group("gloo")
    work(arguments)  # all that holds the process group is gone when this returns
    dist.destroy_process_group()
    names = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
    if any("gloo" in name for name in names):
        raise SystemExit(f"threads of gloo outlive the process group, and may abort the process at its end: {names}")


def shared_table(url: str, name: str, checkpoint: Path) -> Table:
    """The table of a run, or the one that the checkpoint names, which the cache has when the service is away."""
    saved = torch.load(checkpoint, weights_only=True)[0][2] if checkpoint.exists() else None
    with Client(url, refused_patience=0.2) as client:
        return share_table(client, name, checkpoint=saved, timeout=60.0)


def work(arguments: argparse.Namespace) -> None:
    if arguments.url is None:
        table = Table.load(arguments.table)
    else:
        table = shared_table(arguments.url, str(arguments.table), arguments.checkpoint)
    training = Training(table, arguments.checkpoint)
    while training.seen < arguments.until:
        training.update()
        if dist.get_rank() == 0:
            training.save()
        time.sleep(arguments.pause)


if __name__ == "__main__":
    main()
