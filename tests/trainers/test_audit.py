"""`scheduler.audit` on logs that real trainers wrote: healthy ones, and with a planted disease."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import wandb
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments

from scheduler import Schedule
from scheduler import builtin as twins
from scheduler.audit import LogError, audit, identify
from scheduler.libraries import transformers

UPDATES, WARMUP = 60, 10
PLANNED = transformers.Cosine(3e-4, WARMUP, UPDATES).table(UPDATES)


class _Model(torch.nn.Module):
    """One layer whose loss is its square."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        del labels
        return {"loss": self.layer(x).pow(2).mean()}


def _trained(folder: Path, make: type[Trainer] = Trainer, **given: Any) -> Trainer:
    """A Trainer after 60 updates with the planned schedule, logging every fifth."""
    defaults: dict[str, Any] = {
        "max_steps": UPDATES,
        "per_device_train_batch_size": 4,
        "use_cpu": True,
        "learning_rate": 3e-4,
        "warmup_steps": WARMUP,
        "lr_scheduler_type": "cosine",
        "logging_steps": 5,
        "save_steps": 30,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
    }
    data: Any = [{"x": torch.randn(2)} for _ in range(64)]
    trainer = make(_Model(), TrainingArguments(str(folder), **defaults | given), train_dataset=data)
    trainer.train(resume_from_checkpoint=given.get("resume_from_checkpoint"))
    return trainer


class _StepsTwice(Trainer):
    """A Trainer whose scheduler is stepped once more in each update, as a second process would."""

    def create_scheduler(self, *arguments: Any, **given: Any) -> Any:
        """The scheduler, with a step that takes two."""
        made: Any = super().create_scheduler(*arguments, **given)
        step = made.step

        def twice(*arguments: Any) -> None:
            step(*arguments)
            step(*arguments)

        made.step = twice
        return made


def test_the_state_of_a_healthy_trainer_is_equal(tmp_path: Path) -> None:
    """trainer_state.json has the planned rates, bit for bit, and they are named without a table."""
    _trained(tmp_path)
    found = audit(tmp_path, PLANNED)
    assert (found.verdict, found.first_wrong_step, found.worst.precision) == ("equal", None, "float64")
    followed = identify(tmp_path)
    assert (followed.is_exact, followed.schedule) == (True, transformers.Cosine(3e-4, WARMUP, UPDATES))


def test_a_scheduler_stepped_twice_is_named(tmp_path: Path) -> None:
    """The scheduler of a real Trainer stepped twice per update is named, with the number and the first wrong step."""
    trainer = _trained(tmp_path, _StepsTwice, save_strategy="no")
    trainer.state.save_to_json(str(tmp_path / "trainer_state.json"))
    found = audit(tmp_path, PLANNED)
    assert (found.disease, found.first_wrong_step) == ("stepped once per process", 5)
    assert dict(found.worst.diseases[0].parameters) == {"times": 2}


def test_another_length_is_named(tmp_path: Path) -> None:
    """A Trainer that trains for 60 updates and was planned for 90 has another denominator."""
    _trained(tmp_path)
    found = audit(tmp_path, transformers.Cosine(3e-4, WARMUP, 90).table(90))
    assert found.disease == "denominator changed"
    assert found.worst.diseases[0].parameters["length"] == UPDATES


def test_a_forgotten_scheduler_state_repeats_the_warmup(tmp_path: Path) -> None:
    """A Trainer resumed without its scheduler's state warms up again from the checkpoint's update."""
    _trained(tmp_path)
    checkpoint = tmp_path / "checkpoint-30"
    fresh = CosineAnnealingLR(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4), 1)
    state = {name: value for name, value in fresh.state_dict().items() if name in ("last_epoch", "_step_count")}
    torch.save(state | {"last_epoch": 0, "lr_lambdas": [None]}, checkpoint / "scheduler.pt")
    _trained(tmp_path, resume_from_checkpoint=str(checkpoint))
    found = audit(tmp_path / "checkpoint-60", PLANNED)
    assert found.disease == "warmup repeated after a resume"
    assert found.worst.diseases[0].parameters["resumed_at"][0] in range(30, 36)


def test_the_events_of_the_trainer_are_read(tmp_path: Path) -> None:
    """TensorBoard's events of the Trainer are float32, and equal at that precision."""
    _trained(tmp_path, report_to=["tensorboard"])
    (events,) = tmp_path.glob("runs/*/*tfevents*")
    for path in (events, events.parent):
        found = audit(path, PLANNED)
        assert (found.verdict, found.worst.precision, found.worst.name) == ("equal", "float32", "train/learning_rate")


class _Module(pl.LightningModule):
    """A module with two parameter groups and a cosine over 40 updates."""

    def __init__(self, interval: str) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        self.interval = interval

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """The square of both layers."""
        del index
        loss: torch.Tensor = self.first(batch[0]).pow(2).mean() + self.second(batch[0]).pow(2).mean()
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with two groups."""
        groups = [{"params": self.first.parameters(), "lr": 1e-3}, {"params": self.second.parameters(), "lr": 2e-3}]
        optimizer = torch.optim.AdamW(groups)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": CosineAnnealingLR(optimizer, T_max=40), "interval": self.interval},
        }


def _fitted(logger: Any, interval: str = "step") -> None:
    """Train 4 epochs of 10 updates."""
    trainer = pl.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=logger,
        callbacks=[LearningRateMonitor(logging_interval="step", log_momentum=True)],
        log_every_n_steps=2,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    loader: Any = DataLoader(TensorDataset(torch.randn(80, 2)), batch_size=8)
    trainer.fit(_Module(interval), loader)


GROUPS: list[Schedule] = [twins.CosineAnnealingLR(1e-3, 40), twins.CosineAnnealingLR(2e-3, 40)]


@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
@pytest.mark.filterwarnings("ignore")
def test_the_logs_of_lightning_are_equal(kind: str, tmp_path: Path) -> None:
    """Both groups are found in metrics.csv and in the events, each under its name, and bind to the table's."""
    from scheduler import Spec  # noqa: PLC0415  # used here alone

    planned = Spec(schedule=GROUPS, total_steps=40).table()
    logger: Any = CSVLogger(tmp_path) if kind == "csv" else TensorBoardLogger(tmp_path)
    _fitted(logger)
    found = audit(logger.log_dir, planned)
    assert (found.verdict, found.disease) == ("equal", None)
    assert [column.name for column in found.columns] == ["lr-AdamW/pg1", "lr-AdamW/pg2"]


@pytest.mark.filterwarnings("ignore")
def test_lightnings_default_interval_is_named(tmp_path: Path) -> None:
    """With interval="epoch" the scheduler moves once every 10 updates, and the log shows it."""
    logger = CSVLogger(tmp_path)
    _fitted(logger, "epoch")
    found = audit(logger.log_dir, GROUPS[0].table(40), column="lr-AdamW/pg1")
    assert found.disease == "stepped once per epoch"
    assert dict(found.worst.diseases[0].parameters) == {"updates": 10}


def test_an_export_of_weights_and_biases_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history of an offline run, as CSV like that of W&B's API, is equal; `_step` is not taken for steps."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    rows: list[dict[str, Any]] = []
    run = wandb.init(project="audit", dir=tmp_path)
    for call, step in enumerate(range(5, UPDATES + 1, 5)):
        row = {"train/global_step": step, "train/learning_rate": PLANNED.get_lr(step - 1)}
        run.log(row)
        rows.append({"_step": call, "_runtime": 0.5} | row)
    run.finish()
    lines = [",".join(rows[0]), *(",".join(repr(value) for value in row.values()) for row in rows)]
    (tmp_path / "export.csv").write_text("\n".join([*lines, ""]))
    assert audit(tmp_path / "export.csv", PLANNED).verdict == "equal"


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"no events at all" * 9], ids=["empty", "zeros", "text"])
def test_broken_events_are_refused_by_name(data: bytes, tmp_path: Path) -> None:
    """A file that is called like TensorBoard's and holds no events is one named error."""
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(data)
    with pytest.raises(LogError, match="tfevents"):
        audit(path, PLANNED)
