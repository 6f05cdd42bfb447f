"""What a file does not say, and the names that a user of the command has for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from scheduler.importing.configurations import BadFileError
from scheduler.table_format import Axis


@dataclass(frozen=True)
class Options:
    """What a file does not say."""

    total_steps: int | None = None
    """Rows of the table; by default what the file says."""
    learning_rate: float | None = None
    """The optimizer's rate, for a DeepSpeed configuration or LightningCLI's that leaves it open."""
    dataset_length: int | None = None
    """Examples of the training set, where training arguments count epochs."""
    world_size: int = 1
    """Processes that share them."""
    class_name: str | None = None
    """Class of a saved scheduler."""
    state: str | None = None
    """Which of several saved schedulers."""
    axis: Axis | None = None
    """What the rows of a saved scheduler count: "step" or "epoch"."""
    warmup_steps: int | None = None
    """Steps of warmup, for a DeepSpeed configuration that has them as "auto"."""


_SHELL: Mapping[str, str] = MappingProxyType(
    {
        "total_steps": "--steps",
        "learning_rate": "--lr",
        "dataset_length": "--examples",
        "world_size": "--processes",
        "class_name": "--class",
        "state": "--state",
        "axis": "--axis",
        "warmup_steps": "--warmup-steps",
    }
)
"""The options of `lrtables import`, by the fields of `Options`."""
_ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {"num_training_steps": "total_steps", "num_warmup_steps": "warmup_steps"}
)
"""The arguments of our readers, where they have another name than the field."""
_GROUPS = "give groups=optimizer_state['param_groups'], too"
_SAVE = "save optimizer.state_dict() in the same file, beside scheduler.state_dict()"


def check_used(given: Options, kind: str, *used: str) -> None:
    """Raise `BadFileError` for an option that says nothing about this kind of file."""
    for option in fields(Options):
        value = getattr(given, option.name)
        if option.name not in used and value != option.default:
            raise BadFileError(f"{_named(option.name)} must not be given with {kind}, got {value!r}")


def check_needed(given: Options, field: str, read: Callable[[Options], object]) -> None:
    """Raise `BadFileError` for an option without which the file can be read: it states the value itself."""
    if (value := getattr(given, field)) is None:
        return
    try:
        read(replace(given, **{field: None}))  # type: ignore[arg-type]  # not world_size
    except ValueError:
        return
    raise BadFileError(f"{_named(field)} must not be given: the file decides it itself, got {value!r}")


@contextmanager
def in_options(*arguments: str) -> Iterator[None]:
    """Raise the errors of our readers with the names of the options in place of these arguments'."""
    try:
        yield
    except ValueError as error:
        text = str(error).replace(_GROUPS, _SAVE)
        for argument in arguments:
            name = _ARGUMENTS.get(argument, argument)
            if name in _SHELL:
                text = re.sub(rf"(?<![\w.(]){argument}(?![\w)])", _named(name), text, count=1)
        if text == str(error):
            raise
        raise BadFileError(text) from None


def _named(field: str) -> str:
    return f"{_SHELL[field]} ({field})"
