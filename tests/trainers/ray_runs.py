"""A training with Ray Train on two workers, which fails once and is restarted from its checkpoint."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch

from client.distributed import share_table
from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.ranks import FolderService
from tests.trainers.support import record_rates, report

ROWS, SAVED, FAILED, ACCUMULATE = 12, 5, 7, 2  # updates, and batches of one update


def train(config: dict[str, Any]) -> None:
    """Train one worker, and leave the rates of its updates in a file."""
    folder = Path(config["folder"])
    context = ray.train.get_context()
    model = ray.train.torch.prepare_model(torch.nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    checkpoint, saved = ray.train.get_checkpoint(), None
    if checkpoint is not None:
        with checkpoint.as_directory() as directory:
            saved = torch.load(Path(directory) / "state", weights_only=True)
    scheduler_state = None if saved is None else saved["scheduler"]
    table = share_table(FolderService(folder), config["digest"], optimizer=optimizer, checkpoint=scheduler_state)
    scheduler = TableLR(optimizer, table)
    if saved is not None:
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
    rates = record_rates(optimizer)
    for batch in range(scheduler.last_epoch * ACCUMULATE, ROWS * ACCUMULATE):
        model(torch.ones(1, 2)).square().mean().backward()
        if (batch + 1) % ACCUMULATE:
            continue
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        if saved is None and scheduler.last_epoch == SAVED:
            save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, context.get_world_rank())
        if saved is None and scheduler.last_epoch == FAILED:
            break
    name = f"{'first' if saved is None else 'second'}-{context.get_world_rank()}"
    (folder / name).write_text(json.dumps(rates))
    if saved is None:
        raise RuntimeError("a worker is lost")


def save(state: dict[str, Any], rank: int) -> None:
    """Report a checkpoint, which the first worker has made: Ray waits for all workers here."""
    with tempfile.TemporaryDirectory() as directory:
        torch.save(state, Path(directory) / "state")
        checkpoint = ray.train.Checkpoint.from_directory(directory) if rank == 0 else None
        ray.train.report({}, checkpoint=checkpoint)


def main() -> None:
    folder = Path(sys.argv[1])
    table = Table({"lr": [0.1 / (k + 3) for k in range(ROWS)]})
    digest = FolderService(folder).publish(table)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    trainer = ray.train.torch.TorchTrainer(
        train,
        train_loop_config={"folder": str(folder), "digest": digest},
        scaling_config=ray.train.ScalingConfig(num_workers=2),
        run_config=ray.train.RunConfig(
            name="run", storage_path=str(folder / "ray"), failure_config=ray.train.FailureConfig(max_failures=1)
        ),
    )
    trainer.fit()
    ray.shutdown()
    names = [f"{attempt}-{rank}" for attempt in ("first", "second") for rank in (0, 1)]
    report({name: json.loads((folder / name).read_text()) for name in names})


if __name__ == "__main__":
    for name in ("LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name)  # Ray gives each worker its own
    main()
