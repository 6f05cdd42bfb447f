"""Small trainings with DeepSpeed under Accelerate, in each of some processes."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

os.environ.update(DS_ACCELERATOR="cpu", ACCELERATE_USE_CPU="true")  # before deepspeed is imported

from accelerate import Accelerator
from accelerate.utils import DeepSpeedPlugin
from deepspeed.ops import __compatible_ops__ as compatible_ops

from tests.trainers.plugin_training import ACCUMULATED, UPDATES, Training, resumed
from tests.trainers.support import report


def make(stage: int) -> Training:
    """A training with a model that Accelerate gives to DeepSpeed.

    Accelerate has one plugin a process: a stage of ZeRO takes processes of its own.
    """
    plugin = DeepSpeedPlugin(zero_stage=stage, gradient_accumulation_steps=ACCUMULATED)
    plugin.deepspeed_config["zero_allow_untested_optimizer"] = True
    plugin.deepspeed_config["zero_force_ds_cpu_optimizer"] = False
    accelerator = Accelerator(cpu=True, deepspeed_plugin=plugin, gradient_accumulation_steps=ACCUMULATED)
    return Training(accelerator, outputs=1)


def main() -> None:
    """Both trainings, in the stage that was asked for."""
    compatible_ops["deepspeed_shm_comm"] = False  # which a compiler would build now: gloo does
    folder, stage = Path(sys.argv[1]), int(sys.argv[2])
    report({"fresh": make(stage).train(UPDATES).rates, "resumed": resumed(folder, partial(make, stage))})


if __name__ == "__main__":
    main()
