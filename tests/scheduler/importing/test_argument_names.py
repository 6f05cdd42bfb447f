"""Training arguments with names that are not Trainer's are refused, and the defaults that are taken are told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.importing.files import import_file
from scheduler.libraries.transformers import from_training_arguments, names

GIVEN: dict[str, Any] = {"learning_rate": 1e-3, "max_steps": 30, "lr_scheduler_type": "cosine"}


def test_the_names_are_those_of_the_library() -> None:
    """Every argument of transformers' classes, as installed, is known."""
    transformers = pytest.importorskip("transformers")
    fields = {field.name for name in names.CLASSES for field in dataclasses.fields(getattr(transformers, name))}
    assert fields - names.NAMES == set()


@pytest.mark.parametrize("name", names.OTHER_RATES)
def test_another_tools_argument_that_changes_the_rates_is_refused(name: str) -> None:
    """It is named with its value; null and false change nothing."""
    with pytest.raises(ValueError, match=rf"{name} changes the rates.*got 0\.1"):
        from_training_arguments(GIVEN | {name: 0.1})
    for nothing in (None, False):
        assert from_training_arguments(GIVEN | {name: nothing}) == from_training_arguments(GIVEN)


def test_an_objects_further_argument_is_refused() -> None:
    """A subclass's object may have such an argument, too."""

    class Config:
        def __init__(self) -> None:
            self.__dict__.update(GIVEN, warmup_steps=0, cosine_min_lr_ratio=0.1)

    with pytest.raises(ValueError, match="cosine_min_lr_ratio changes the rates"):
        from_training_arguments(vars(Config()))
    with pytest.raises(ValueError, match="cosine_min_lr_ratio changes the rates"):
        from_training_arguments(Config())  # type: ignore[arg-type]  # its attributes are made as it runs


@pytest.mark.parametrize(
    ("name", "meant"),
    [("lr_scheduler_typo", "lr_scheduler_type"), ("learning", "learning_rate"), ("warmup_step", "warmup_steps")],
)
def test_a_misspelt_name_is_refused(name: str, meant: str) -> None:
    """The argument that is meant is named; names of other things are passed over."""
    with pytest.raises(ValueError, match=f"{name} is none of Trainer's arguments: is {meant} meant"):
        from_training_arguments(GIVEN | {name: 1})
    from_training_arguments(GIVEN | {"base_model": "a/b", "sequence_len": 5, "packing": True})


def test_an_import_tells_the_defaults(tmp_path: Path) -> None:
    """An argument that the file does not have is named with the default that is taken."""
    file = tmp_path / "args.json"
    file.write_text(json.dumps({"max_steps": 30}))
    assert import_file(file).notes == (
        "not in the file, so that TrainingArguments' defaults are taken: learning_rate 5e-05, "
        "lr_scheduler_type linear, warmup_steps 0",
    )
    file.write_text(json.dumps(GIVEN | {"warmup_steps": 3}))
    assert import_file(file).notes == ()
