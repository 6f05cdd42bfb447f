"""Small trainings with the Trainer of transformers and a DeepSpeed configuration, in each of some processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(DS_ACCELERATOR="cpu", ACCELERATE_USE_CPU="true")  # before deepspeed is imported

from deepspeed.ops import __compatible_ops__ as compatible_ops

from tests.trainers.huggingface_runs import SAVED, WAYS, Recorded
from tests.trainers.support import report

CONFIGURATION: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "zero_optimization": {"stage": 0},
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
}


def fresh(way: str, folder: Path) -> Recorded:
    trainer, recorder = WAYS[way](folder, deepspeed=CONFIGURATION, gradient_accumulation_steps=2)
    trainer.train()
    return recorder.rates


def resumed(way: str, folder: Path) -> Recorded:
    """The rates after DeepSpeed's own checkpoint."""
    changes = {"deepspeed": CONFIGURATION, "save_strategy": "steps", "save_steps": SAVED}
    WAYS[way](folder, **changes)[0].train()
    trainer, recorder = WAYS[way](folder, deepspeed=CONFIGURATION)
    trainer.train(resume_from_checkpoint=str(folder / f"checkpoint-{SAVED}"))
    return recorder.rates


def main() -> None:
    """Both trainings, each way."""
    compatible_ops["deepspeed_shm_comm"] = False  # which a compiler would build now: gloo does
    folder = Path(sys.argv[1])
    found: dict[str, Recorded] = {}
    for way in WAYS:
        found |= {f"{way} fresh": fresh(way, folder / way / "fresh"), f"{way} resumed": resumed(way, folder / way)}
    report(found)


if __name__ == "__main__":
    main()
