"""A table in PyTorch Ignite: one line after the trainer is made; trains, and resumes from Ignite's own checkpoint."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events, create_supervised_trainer
from ignite.handlers import Checkpoint, DiskSaver

from client.lr_scheduler import TableLR
from client.trainers.ignite import attach_table
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100, help="updates in all (100)")
steps = parser.parse_args().steps

table = WarmupWithDecay(base_lr=0.01, warmup_steps=steps // 10, total_steps=steps, min_lr=0).table(steps)
torch.manual_seed(0)
inputs = torch.randn(16, 8)
batches = [(inputs, inputs.sum(1, keepdim=True))] * (steps // 10)


def make() -> dict[str, Any]:
    """A trainer, and what its checkpoints hold."""
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    trainer = create_supervised_trainer(model, optimizer, torch.nn.functional.mse_loss)
    scheduler = TableLR(optimizer, table)
    attach_table(trainer, scheduler)  # before a Checkpoint handler, so that what is saved is up to date

    @trainer.on(Events.ITERATION_STARTED(every=steps // 10))
    def show(engine: Engine) -> None:
        print(f"update {engine.state.iteration - 1}: lr {optimizer.param_groups[0]['lr']:.6f}")

    return {"trainer": trainer, "model": model, "optimizer": optimizer, "scheduler": scheduler}


with tempfile.TemporaryDirectory() as folder:
    parts = make()
    saving = Checkpoint(parts, DiskSaver(folder), n_saved=None)
    parts["trainer"].add_event_handler(Events.ITERATION_COMPLETED(once=steps // 2), saving)
    parts["trainer"].run(batches, max_epochs=10)

    print("again, from the checkpoint in the middle")
    (path,) = Path(folder).glob("*.pt")
    again = make()
    Checkpoint.load_objects(again, torch.load(path, weights_only=True))
    again["trainer"].run(batches, max_epochs=10)
