"""What tests of real trainers share: the values that each update really used, and training on several processes."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import torch.distributed as dist
from torch.optim import Optimizer

from client.optimizer.hooks import with_hooks
from scheduler import Table
from scheduler.interop.group_fields import read
from tests.support.preloaded import Preloaded

APART = Path(sys.prefix) / "apart"  # packages that `make trainers` keeps apart from the others: timm, torchtitan


def record_rates(optimizer: Any, column: str = "lr", *, group: int = 0) -> list[float]:
    """A list that grows by one number per update: what the optimizer's group had when the update began.

    It is read by a pre-hook of the optimizer that really steps, the innermost one of wrappers such as Accelerate's. A
    hook registered later, such as one of a TableLR made after this call, runs after it: record when all is set up.

    Args:
        optimizer: any torch optimizer, or a wrapper of one.
        column: what to record, by a table's names: `lr`, `momentum`, `weight_decay`, `beta1` and so on.
        group: the parameter group to read.
    """
    recorded: list[float] = []

    def read_value(stepped: Optimizer, _args: Any, _kwargs: Any) -> None:
        recorded.append(float(read(stepped.param_groups[group], column)))

    (inner,) = with_hooks(optimizer)
    inner.register_step_pre_hook(read_value)
    return recorded


def rows_of(table: Table, begin: int = 0, end: int | None = None, column: str = "lr") -> list[float]:
    """The values of a table's rows, to compare bit for bit with what was recorded."""
    return [float(value) for value in table.columns[column][begin:end]]


def on_processes(
    preloaded: Preloaded,
    script: Path,
    *arguments: str,
    size: int = 2,
    path: Path | None = None,
    timeout: float = 300.0,
) -> list[Any]:
    """What `size` processes of a script have reported, by rank: each calls `report(value)` once.

    Each has the environment that torchrun gives, and `path` among its places for packages. torch is imported already.
    """
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        shared = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "REPORTS": folder, "OMP_NUM_THREADS": "1"}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCH_CPP_LOG_LEVEL": "ERROR"}
        ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"), path and str(path)]
        packages = os.pathsep.join(each for each in paths if each)
        running = [
            preloaded.script(
                [str(script), *arguments],
                folder=Path.cwd(),
                environment={**os.environ, **shared, **address, "PYTHONPATH": packages, **rank},
            )
            for rank in ranks
        ]
        try:
            statuses = [each.process.wait(timeout) for each in running]
        finally:
            for each in running:
                each.end()
        assert statuses == [0] * size, "\n".join(each.stdout + each.stderr for each in running)
        return [json.loads((Path(folder) / str(rank)).read_text()) for rank in range(size)]


def report(value: Any) -> NoReturn:
    """Give a value, of what JSON has, to the test that started this process with `on_processes`, and end the process.

    It ends without the interpreter's clearing up, in which threads of gloo that a trainer has left running abort a
    process now and then. Nobody ends before all have come here.
    """
    if dist.is_initialized():
        dist.barrier()
    (Path(os.environ["REPORTS"]) / os.environ["RANK"]).write_text(json.dumps(value))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
