"""What the rows count is told by Lightning's own checkpoints, in all of its ways to save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.optim.lr_scheduler import CosineAnnealingLR

from scheduler import builtin, import_file
from scheduler.importing.options import Options
from tests.trainers.lightning_runs import IGNORED, Model, loader, trainer

pytestmark = [pytest.mark.filterwarnings(each) for each in IGNORED]

WAYS: dict[str, dict[str, Any]] = {
    "mid-epoch": {"every_n_train_steps": 3},
    "after validation": {"every_n_epochs": 1, "save_on_train_epoch_end": False},
    "end of epoch": {"every_n_epochs": 1, "save_on_train_epoch_end": True},
}


class AtHooks(pl.Callback):
    """Saves where an epoch begins and where it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"start-{trainer.current_epoch}.ckpt")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"end-{trainer.current_epoch}.ckpt")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_every_way_to_save_says_what_rows_count(interval: str, way: str, tmp_path: Path) -> None:
    """The axis is the scheduler's interval, wherever in the training the checkpoint was saved."""

    def configured(optimizer: Any, _: Any) -> Any:
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": CosineAnnealingLR(optimizer, 30), "interval": interval},
        }

    saving = ModelCheckpoint(tmp_path, save_top_k=-1, **WAYS[way])
    run = trainer(tmp_path, enable_checkpointing=True, callbacks=[saving, AtHooks(tmp_path)])
    run.fit(Model(configured), loader())
    run.save_checkpoint(tmp_path / "after.ckpt")
    saved = sorted(tmp_path.glob("*.ckpt"))
    assert len(saved) >= 1 + 2 * 3
    before_any = {"start-0.ckpt", "epoch=0-step=3.ckpt" if interval == "epoch" else ""}
    for path in saved:
        if path.name in before_any:
            with pytest.raises(ValueError, match=r"--axis step or --axis epoch .* position 0 is no sign"):
                import_file(path, Options(30))
            continue
        found = import_file(path, Options(30))
        assert (path.name, found.spec.axis) == (path.name, interval)
        assert found.spec.schedule == builtin.CosineAnnealingLR(1.0, 30)
