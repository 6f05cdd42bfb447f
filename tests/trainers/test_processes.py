"""A table in plain loops on two processes: DistributedDataParallel as under torchrun, and Ray Train."""

from __future__ import annotations

from pathlib import Path

from scheduler import Table
from tests.support.preloaded import Preloaded
from tests.trainers.support import on_processes, rows_of

TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})
HERE = Path(__file__).parent


def test_two_processes_of_ddp_use_the_same_rows(preloaded: Preloaded) -> None:
    """Update k of each process uses row k: fresh, with gradients accumulated, and resumed within."""
    expected = {"fresh": rows_of(TABLE), "accumulated": rows_of(TABLE), "resumed": rows_of(TABLE, 5)}
    assert on_processes(preloaded, HERE / "ddp_runs.py") == [expected] * 2


def test_two_workers_of_ray_use_the_same_rows(preloaded: Preloaded, tmp_path: Path) -> None:
    """Update k of each worker uses row k; after a failure both go on from the checkpoint, with accumulation."""
    (rates,) = on_processes(preloaded, HERE / "ray_runs.py", str(tmp_path), size=1)
    first, second = rows_of(TABLE, end=7), rows_of(TABLE, 5)
    assert rates == {"first-0": first, "first-1": first, "second-0": second, "second-1": second}
