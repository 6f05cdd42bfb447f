"""A table in skorch's NeuralNet: fresh, accumulated, resumed, copied; and skorch's own LRScheduler."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetRegressor
from skorch.callbacks import Checkpoint, LoadInitState, LRScheduler

from client.lr_scheduler import TableLR
from client.trainers.skorch import table_callback
from scheduler import Table
from tests.trainers.support import record_rates, rows_of

TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})
EPOCHS = Table({"lr": [0.3, 0.2, 0.1]}, axis="epoch")
SAMPLES = Table({"lr": [0.1 / (k + 3) for k in range(24)]}, axis="sample")
INPUTS, TARGETS = np.ones((7, 2), dtype=np.float32), np.ones((7, 1), dtype=np.float32)  # batches of 2, 2, 2, 1


class Net(NeuralNetRegressor):
    """A regressor whose updates are recorded; with `accumulate`, so many batches make one."""

    def __init__(self, *arguments: Any, accumulate: int = 1, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.accumulate = accumulate

    def initialize_optimizer(self, *arguments: Any, **settings: Any) -> Any:
        made = super().initialize_optimizer(*arguments, **settings)
        self.rates = record_rates(self.optimizer_)
        return made

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        if self.accumulate == 1:
            return super().train_step(batch, **fit_params)
        number = len(self.history[-1, "batches"])
        step = self.train_step_single(batch, **fit_params)
        if number % self.accumulate == 0:
            self.optimizer_.step()
            self.optimizer_.zero_grad()
        return step


def net(*callbacks: Any, **settings: Any) -> Net:
    quiet: dict[str, Any] = {"max_epochs": 3, "batch_size": 2, "train_split": None, "verbose": 0, "lr": 1.0}
    return Net(
        torch.nn.Linear, module__in_features=2, module__out_features=1, callbacks=[*callbacks], **quiet, **settings
    )


def test_each_update_has_its_row() -> None:
    """With the one line, update k uses row k."""
    trained = net(table_callback(TABLE)).fit(INPUTS, TARGETS)
    assert trained.rates == rows_of(TABLE)
    assert [row for epoch in trained.history[:, "batches", :, "lr"] for row in epoch] == rows_of(TABLE)


def test_accumulated_batches_share_a_row() -> None:
    """Batches that accumulate gradients move nothing."""
    assert net(table_callback(TABLE), accumulate=2).fit(INPUTS, TARGETS).rates == rows_of(TABLE, end=6)


def test_a_table_of_epochs_moves_after_each_epoch() -> None:
    """Each epoch's updates use one row."""
    trained = net(table_callback(EPOCHS)).fit(INPUTS, TARGETS)
    assert trained.rates == [rate for rate in rows_of(EPOCHS) for _ in range(4)]


def test_an_update_is_so_many_samples() -> None:
    """With `per_step`, update k uses the row of the samples before it."""
    assert net(table_callback(SAMPLES, per_step=2)).fit(INPUTS, TARGETS).rates == rows_of(SAMPLES)[::2]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_samples_are_counted_as_they_come(accumulate: int) -> None:
    """With `count`, and a shorter last batch, an update uses the row of the samples seen before it."""
    callback = table_callback(SAMPLES, count=lambda batch: len(batch[0]))
    rates = net(callback, accumulate=accumulate).fit(INPUTS, TARGETS).rates
    begins = [0, 2, 4, 6] if accumulate == 1 else [0, 4]
    assert rates == [SAMPLES.get_lr(7 * epoch + begin) for epoch in range(3) for begin in begins]


@pytest.mark.parametrize("table", [TABLE, EPOCHS, SAMPLES], ids=lambda table: table.axis)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_resumed_training_goes_on_with_its_row(tmp_path: Path, table: Table, first: bool) -> None:
    """Resumed from skorch's checkpoint, the first update uses the row after the last, in any order of the callbacks."""
    rates = []
    for epochs in (1, 2):
        settings = {"count": lambda batch: len(batch[0])} if table is SAMPLES else {}
        checkpoint = Checkpoint(dirname=str(tmp_path), monitor=None)
        callbacks = [checkpoint, LoadInitState(checkpoint)]
        callbacks.insert(0 if first else 2, table_callback(table, **settings))
        rates += net(*callbacks).set_params(max_epochs=epochs).fit(INPUTS, TARGETS).rates
    callback = table_callback(table, **settings)
    assert rates == net(callback).fit(INPUTS, TARGETS).rates


def test_a_partial_fit_goes_on() -> None:
    """A net that is trained again, with or without a copy by pickle between, goes on with its row."""
    trained = net(table_callback(TABLE)).partial_fit(INPUTS, TARGETS, **{})
    assert trained.rates == rows_of(TABLE)
    short = net(table_callback(TABLE)).set_params(max_epochs=1).fit(INPUTS, TARGETS)
    before = [*short.rates]
    short.partial_fit(INPUTS, TARGETS)
    assert before + short.rates[len(before) :] == rows_of(TABLE, end=8)


def test_a_net_can_be_copied() -> None:
    """sklearn's clone, as in a search over parameters, and pickle give a net that trains with the table."""
    original = net(table_callback(TABLE))
    for copy in (clone(original), pickle.loads(pickle.dumps(original.initialize()))):
        assert copy.fit(INPUTS, TARGETS).history[0, "batches", 0, "lr"] == TABLE.get_lr(0)


def test_skorch_s_own_callback_is_right_for_epochs() -> None:
    """skorch's LRScheduler passes last_epoch, the number of the epochs before."""
    trained = net(LRScheduler(policy=TableLR, table=EPOCHS)).set_params(max_epochs=1).fit(INPUTS, TARGETS)
    trained.set_params(max_epochs=2).partial_fit(INPUTS, TARGETS)
    assert trained.rates == [rate for rate in rows_of(EPOCHS) for _ in range(4)]


@pytest.mark.parametrize(
    ("table", "settings"),
    [(SAMPLES, {}), (SAMPLES, {"per_step": 2, "count": len}), (TABLE, {"count": len}), (TABLE, {"per_step": 2})],
)
def test_what_does_not_count_samples_is_refused(table: Table, settings: dict[str, Any]) -> None:
    """Without a number per update, or with two ways to count, nothing is made."""
    with pytest.raises(ValueError, match=f"the table counts {table.axis}s: one of per_step and count"):
        table_callback(table, **settings)
