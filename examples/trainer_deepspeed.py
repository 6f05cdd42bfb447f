"""A table with DeepSpeed, as the client's scheduler, in any stage of ZeRO. On two: torchrun --nproc_per_node 2 ..."""

import argparse
import os
import tempfile
from typing import Any

os.environ.setdefault("DS_ACCELERATOR", "cpu")  # before the import: this example needs no GPU

import deepspeed
import torch

from client.lr_scheduler import TableLR
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=40, help="updates in all (40)")
parser.add_argument("--stage", type=int, default=1, help="of ZeRO (1)")
arguments = parser.parse_args()
steps = arguments.steps
alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29507"}
os.environ.update({name: os.environ.get(name, value) for name, value in alone.items()})
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # gloo does, and nothing is compiled at the start
deepspeed.init_distributed("gloo", auto_mpi_discovery=False)

table = WarmupWithDecay(base_lr=0.1, warmup_steps=steps // 10, total_steps=steps, min_lr=0).table(steps)
configuration = {
    "train_micro_batch_size_per_gpu": 4,
    "gradient_accumulation_steps": 2,
    "zero_optimization": {"stage": arguments.stage},
    "zero_allow_untested_optimizer": True,
}


def engine() -> Any:
    """DeepSpeed's engine for a model and an optimizer, which steps the TableLR with it."""
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return deepspeed.initialize(
        model=model, optimizer=optimizer, lr_scheduler=TableLR(optimizer, table), config=configuration
    )[0]


def train(engine: Any, end: int) -> None:
    """Train until `end` updates have been made."""
    while engine.global_steps < end:
        inputs = torch.randn(4, 8)
        if engine.is_gradient_accumulation_boundary() and engine.global_steps % max(1, steps // 10) == 0:
            print(f"update {engine.global_steps}: lr {engine.get_lr()[0]:.6f}")
        engine.backward(torch.nn.functional.mse_loss(engine(inputs), inputs.sum(1, keepdim=True)))
        engine.step()


with tempfile.TemporaryDirectory() as folder:
    train(first := engine(), steps // 2)
    first.save_checkpoint(folder)
    second = engine()  # as after a restart
    second.load_checkpoint(folder)
    train(second, steps)
