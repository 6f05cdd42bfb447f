"""A table in Lightning: one line in configure_optimizers; trains, and resumes from Lightning's own checkpoint."""

import argparse
import tempfile
from typing import Any

import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from client.trainers.lightning import lightning_config
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100, help="updates in all (100)")
steps = parser.parse_args().steps

table = WarmupWithDecay(base_lr=0.01, warmup_steps=steps // 10, total_steps=steps, min_lr=0).table(steps)


class Regression(lightning.LightningModule):
    """A linear model that prints the rate of every tenth of its updates."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the mean squared error."""
        inputs, targets = batch
        loss: torch.Tensor = torch.nn.functional.mse_loss(self.layer(inputs), targets)
        if self.global_step % (steps // 10) == 0:
            rate = self.optimizers().param_groups[0]["lr"]
            print(f"update {self.global_step}: lr {rate:.6f}, loss {loss.item():.4f}")
        return loss

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the table, which is compared with the length of the training."""
        return lightning_config(torch.optim.AdamW(self.parameters()), table, self.trainer)


torch.manual_seed(0)
inputs = torch.randn(160, 8)
loader = DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=16)
quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
with tempfile.TemporaryDirectory() as folder:
    saving = lightning.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=steps // 2, save_top_k=-1)
    for path in (None, f"{folder}/step={steps // 2}.ckpt"):
        print("from the beginning" if path is None else "again, from the checkpoint in the middle")
        trainer = lightning.Trainer(max_steps=steps, accelerator="cpu", callbacks=[saving], **quiet)
        trainer.fit(Regression(), loader, ckpt_path=path)
