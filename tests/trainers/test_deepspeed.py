"""A table with DeepSpeed on CPUs: what reaches the optimizer in each stage of ZeRO."""

from __future__ import annotations

from pathlib import Path

from tests.support.preloaded import Preloaded
from tests.trainers.support import on_processes

WORKER = Path(__file__).with_name("deepspeed_runs.py")
RATES = [[0.1 / (k + 3)] for k in range(7)]  # those of the worker's table: one for all groups in each update


def test_row_k_reaches_update_k_on_two_processes(preloaded: Preloaded, tmp_path: Path) -> None:
    """In each stage of ZeRO: fresh, made by a factory, in bf16, with accumulation, and resumed from its checkpoint."""
    trainings = ("fresh", "resumed", "factory", "accumulated", "bf16")
    expected = {stage: dict.fromkeys(trainings, RATES) for stage in "0123"}
    assert on_processes(preloaded, WORKER, str(tmp_path), *"0123", timeout=300.0) == [expected] * 2
