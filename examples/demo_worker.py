"""One worker of the demo: `examples/demo.py` starts several of these with torchrun.

What a training script needs of lrtables is marked (1) to (5); the rest is ordinary distributed training.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.nn  # before the process group is made: imported later, by DDP, it would keep the group alive
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from client import Client
from client.lr_scheduler import TableLR
from scheduler import Table
from scheduler.custom import WarmupWithDecay

EPOCHS, BATCH = 20, 16


def load_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The digits that scikit-learn ships: 1,437 images of 64 pixels to train with, 360 to test."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    pixels, labels = torch.tensor(digits.data[order] / 16, dtype=torch.float32), torch.tensor(digits.target[order])
    return pixels[:1437], labels[:1437], pixels[1437:], labels[1437:]


def gather(numbers: Tensor) -> Tensor:
    """The numbers of every rank, one row each."""
    rows = [torch.empty_like(numbers) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, numbers)
    return torch.stack(rows)


def agree(mine: Tensor, what: str) -> Tensor:
    """The rows of every rank; stops them all where one differs from rank 0's in a single bit."""
    rows = gather(mine)
    for rank, row in enumerate(rows):
        if not torch.equal(row.view(torch.uint8), rows[0].view(torch.uint8)):
            raise SystemExit(f"rank {rank} has another {what} than rank 0: stopping")
    return rows


class Training:
    """Everything that a restart loses and a checkpoint brings back."""

    def __init__(self, table: Table) -> None:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
        self.model = DistributedDataParallel(network)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0, momentum=0.9)
        self.scheduler = TableLR(self.optimizer, table)  # (3) the table drives the optimizer

    def train(self, pixels: Tensor, labels: Tensor) -> tuple[float, float]:
        """One update; the loss before it, and the rate it was made with."""
        loss = cross_entropy(self.model(pixels), labels)
        self.optimizer.zero_grad()
        loss.backward()
        rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.scheduler.step()
        return loss.item(), rate

    def save(self) -> bytes:
        """A checkpoint. The scheduler's part is a position and the table's digest."""
        file = io.BytesIO()
        torch.save([part.state_dict() for part in (self.model, self.optimizer, self.scheduler)], file)
        return file.getvalue()

    @classmethod
    def resume(cls, checkpoint: bytes, client: Client) -> Training:
        """A new training that goes on from a checkpoint."""
        model, optimizer, scheduler = torch.load(io.BytesIO(checkpoint), weights_only=True)
        training = cls(client.get(scheduler["digest"]))  # (4) the checkpoint says which table
        training.model.load_state_dict(model)
        training.optimizer.load_state_dict(optimizer)
        training.scheduler.load_state_dict(scheduler)  # refused, if it were another table
        return training


def main() -> None:
    """Join the other workers, do the work, and leave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the server's address")
    parser.add_argument("--report", required=True, type=Path, help="where rank 0 writes what happened, as JSON")
    arguments = parser.parse_args()
    dist.init_process_group("gloo")
    work(arguments.url, arguments.report)  # all that holds the process group is gone when this returns
    dist.destroy_process_group()


def work(url: str, report_to: Path) -> None:
    """Fetch, agree, train, be interrupted, resume, agree again, report."""
    rank, workers = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    pixels, labels, test_pixels, test_labels = load_data()

    steps_per_epoch = len(pixels) // (BATCH * workers)
    total_steps = EPOCHS * steps_per_epoch
    schedule = WarmupWithDecay(base_lr=0.2, warmup_steps=total_steps // 10, total_steps=total_steps, min_lr=1e-3)
    client = Client(url)
    started = time.perf_counter()
    table = client.fetch(schedule)  # (1) every rank asks for the same schedule
    fetched = gather(torch.tensor(time.perf_counter() - started))
    agree(torch.frombuffer(bytearray.fromhex(table.digest), dtype=torch.uint8), "table")  # (2) and proves that it is

    training = Training(table)
    applied, losses = [], []
    started = time.perf_counter()
    for epoch in range(EPOCHS):
        if epoch == EPOCHS // 2:
            training = Training.resume(training.save(), client)  # as if the machine had been taken away
        order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(epoch))[rank::workers]
        for step in range(steps_per_epoch):
            batch = order[step * BATCH : (step + 1) * BATCH]
            loss, rate = training.train(pixels[batch], labels[batch])
            losses.append(loss)
            applied.append(rate)
    seconds = time.perf_counter() - started
    rates = agree(torch.tensor(applied, dtype=torch.float64), "list of applied rates")  # (5) and after the training too

    if rank == 0:
        with torch.no_grad():
            accuracy = (training.model(test_pixels).argmax(1) == test_labels).double().mean().item()
        report = {
            "digest": table.digest,
            "schedule": schedule.to_dict(),
            "fetched": fetched.tolist(),
            "applied": rates.tolist(),
            "losses": losses,
            "resumed_at": EPOCHS // 2 * steps_per_epoch,
            "seconds": seconds,
            "accuracy": accuracy,
        }
        report_to.write_text(json.dumps(report))
    client.close()


if __name__ == "__main__":
    main()
