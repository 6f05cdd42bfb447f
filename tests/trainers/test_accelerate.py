"""A table with Accelerate, prepared or not: what reaches the optimizer, on one process and on two."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.preloaded import Preloaded
from tests.trainers import accelerate_runs as runs
from tests.trainers.accelerate_runs import TABLE, TRAININGS
from tests.trainers.support import on_processes, rows_of

WITH_FSDP = Path(runs.__file__).with_name("fsdp_plugin_runs.py")
WITH_DEEPSPEED = Path(runs.__file__).with_name("deepspeed_plugin_runs.py")

# Accelerate silences torch here when it is imported, which pytest undoes: steps of the scheduler come before any update
pytestmark = pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")


@pytest.mark.parametrize("name", TRAININGS)
def test_row_k_reaches_update_k(name: str, tmp_path: Path) -> None:
    """Each update has its row, however often the scheduler is stepped and whether it is prepared."""
    training, updates = TRAININGS[name]
    assert training(tmp_path) == rows_of(TABLE, 0, updates)


def test_row_k_reaches_update_k_on_two_processes(preloaded: Preloaded, tmp_path: Path) -> None:
    """Two processes have the rates of one, though Accelerate steps a prepared scheduler twice for each update."""
    expected = {name: rows_of(TABLE, 0, updates) for name, (_, updates) in TRAININGS.items()}
    assert on_processes(preloaded, Path(runs.__file__), str(tmp_path), timeout=300.0) == [expected] * 2


@pytest.mark.parametrize("stage", ["0", "2"])
def test_row_k_reaches_update_k_of_the_deepspeed_plugin(preloaded: Preloaded, stage: str, tmp_path: Path) -> None:
    """Under Accelerate's plugin DeepSpeed makes the updates: with accumulation, resumed, and on two processes."""
    rates = [0.1 / (k + 3) for k in range(6)]  # the rows of the worker's table
    expected = {"fresh": rates, "resumed": rates}
    assert on_processes(preloaded, WITH_DEEPSPEED, str(tmp_path), stage, timeout=300.0) == [expected] * 2


def test_row_k_reaches_update_k_of_the_fsdp_plugin(preloaded: Preloaded, tmp_path: Path) -> None:
    """A model that Accelerate shards has the rows of one that is whole: with accumulation, and resumed.

    Loading a sharded checkpoint makes a step with a rate of 0, which creates the optimizer's state and is no update.
    """
    rates = [0.1 / (k + 3) for k in range(6)]  # the rows of the worker's table
    expected = {"model": "FSDPLinear", "fresh": rates, "resumed": [*rates[:2], 0.0, *rates[2:]]}
    assert on_processes(preloaded, WITH_FSDP, str(tmp_path), timeout=300.0) == [expected] * 2
