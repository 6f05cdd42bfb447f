"""A table in timm's training loops, with timm's optimizers: `step_update`, `step`, layer-wise decay, Lookahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch.optim import SGD

from client.trainers.timm import TimmScheduler
from scheduler import Table
from tests.support.client.training import make_groups
from tests.support.preloaded import Preloaded
from tests.trainers import timm_runs
from tests.trainers.support import APART, on_processes, rows_of

TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})
SAMPLES = Table({"lr": [0.1 / (k + 3) for k in range(24)]}, axis="sample")


@pytest.fixture(scope="module")
def runs(preloaded: Preloaded) -> Any:
    """What each training used, all made in one process: timm takes long to import."""
    return on_processes(preloaded, Path(timm_runs.__file__), size=1, path=APART)[0]


@pytest.mark.parametrize("name", ["adamw", "lamb", "lion", "lookahead_sgd"])
def test_each_update_has_its_row(runs: Any, name: str) -> None:
    """With optimizers of timm, update k uses row k in every group."""
    assert runs[f"fresh {name}"] == [rows_of(TABLE)] * len(runs[f"fresh {name}"])


def test_accumulated_batches_share_a_row(runs: Any) -> None:
    """timm counts updates, and so do the rows."""
    assert runs["accumulated"][0] == rows_of(TABLE, end=6)


def test_a_table_of_epochs_follows_the_epochs(runs: Any) -> None:
    """Each epoch's updates use one row."""
    assert runs["epochs"][0] == [rate for rate in (0.3, 0.2, 0.1) for _ in range(4)]


def test_an_update_is_so_many_samples(runs: Any) -> None:
    """With `per_step`, update k uses the row of the samples before it."""
    assert runs["samples"][0] == rows_of(SAMPLES)[::2]


def test_a_resumed_training_goes_on_with_its_row(runs: Any) -> None:
    """Resumed within an epoch, with Lookahead, the first update uses the row after the last."""
    assert runs["resumed"] == [rows_of(TABLE, 5)]


def test_layer_wise_decay_multiplies_the_rate_alone(runs: Any) -> None:
    """A group's lr_scale multiplies the table's rate; a column of weight decay is as in the table."""
    scales = runs["scales"]
    assert len({*scales}) > 1
    assert runs["scaled"] == [[rate * scale for rate in rows_of(TABLE)] for scale in scales]
    rates, decays = runs["decayed"]
    assert rates == runs["scaled"]
    assert {*decays} == {rows_of(TABLE)[-1] * 2}


@pytest.mark.parametrize(("table", "per_step"), [(TABLE, 2), (SAMPLES, None)])
def test_a_wrong_number_per_update_is_refused(table: Table, per_step: int | None) -> None:
    """Samples need a number per update, and steps have none."""
    with pytest.raises(ValueError, match=f"the table counts {table.axis}s; got {per_step}"):
        TimmScheduler(SGD(make_groups(1), lr=1.0), table, per_step=per_step)


def test_factors_of_two_kinds_are_refused() -> None:
    """A table of factors and a group's lr_scale would both multiply."""
    optimizer = SGD(make_groups(1, lr_scale=0.5), lr=1.0)
    with pytest.raises(ValueError, match="relative=True and a group's lr_scale"):
        TimmScheduler(optimizer, TABLE, relative=True)
