"""A spec from a file that a training already has: what the file is is told by its content."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler.importing.checkpoints import Saved, chosen, saved_schedulers
from scheduler.importing.configurations import BadFileError, class_path, plain_arguments
from scheduler.importing.lengths import length
from scheduler.importing.options import Options, check_needed, check_used, in_options
from scheduler.importing.yaml_files import YAML_SUFFIXES, yaml_data
from scheduler.interop.torch_state import from_torch_state
from scheduler.libraries.deepspeed import from_deepspeed
from scheduler.libraries.transformers import from_training_arguments
from scheduler.libraries.transformers.arguments import defaults_taken, training_steps
from scheduler.schedule import Schedule
from scheduler.spec import Spec
from scheduler.table_format import Axis

Found = Schedule | list[Schedule]


@dataclass(frozen=True)
class Imported:
    """A spec, and where it is from."""

    spec: Spec
    source: str
    """What the file is, and what decided the schedule."""
    why: str
    """Why it has its length."""
    position: int | None = None
    """Steps that had been taken when a checkpoint was saved."""
    notes: tuple[str, ...] = field(default=())
    """Further sentences, for the reader."""


def import_file(path: str | Path, options: Options | None = None) -> Imported:
    """The spec that a file decides.

    Args:
        path: JSON of training arguments (`TrainingArguments.to_json_string()`), a DeepSpeed configuration, YAML of
            either or of LightningCLI, or a checkpoint with a scheduler's state (`.pt`, `.ckpt`; needs torch).
        options: what the file does not say.

    Nothing in a checkpoint is executed: it is loaded with `weights_only=True`. Raises `ValueError` (in one line, with
    what was tried) for every other file and for what decides no schedule, `OSError` for one that cannot be read,
    `ImportError` where torch or PyYAML is needed.
    """
    path, given = Path(path), options or Options()
    if _is_pickled(path):
        return _from_checkpoint(path, given)
    return _from_data(_text_data(path), path, given)


def _is_pickled(path: Path) -> bool:
    """Whether torch saved the file: a zip of its own, or a bare pickle."""
    with path.open("rb") as file:
        begin = file.read(4)
    return begin[:1] == b"\x80" or (begin == b"PK\x03\x04" and zipfile.is_zipfile(path))


# -- text --------------------------------------------------------------------------------------------------------------


def _text_data(path: Path) -> Any:
    if path.suffix == ".safetensors":
        raise BadFileError(f"{path} is called like a table's file: 'lrtables show {path}'")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadFileError(
            f"{path} is no file to import: no JSON, no YAML, no checkpoint of torch's, no bundle"
        ) from None
    if not text.strip():
        raise BadFileError(f"{path} is empty")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if path.suffix not in YAML_SUFFIXES:
            raise BadFileError(
                f"{path} is no JSON: {error}; YAML is read where the name ends in .yaml or .yml"
            ) from None
    except ValueError as error:  # an integer that Python refuses to read
        raise BadFileError(f"{path} has a number of more than 4,300 digits") from error
    return plain_arguments(yaml_data(text, str(path)))


ARGUMENT_MARKS = {
    "learning_rate",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "warmup_steps",
    "warmup_ratio",
    "max_steps",
}
DEEPSPEED_MARKS = {
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "zero_optimization",
    "zero_allow_untested_optimizer",
}


def _from_data(data: Any, path: Path, given: Options) -> Imported:
    if not isinstance(data, Mapping):
        raise BadFileError(f"{path} holds no object with names, only a {type(data).__name__}")
    readers: list[tuple[bool, Callable[[Mapping[str, Any], Options], Imported]]] = [
        (isinstance(data.get("lr_scheduler"), Mapping) and "class_path" in data["lr_scheduler"], _from_lightning_cli),
        ("scheduler" in data or data.keys() >= {"type", "params"}, _from_deepspeed),
        (bool(ARGUMENT_MARKS & data.keys()), _from_training_arguments),
    ]
    if "log_history" in data:
        raise BadFileError(
            f"{path} is a trainer_state.json, which has the rates that were logged and not the schedule: give the JSON "
            "of the arguments (args.to_json_string()); 'lrtables audit' reads the rates"
        )
    if "schedule" in data and "total_steps" in data:
        raise BadFileError(f"{path} is a spec already: 'lrtables show {path}'")
    for fits, read in readers:
        if fits:
            return read(data, given)
    block = "lr_scheduler" if "class_path" in str(data.get("optimizer")) else "scheduler"
    if isinstance(data.get("optimizer"), Mapping) or DEEPSPEED_MARKS & data.keys():
        whose = "LightningCLI's configuration" if block == "lr_scheduler" else "a DeepSpeed configuration"
        raise BadFileError(
            f"{path} is {whose} and has no {block} block: it leaves the schedule to the script, or keeps the rate"
        )
    holds = f"It has {', '.join(map(str, data))[:100]}" if data else "It is empty"
    raise BadFileError(
        f"{path} is none of: training arguments ({', '.join(sorted(ARGUMENT_MARKS))}), a DeepSpeed configuration "
        f'("scheduler"), LightningCLI\'s YAML (lr_scheduler.class_path). {holds}'
    )


def _from_training_arguments(data: Mapping[str, Any], given: Options) -> Imported:
    check_used(given, "training arguments, which state these", "total_steps", "dataset_length", "world_size")
    with in_options("num_training_steps", "dataset_length", "world_size"):
        schedule = from_training_arguments(
            data, given.total_steps, dataset_length=given.dataset_length, world_size=given.world_size
        )
    notes: tuple[str, ...] = ()
    if taken := defaults_taken(data, counts_epochs=given.dataset_length is not None):
        notes = (f"not in the file, so that TrainingArguments' defaults are taken: {taken}",)
    if isinstance(data.get("deepspeed"), str):
        notes += (
            f"its DeepSpeed configuration {data['deepspeed']} may have a scheduler: then Trainer follows that one",
        )
    steps, why = _training_length(data, schedule, given)
    name = data.get("lr_scheduler_type", "linear")
    return Imported(_spec(schedule, steps), f"training arguments: lr_scheduler_type {name!r}", why, notes=notes)


def _training_length(data: Mapping[str, Any], schedule: Schedule, given: Options) -> tuple[int, str]:
    if given.total_steps is not None:
        return given.total_steps, "as asked"
    if (steps := int(data.get("max_steps", -1))) >= 0:
        if not steps:
            raise BadFileError("max_steps must be at least 1, or negative where epochs count, got 0")
        return steps, "max_steps"
    stated = schedule.stated_steps
    if stated is None and given.dataset_length is None:
        raise BadFileError("--steps (total_steps) or --examples (dataset_length) must be given: no argument says it")
    if stated is None:
        stated = training_steps(data, given.dataset_length or 0, given.world_size)
    return stated, f"num_train_epochs of {given.dataset_length:,} examples, world size {given.world_size}"


def _from_deepspeed(data: Mapping[str, Any], given: Options) -> Imported:
    check_used(given, "a DeepSpeed configuration", "total_steps", "learning_rate", "warmup_steps")

    def read(options: Options) -> Found:
        return from_deepspeed(
            data,
            learning_rate=options.learning_rate,
            num_training_steps=options.total_steps,
            num_warmup_steps=options.warmup_steps,
        )

    with in_options("learning_rate", "num_training_steps", "num_warmup_steps"):
        found = read(given)
    check_needed(given, "learning_rate", read)
    check_needed(given, "warmup_steps", read)
    block = data.get("scheduler", data)
    steps, why = length(_each(found), given.total_steps)
    return Imported(_spec(found, steps), f"DeepSpeed configuration: {block['type']}", why)


def _from_lightning_cli(data: Mapping[str, Any], given: Options) -> Imported:
    check_used(given, "LightningCLI's configuration", "total_steps", "learning_rate")
    with in_options("learning_rate"):
        schedule, name = class_path(data, given.learning_rate)
    check_needed(given, "learning_rate", lambda options: class_path(data, options.learning_rate))
    trainer = data.get("trainer")
    epochs = trainer.get("max_epochs") if isinstance(trainer, Mapping) else None
    steps, why = (
        (epochs, "trainer.max_epochs")
        if given.total_steps is None and epochs
        else length([schedule], given.total_steps)
    )
    notes = ("LightningCLI steps a scheduler once per epoch, so that rows count epochs",)
    return Imported(_spec(schedule, steps, "epoch"), f"LightningCLI's configuration: {name}", why, notes=notes)


# -- checkpoints -------------------------------------------------------------------------------------------------------


def _from_checkpoint(path: Path, given: Options) -> Imported:
    saved: Saved = chosen(saved_schedulers(path), given.state, path)
    check_used(given, "a checkpoint", "total_steps", "class_name", "state", "axis")
    with in_options("class_name", "groups"):
        found = from_torch_state(saved.state, groups=saved.groups, class_name=given.class_name)
    axis, notes = saved.counts.axis(found.position, given.axis)
    steps, why = length(_each(found.schedule), given.total_steps, found.position)
    compared = (
        f"the file's own rates are those of the schedule at step {found.position}, bit for bit; it holds no others"
        if found.rates_agree
        else "the file holds no rates (_last_lr) to compare with"
    )
    notes = (compared, *found.unproven, *notes)
    return Imported(
        _spec(found.schedule, steps, axis),
        f"checkpoint: the state of a {found.name} in {saved.place}",
        why,
        found.position,
        notes,
    )


def _spec(found: Found, steps: int, axis: Axis = "step") -> Spec:
    return Spec(schedule=found, total_steps=steps, axis=axis)


def _each(found: Found) -> Sequence[Schedule]:
    return [found] if isinstance(found, Schedule) else found
