"""What `lightning_config` and `table_check` tell: wrong intervals, wrong lengths; samples; what Lightning logs."""

from __future__ import annotations

import csv
import pickle
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch.optim import SGD, Optimizer

from client.lr_scheduler import TableLR
from client.trainers.lightning import lightning_config, table_check
from scheduler import ScheduleWarning, Table
from tests.support.client.training import make_groups
from tests.trainers.lightning_runs import IGNORED, TABLE, Model, TwoOptimizers, loader, trainer
from tests.trainers.support import rows_of

pytestmark = [pytest.mark.filterwarnings(text) for text in IGNORED]

EPOCHS = Table({"lr": [0.3, 0.2, 0.1]}, axis="epoch")
SAMPLES = Table({"lr": [0.1 / (k + 3) for k in range(24)]}, axis="sample")


def by_hand(table: Table, **settings: Any) -> Any:
    """A configuration as users write it."""

    def configure(optimizer: Optimizer, _: Any) -> dict[str, Any]:
        scheduler = TableLR(optimizer, table)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **settings}}

    return configure


def by_one_line(table: Table, **settings: Any) -> Any:
    return lambda optimizer, its: lightning_config(optimizer, table, its, **settings)


# -- intervals and lengths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "interval"), [(TABLE, "step"), (EPOCHS, "epoch")], ids=["steps", "epochs"])
def test_the_interval_is_that_of_the_axis(table: Table, interval: str) -> None:
    """A table of epochs moves after an epoch, one of steps after an update."""
    optimizer = SGD(make_groups(1), lr=1.0)
    config = lightning_config(optimizer, table, name="rate")
    assert (config["optimizer"], config["lr_scheduler"]["scheduler"].table) == (optimizer, table)
    assert {key: config["lr_scheduler"][key] for key in ("interval", "frequency", "name")} == {
        "interval": interval,
        "frequency": 1,
        "name": "rate",
    }


@pytest.mark.parametrize("settings", [{"interval": "step"}, {"interval": "epoch", "frequency": 2}], ids=str)
def test_a_table_of_epochs_that_would_move_at_other_times_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Before the first update it is said how to write it."""
    model = Model(by_hand(EPOCHS, **settings))
    with pytest.raises(
        ValueError, match=r'has a row per epoch.* Write "interval": "epoch", or return lightning_config'
    ):
        trainer(tmp_path, callbacks=[table_check()]).fit(model, loader())
    assert model.rates == []


@pytest.mark.filterwarnings("ignore:an update followed another without a step")
def test_a_default_interval_is_warned_of(tmp_path: Path) -> None:
    """A table of steps with Lightning's default interval is right, and what is logged between updates is late."""
    model = Model(by_hand(TABLE))
    with pytest.warns(ScheduleWarning, match=r"what Lightning logs comes late, because of \"interval\": 'epoch'"):
        trainer(tmp_path, callbacks=[table_check()]).fit(model, loader())


@pytest.mark.filterwarnings("ignore:step 11 is past the table's end")
@pytest.mark.parametrize("rows", [11, 13])
@pytest.mark.parametrize("way", ["line", "check"])
def test_a_table_of_another_length_is_warned_of(tmp_path: Path, rows: int, way: str) -> None:
    """A table that is a row shorter or longer than the training is told before the first update."""
    table = Table({"lr": [0.1] * rows})
    model = Model(by_one_line(table) if way == "line" else by_hand(table, interval="step"))
    callbacks = [table_check()] if way == "check" else []
    with pytest.warns(ScheduleWarning, match=f"the table is for {rows} updates, and the training makes 12"):
        trainer(tmp_path, callbacks=callbacks).fit(model, loader())
    assert len(model.rates) == 12


def test_a_table_of_epochs_of_another_length_is_warned_of(tmp_path: Path) -> None:
    """A table of three epochs for a training of two is told."""
    with pytest.warns(ScheduleWarning, match=r"the table is for 3 .*, and the training makes 2"):
        trainer(tmp_path, max_epochs=2).fit(Model(by_one_line(EPOCHS)), loader())


@pytest.mark.parametrize(
    "settings", [{"max_epochs": -1, "max_steps": 12}, {"max_epochs": 3}, {"max_steps": 12}], ids=str
)
def test_a_table_of_the_right_length_is_silent(tmp_path: Path, settings: dict[str, Any]) -> None:
    """However the end of the training is given, a table of its length raises no warning."""
    model = Model(by_hand(TABLE, interval="step"))
    trainer(tmp_path, callbacks=[table_check()], **{"max_epochs": None, **settings}).fit(model, loader())
    assert model.rates == rows_of(TABLE)


def test_a_check_can_be_pickled() -> None:
    """Lightning's strategies that spawn processes send the callbacks to them."""
    assert type(pickle.loads(pickle.dumps(table_check()))).__name__ == "TableCheck"


# -- samples ----------------------------------------------------------------------------------------------------------


def test_an_update_is_so_many_samples(tmp_path: Path) -> None:
    """With `per_step`, update k uses the row of the samples before it."""
    rates = Model(by_one_line(SAMPLES, per_step=2))
    trainer(tmp_path).fit(rates, loader())
    assert rates.rates == rows_of(SAMPLES)[::2]


@pytest.mark.parametrize("batches", [1, 3])
def test_samples_are_counted_as_they_come(tmp_path: Path, batches: int) -> None:
    """With `count`, and a shorter last batch, an update uses the row of the samples seen before it."""
    model = Model(by_one_line(SAMPLES, count=lambda batch: len(batch[0])))
    trainer(tmp_path, accumulate_grad_batches=batches).fit(model, loader(last=1))
    begins = [0, 2, 4, 6] if batches == 1 else [0, 6]
    assert model.rates == [SAMPLES.get_lr(7 * epoch + begin) for epoch in range(3) for begin in begins]


def test_counted_samples_are_saved(tmp_path: Path) -> None:
    """A checkpoint within an epoch has the samples seen, and the resumed training counts on, whatever it then gets."""
    models = []
    for path in (None, str(tmp_path / "step=5.ckpt")):
        saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=5, save_top_k=-1)
        models.append(Model(by_one_line(SAMPLES, count=lambda batch: len(batch[0]))))
        run = trainer(tmp_path, enable_checkpointing=True, callbacks=[saving])
        run.fit(models[-1], loader(last=1), ckpt_path=path)
    first, second = models
    assert first.batches == [2, 2, 2, 1] * 3
    begins = accumulate([sum(first.batches[:5]), *second.batches[:-1]])
    assert second.rates == [SAMPLES.get_lr(begin) for begin in begins]


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (SAMPLES, {}, r"counts samples, .* got per_step=None, count=None"),
        (SAMPLES, {"per_step": 2, "count": len}, "got per_step=2, count=<built-in function len>"),
        (TABLE, {"count": len}, "this one has the axis 'step'"),
        (SAMPLES, {"count": len}, "count takes the trainer too"),
    ],
)
def test_what_does_not_count_samples_is_refused(table: Table, settings: dict[str, Any], message: str) -> None:
    """Without a number per update, or with two ways to count, nothing is made."""
    with pytest.raises(ValueError, match=message):
        lightning_config(SGD(make_groups(1), lr=1.0), table, **settings)


# -- what Lightning shows, and its manual optimization ----------------------------------------------------------------


def test_the_monitor_logs_what_each_update_used(tmp_path: Path) -> None:
    """LearningRateMonitor's file has the rate, momentum and weight decay of each update."""
    columns = {"lr": TABLE.lr, "momentum": TABLE.lr * 2, "weight_decay": TABLE.lr * 3}
    logger = CSVLogger(tmp_path, flush_logs_every_n_steps=1)
    monitor = LearningRateMonitor(log_momentum=True, log_weight_decay=True)
    model = Model(by_one_line(Table(columns), name="rate"), momentum=0.5, weight_decay=0.1)
    trainer(tmp_path, logger=logger, callbacks=[monitor], log_every_n_steps=1).fit(model, loader())
    with (Path(logger.log_dir) / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["rate"]]
    logged = {name: [float(row[key]) for row in rows] for name, key in zip(columns, KEYS, strict=True)}
    single = {name: [float(value) for value in column.astype("float32")] for name, column in columns.items()}
    assert [int(row["step"]) for row in rows] == list(range(12))
    assert logged in (single, {name: [float(value) for value in column] for name, column in columns.items()})


KEYS = ("rate", "rate-momentum", "rate-weight_decay")


def test_two_optimizers_have_rows_of_their_own(tmp_path: Path) -> None:
    """In manual optimization each scheduler follows its optimizer, one of which updates at every other batch."""
    tables = (TABLE, Table({"lr": TABLE.lr[:6]}))
    model = TwoOptimizers(tables)
    trainer(tmp_path).fit(model, loader())
    assert model.rates == [rows_of(table) for table in tables]
