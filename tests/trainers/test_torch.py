"""A table with DDP, FSDP2 and its checkpoints, and ZeroRedundancyOptimizer: what reaches each process's optimizer."""

from __future__ import annotations

from pathlib import Path

from scheduler import Table
from tests.support.preloaded import Preloaded
from tests.trainers.support import on_processes, rows_of

WORKER = Path(__file__).with_name("torch_runs.py")
UPDATES = 7
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(UPDATES)], "weight_decay": [0.01 * k for k in range(UPDATES)]})


SAVED = 3  # updates before the checkpoint
WAYS = ("DDP", "FSDP2", "ZeroRedundancyOptimizer")


def test_row_k_reaches_update_k_on_two_processes(preloaded: Preloaded, tmp_path: Path) -> None:
    """Both processes have the row at each update: fresh, with accumulation, and resumed from the checkpoint."""
    TABLE.save(tmp_path / "table.safetensors")
    rows = [rows_of(TABLE, column=column) for column in TABLE.columns]
    expected = {f"{way} {training}": rows for way in WAYS for training in ("fresh", "accumulated", "resumed")}
    # before it loads, torch makes the state of a fresh optimizer by a step at rate 0, which is no update of ours
    expected["FSDP2 resumed"] = [[*each[:SAVED], 0.0, *each[SAVED:]] for each in rows]
    assert on_processes(preloaded, WORKER, str(tmp_path), str(SAVED), timeout=300.0) == [expected] * 2
