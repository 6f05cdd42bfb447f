"""A table in Ignite's Engine: one process and two, accumulated, resumed; and Ignite's own handler."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD

from client.lr_scheduler import TableLR
from client.trainers.ignite import attach_table
from scheduler import Table
from tests.support.preloaded import Preloaded
from tests.trainers.support import on_processes, record_rates, rows_of

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore", DeprecationWarning
    )  # of torch.jit, in torch.distributed.optim, which Ignite imports
    from ignite.engine import Events, create_supervised_trainer
    from ignite.handlers import Checkpoint, DiskSaver
    from ignite.handlers.param_scheduler import LRScheduler

BATCHES = 4
TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})
COLUMNS = Table({"lr": TABLE.lr, "momentum": TABLE.lr * 2, "weight_decay": TABLE.lr * 3})
SAMPLES = Table({"lr": [0.1 / (k + 3) for k in range(24)]}, axis="sample")


class Training:
    """A supervised trainer of Ignite on a linear model."""

    def __init__(self, table: Table = TABLE, accumulate: int = 1, count: Any = None, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(2, 1)
        self.optimizer = SGD(self.model.parameters(), lr=1.0, momentum=0.1)
        self.scheduler = TableLR(self.optimizer, table, **options)
        loss = torch.nn.functional.mse_loss
        self.trainer = create_supervised_trainer(
            self.model, self.optimizer, loss, gradient_accumulation_steps=accumulate
        )
        self.recorded = {column: record_rates(self.optimizer, column) for column in table.columns}
        self.count = count

    @property
    def parts(self) -> dict[str, Any]:
        """What Ignite's Checkpoint saves."""
        return {
            "trainer": self.trainer,
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
        }

    def run(self, epochs: int = 3, last: int = 2) -> dict[str, list[float]]:
        """What each update used."""
        batches = [(torch.ones(size, 2), torch.ones(size, 1)) for size in [2] * (BATCHES - 1) + [last]]
        self.trainer.run(batches, max_epochs=epochs)
        return self.recorded


def attached(*arguments: Any, **settings: Any) -> Training:
    training = Training(*arguments, **settings)
    attach_table(training.trainer, training.scheduler, count=training.count)
    return training


def test_each_update_has_its_row() -> None:
    """With the one line, update k uses row k, in every column."""
    assert attached(COLUMNS).run() == {name: rows_of(COLUMNS, column=name) for name in COLUMNS.columns}


def test_accumulated_batches_share_a_row() -> None:
    """Iterations that accumulate gradients move nothing."""
    assert attached(TABLE, 3).run() == {"lr": rows_of(TABLE, end=4)}


def test_a_table_of_epochs_moves_after_each_epoch() -> None:
    """Each epoch's updates use one row."""
    table = Table({"lr": [0.3, 0.2, 0.1]}, axis="epoch")
    assert attached(table).run()["lr"] == [rate for rate in rows_of(table) for _ in range(BATCHES)]


def test_an_update_is_so_many_samples() -> None:
    """With `per_step`, update k uses the row of the samples before it."""
    assert attached(SAMPLES, per_step=2).run()["lr"] == rows_of(SAMPLES)[::2]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_samples_are_counted_as_they_come(accumulate: int) -> None:
    """With `count`, and a shorter last batch, an update uses the row of the samples seen before it."""
    rates = attached(SAMPLES, accumulate, count=lambda batch: len(batch[0])).run(last=1)["lr"]
    begins = [0, 2, 4, 6][::accumulate]
    assert rates == [SAMPLES.get_lr(7 * epoch + begin) for epoch in range(3) for begin in begins]


def test_a_count_of_steps_is_refused() -> None:
    """`count` is for tables of samples and tokens."""
    with pytest.raises(ValueError, match="this one has the axis 'step'"):
        attached(TABLE, count=len)


def test_a_detached_table_stays() -> None:
    """The handle that comes back takes the scheduler off the engine, as with any handler."""
    training = Training()
    handle = attach_table(training.trainer, training.scheduler)
    handle.remove()
    assert not training.trainer.has_event_handler(handle.handler(), Events.ITERATION_COMPLETED)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_training_goes_on_with_its_row(tmp_path: Path, accumulate: int) -> None:
    """Resumed from Ignite's own checkpoint within an epoch, the first update uses the row after the last."""
    first, second = attached(COLUMNS, accumulate), attached(COLUMNS, accumulate)
    saving = Checkpoint(first.parts, DiskSaver(str(tmp_path), require_empty=False), n_saved=None)
    first.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=6), saving)
    complete = first.run()
    (path,) = tmp_path.glob("*.pt")
    state = torch.load(path, weights_only=True)
    Checkpoint.load_objects(second.parts, state)
    assert second.run() == {name: rates[6 // accumulate :] for name, rates in complete.items()}
    torch.save(state["scheduler"], tmp_path / "state")
    assert (tmp_path / "state").stat().st_size < 2000


def test_two_processes_use_the_same_rows(preloaded: Preloaded, tmp_path: Path) -> None:
    """On two processes update k of each uses row k, with accumulation, and with samples counted together."""
    expected = [rows_of(TABLE), rows_of(TABLE, end=4), rows_of(SAMPLES)[::4]]
    assert on_processes(preloaded, Path(__file__).with_name("ignite_runs.py")) == [expected] * 2


def test_ignite_s_own_handler_is_refused() -> None:
    """Ignite's LRScheduler would move the position itself and leave other columns: the line to write is named."""
    training = Training(COLUMNS)
    training.trainer.add_event_handler(Events.ITERATION_STARTED, LRScheduler(training.scheduler))
    with pytest.raises(RuntimeError, match=r"attach_table\(trainer, scheduler\)"):
        training.run()
    assert training.recorded["lr"] == []
