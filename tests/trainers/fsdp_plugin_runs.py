"""Small trainings with FSDP2 under Accelerate, in each of two processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.update(ACCELERATE_USE_CPU="true", ACCELERATE_USE_FSDP="true")  # before accelerate is imported

from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from tests.trainers.plugin_training import ACCUMULATED, UPDATES, Training, resumed
from tests.trainers.support import report


def make() -> Training:
    """A training with a model that Accelerate shards."""
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="no_wrap", state_dict_type="SHARDED_STATE_DICT"
    )
    accelerator = Accelerator(fsdp_plugin=plugin, gradient_accumulation_steps=ACCUMULATED)
    return Training(accelerator, outputs=2)


def main() -> None:
    """Both trainings, with the class that the model was made.

    Accelerate shards where there are accelerators. Told that these processes with gloo have some, it does so on CPUs.
    """
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    training = make()
    sharded = type(training.model).__name__
    report({"model": sharded, "fresh": training.train(UPDATES).rates, "resumed": resumed(Path(sys.argv[1]), make)})


if __name__ == "__main__":
    main()
