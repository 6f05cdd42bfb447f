"""What the paste box knows is what Python's readers use."""

import json
import re

from scheduler.audit.logs.rate_columns import is_rate_name
from scheduler.libraries.transformers import from_training_arguments
from service.explorer.catalogue import catalogue_json
from service.explorer.reading import reading


def test_the_catalogue_has_what_the_box_needs() -> None:
    """The facts are part of the catalogue, as plain JSON."""
    assert json.loads(catalogue_json())["reading"] == reading()


def test_defaults_and_types_are_those_of_the_reader() -> None:
    """Each type is taken by Trainer's reader, with the defaults alone or with what it needs; each default is its."""
    facts = reading()["training_arguments"]
    for name in facts["types"]:
        needed = {"min_lr": 0.0} if name.endswith("min_lr") else {"num_decay_steps": 1} if "decay" in name else {}
        own = {"lr_scheduler_type": name, "lr_scheduler_kwargs": needed, "max_steps": 9}
        assert from_training_arguments(own) == from_training_arguments({**facts["defaults"], **own})


def test_names_of_rates_are_told_by_the_same_patterns() -> None:
    """The patterns are of the kind that JavaScript shares, and tell Python's names."""
    facts = reading()["logs"]
    for name in ("lr", "train/learning_rate", "lr-AdamW/pg1", "lr-SGD-momentum", "loss", "weight_decay_lr", "color"):
        found = re.search(facts["rate"], name, re.IGNORECASE) and not re.search(facts["other"], name, re.IGNORECASE)
        assert bool(found) == is_rate_name(name)
    assert "(?P" not in facts["rate"] + facts["other"] + facts["lightning"]
