"""One worker of the demo: `examples/demo.py` starts several with torchrun, and again after a crash.

What a training script needs of lrtables is marked (1) to (5); the rest is ordinary distributed training.
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
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from client import Client
from client.distributed import check_applied_rates, follow, share_table
from client.lr_scheduler import TableLR
from scheduler import Table

RUN = "demo/digits"
BATCH = 16
SAVE_EVERY = 20  # updates
PAUSE = 0.01  # seconds that an update takes longer: so that there is a training to steer


def load_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The digits that scikit-learn ships: 1,437 images of 64 pixels to train with, 360 to test."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    pixels, labels = torch.tensor(digits.data[order] / 16, dtype=torch.float32), torch.tensor(digits.target[order])
    return pixels[:1437], labels[:1437], pixels[1437:], labels[1437:]


class Training:
    """Everything that a crash loses and a checkpoint brings back."""

    def __init__(self, table: Table, checkpoint: dict[str, Any] | None) -> None:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
        self.model = DistributedDataParallel(network)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0, momentum=0.9)
        self.scheduler = TableLR(self.optimizer, table)  # (2) the table drives the optimizer
        for name, state in (checkpoint or {}).items():
            getattr(self, name).load_state_dict(state)  # the scheduler's is a position, and which table it was

    @property
    def update(self) -> int:
        """Number of the next update."""
        return self.scheduler.last_epoch

    @property
    def is_over(self) -> bool:
        """Whether every row of the table has been applied."""
        return self.update >= self.scheduler.table.total_steps

    def train(self, pixels: Tensor, labels: Tensor) -> str:
        """Make one update; return its number, its rate, and the loss before it."""
        update, rate = self.update, self.optimizer.param_groups[0]["lr"]
        loss = cross_entropy(self.model(pixels), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return f"{update} {rate!r} {loss.item()}"

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scheduler")}
        torch.save(parts, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)


def main() -> None:
    """Join the other workers, do the work, and leave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the server's address")
    parser.add_argument("--folder", required=True, type=Path, help="for checkpoint, cache, and what was applied")
    arguments = parser.parse_args()
    dist.init_process_group("gloo")
    work(arguments.url, arguments.folder)  # all that holds the process group is gone when this returns
    dist.destroy_process_group()


def work(url: str, folder: Path) -> None:
    """Share the run's table, train, follow the run, and note what was applied."""
    rank, workers = dist.get_rank(), dist.get_world_size()
    (folder / f"pid-{rank}").write_text(str(os.getpid()))
    pixels, labels, test_pixels, test_labels = load_data()
    file = folder / "checkpoint.pt"
    checkpoint = torch.load(file, weights_only=True) if file.exists() else None
    client = Client(url, cache=folder / "cache")
    # (1) rank 0 asks for the run by its name; all ranks prove that they have the same table and start together
    saved = checkpoint and checkpoint["scheduler"]
    training = Training(share_table(client, RUN, checkpoint=saved), checkpoint)
    with (
        check_applied_rates(training.optimizer, every=100),  # (3) that they still apply the same
        follow(training.scheduler, client, every=10, poll=0.2) as follower,  # (4) changes of the run, all at once
        open(folder / f"applied-{rank}", "a", buffering=1) as applied,
    ):
        while not training.is_over:
            order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(training.update))
            batch = order[rank : BATCH * workers : workers]
            applied.write(training.train(pixels[batch], labels[batch]) + "\n")
            follower.step()  # (5) after each update; it never waits for the server
            if rank == 0 and training.update % SAVE_EVERY == 0:
                training.save(file)
            time.sleep(PAUSE)
    client.close()
    if rank == 0:
        with torch.no_grad():
            right = training.model(test_pixels).argmax(1) == test_labels
        (folder / "accuracy").write_text(str(right.double().mean().item()))


if __name__ == "__main__":
    main()
