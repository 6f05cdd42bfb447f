"""Configurations in YAML: LightningCLI's, and training arguments under the names that other tools have for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scheduler.libraries.deepspeed import ConfigurationError, from_deepspeed
from scheduler.schedule import Schedule
from scheduler.texts import abbreviate

OTHER_NAMES = {"num_epochs": "num_train_epochs", "micro_batch_size": "per_device_train_batch_size"}
"""Axolotl's names, and Trainer's."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TORCH = "torch.optim.lr_scheduler."


class BadFileError(ValueError):
    """A file that decides no schedule. The message is one line for the person who named it."""


def plain_arguments(data: Any) -> Any:
    """Data of YAML with its numbers as numbers (YAML 1.1 takes 2e-5 for a text) and Trainer's names of arguments."""
    if not isinstance(data, Mapping):
        return data
    numbers = {name: _with_numbers(value) for name, value in data.items()}
    renamed = {OTHER_NAMES.get(name, name): value for name, value in numbers.items()}
    if isinstance(renamed.get("lr_scheduler"), str):  # axolotl's
        renamed["lr_scheduler_type"] = renamed.pop("lr_scheduler")
    return renamed


def _with_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_numbers(each) for each in value]
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def class_path(data: Mapping[str, Any], learning_rate: float | None) -> tuple[Schedule, str]:
    """The schedule of LightningCLI's `lr_scheduler`, one of torch's on its `optimizer`, and the class's name.

    Raises `BadFileError` naming the field.
    """
    block, optimizer = data["lr_scheduler"], data.get("optimizer")
    path = str(block["class_path"])
    if not path.startswith(_TORCH) and "." in path:
        raise BadFileError(
            f"lr_scheduler.class_path must be a class of {_TORCH[:-1]}, got {abbreviate(path)}: capture the scheduler "
            "where it is made, with scheduler.capture(scheduler, total_steps)"
        )
    name = path.rpartition(".")[2]
    read = optimizer if isinstance(optimizer, Mapping) else {}
    as_deepspeed = {
        "optimizer": {
            "type": str(read.get("class_path", "")).rpartition(".")[2],
            "params": read.get("init_args") or {},
        },
        "scheduler": {"type": name, "params": block.get("init_args") or {}},
    }
    try:
        found = from_deepspeed(as_deepspeed, learning_rate=learning_rate)
    except ConfigurationError as error:
        ours = (
            str(error).replace("scheduler.params", "lr_scheduler.init_args").replace("scheduler.type", "lr_scheduler")
        )
        raise BadFileError(ours.replace("optimizer.params.lr", "optimizer.init_args.lr")) from None
    if not isinstance(found, Schedule):
        raise BadFileError(f"lr_scheduler.init_args must have one value for all groups, got {abbreviate(block)}")
    return found, name
