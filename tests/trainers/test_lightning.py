"""A table in Lightning's Trainer: what reached the optimizer, on one process and two, scaled, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision
from torch.optim import Optimizer

from client.lr_scheduler import TableLR
from client.trainers.lightning import lightning_config
from scheduler import ScheduleWarning, Table
from tests.support.preloaded import Preloaded
from tests.trainers import lightning_runs
from tests.trainers.lightning_runs import BATCHES, IGNORED, TABLE, Model, loader, trainer
from tests.trainers.support import on_processes, rows_of

pytestmark = [pytest.mark.filterwarnings(text) for text in IGNORED]


def configured(optimizer: Optimizer, its: Any) -> Any:
    return lightning_config(optimizer, TABLE, its)


def by_hand(**settings: Any) -> Any:
    """A configuration as users write it."""
    return lambda optimizer, _: {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": TableLR(optimizer, TABLE), **settings},
    }


def fit(folder: Path, model: Model, ckpt_path: str | None = None, **settings: Any) -> list[float]:
    """The rate of each update of a training."""
    trainer(folder, **settings).fit(model, loader(), ckpt_path=ckpt_path)
    return model.rates


def test_each_update_has_its_row(tmp_path: Path) -> None:
    """With the one line, update k uses row k."""
    assert fit(tmp_path, Model(configured)) == rows_of(TABLE)


def test_accumulated_batches_share_a_row(tmp_path: Path) -> None:
    """With 3 batches to an update, and a shorter one at each epoch's end, update k uses row k."""
    table = Table({"lr": TABLE.lr[:6]})
    model = Model(lambda optimizer, its: lightning_config(optimizer, table, its))
    assert fit(tmp_path, model, accumulate_grad_batches=3) == rows_of(table)


@pytest.mark.parametrize("settings", [{}, {"interval": "epoch"}, {"interval": "step", "frequency": 2}], ids=str)
def test_a_wrong_interval_is_harmless_on_the_axis_of_steps(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Rows follow the updates, whenever Lightning steps the scheduler; it is told once that it should do so oftener."""
    with pytest.warns(ScheduleWarning, match="rows count updates, so the table has moved on by itself"):
        assert fit(tmp_path, Model(by_hand(**settings))) == rows_of(TABLE)


def test_a_frequency_is_harmless_with_accumulation(tmp_path: Path) -> None:
    """Lightning's frequency counts batches; rows count updates."""
    with pytest.warns(ScheduleWarning, match="rows count updates"):
        rates = fit(tmp_path, Model(by_hand(interval="step", frequency=2)), accumulate_grad_batches=3)
    assert rates == rows_of(TABLE, end=6)


def test_columns_reach_the_optimizer(tmp_path: Path) -> None:
    """Momentum and weight decay of an update are those of its row."""
    columns = {"lr": TABLE.lr, "momentum": TABLE.lr * 2, "weight_decay": TABLE.lr * 3}
    table = Table(columns)
    model = Model(lambda optimizer, its: lightning_config(optimizer, table, its), momentum=0.5, weight_decay=0.1)
    assert fit(tmp_path, model) == rows_of(table)
    assert model.columns == {name: rows_of(table, column=name) for name in ("momentum", "weight_decay")}


def test_a_table_of_epochs_moves_after_each_epoch(tmp_path: Path) -> None:
    """Each epoch's updates use one row."""
    table = Table({"lr": [0.3, 0.2, 0.1]}, axis="epoch")
    rates = fit(tmp_path, Model(lambda optimizer, its: lightning_config(optimizer, table, its)))
    assert rates == [rate for rate in rows_of(table) for _ in range(BATCHES)]


def test_an_update_that_a_scaler_skips_takes_no_row(tmp_path: Path) -> None:
    """Where the scaler finds an infinity the update is not made, and the next one uses its row."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    rates = fit(tmp_path, Model(configured, infinite=(1, 2, 6)), plugins=[plugin])
    assert rates == rows_of(TABLE, end=3 * BATCHES - 3)


def test_two_processes_use_the_same_rows(preloaded: Preloaded, tmp_path: Path) -> None:
    """With two processes, update k of each uses row k, with accumulation as well."""
    ends = [3 * BATCHES, 3 * -(-BATCHES // 3)]
    reports = on_processes(preloaded, Path(lightning_runs.__file__), str(tmp_path))
    assert reports == [[[rows_of(TABLE, end=end), end] for end in ends]] * 2


@pytest.mark.parametrize(("accumulate", "saved"), [(1, 6), (3, 3)])
def test_a_resumed_training_goes_on_with_its_row(tmp_path: Path, accumulate: int, saved: int) -> None:
    """Resumed from a checkpoint within an epoch, the first update uses the row after the last."""
    table = Table({"lr": TABLE.lr[: 3 * -(-BATCHES // accumulate)]})
    settings = {"accumulate_grad_batches": accumulate, "enable_checkpointing": True}
    rates = []
    for path in (None, str(tmp_path / f"step={saved}.ckpt")):
        saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=saved, save_top_k=-1)
        model = Model(lambda optimizer, its: lightning_config(optimizer, table, its))
        rates.append(fit(tmp_path, model, path, callbacks=[saving], **settings))
    assert rates == [rows_of(table), rows_of(table, saved)]


def test_a_checkpoint_is_small_and_plain(tmp_path: Path) -> None:
    """The scheduler's part of a checkpoint has less than 2 kB, and loads without unpickling."""
    run = trainer(tmp_path)
    run.fit(Model(configured), loader())
    run.save_checkpoint(tmp_path / "last.ckpt")
    (state,) = torch.load(tmp_path / "last.ckpt", weights_only=True)["lr_schedulers"]
    torch.save(state, tmp_path / "state")
    assert (tmp_path / "state").stat().st_size < 2000
    assert state["digest"] == TABLE.digest
