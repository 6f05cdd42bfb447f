"""The paste box reads configurations as Python's importing does: the same spec, or no spec in both."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scheduler.importing.files import import_file
from scheduler.importing.options import Options
from service.explorer.reading import reading
from tests.explorer.node import pasted

CASES = 150


def imported(data: Any, given: dict[str, Any], path: Path) -> str | None:
    """The canonical spec that Python imports from data; None where it refuses them."""
    path.write_text(json.dumps(data) if path.suffix == ".json" else yaml.safe_dump(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return import_file(path, Options(**given)).spec.canonical()
        except ValueError:
            return None


ARGUMENTS: dict[str, tuple[list[Any], list[Any]]] = {
    "learning_rate": ([5e-5, 1e-3, 1, 0.3], [True, "fast", -1]),
    "max_steps": ([1000, 7, -1, 500], [0, 10.5, "many"]),
    "warmup_steps": ([0, 100, 0.1, 5.7, 1], [-1, None]),
    "warmup_ratio": ([None, None, 0.0], [1.5, 0.06]),
    "num_train_epochs": ([3, 1.5, 2], ["three"]),
    "per_device_train_batch_size": ([8, 3], [0, 5000]),
    "gradient_accumulation_steps": ([1, 4], [0]),
    "dataloader_drop_last": ([True, False], []),
}
"""Arguments with values that are fine, and with others."""
OPTIONS: dict[str, list[Any]] = {
    "cosine": [{"num_cycles": 1}, {"num_cycles": "2"}, {"num_cycles": True, "last_epoch": -1}],
    "cosine_with_restarts": [{"num_cycles": 3}, {"num_cycles": "x"}],
    "polynomial": [{"power": 2.0, "lr_end": 1e-8}, {}],
    "inverse_sqrt": [{"timescale": 100}],
    "cosine_with_min_lr": [{"min_lr": 1e-6}, {"min_lr_rate": 0.1}, {}],
    "cosine_warmup_with_min_lr": [{"min_lr_rate": 0.1, "warmup_lr_rate": 0.5}, {"min_lr": 0, "num_cycles": "2"}],
    "warmup_stable_decay": [
        {"num_decay_steps": 2, "decay_type": "1-sqrt"},
        '{"num_decay_steps": "2", "min_lr_ratio": "0.1"}',
    ],
}


def arguments(choose: random.Random) -> dict[str, Any]:
    """Training arguments as people write them, with a mistake now and then."""
    name = choose.choice(reading()["training_arguments"]["types"])
    data: dict[str, Any] = {"lr_scheduler_type": name}
    data["lr_scheduler_kwargs"] = choose.choice(OPTIONS.get(name, [None, {}]))
    if name in OPTIONS or choose.random() < 0.8:
        data |= {key: choose.choice(good) for key, (good, _) in ARGUMENTS.items() if choose.random() < 0.7}
    if choose.random() < 0.3:
        spoilt = {key: choose.choice(bad) for key, (_, bad) in ARGUMENTS.items() if bad}
        spoilt["lr_scheduler_kwargs"] = choose.choice([{"unknown": 1}, [1], "{"])
        spoilt["lr_scheduler_type"] = choose.choice(["greedy", "wsd"])
        key = choose.choice(list(spoilt))
        data[key] = spoilt[key]
    return data


DEEPSPEED: dict[str, tuple[dict[str, list[Any]], dict[str, list[Any]]]] = {
    "WarmupLR": (
        {"warmup_min_lr": [0, 1e-5, "auto"], "warmup_max_lr": [1e-3, "auto"], "warmup_num_steps": [1, 50]},
        {
            "warmup_num_steps": [0, 1.5, "auto"],
            "warmup_type": ["cubic", "linear"],
            "warmup_min_lr": [[0, 1e-5], [0]],
        },
    ),
    "WarmupDecayLR": (
        {"total_num_steps": [100], "warmup_num_steps": [10, 200]},
        {"total_num_steps": ["auto"], "last_batch_iteration": [-1, 3]},
    ),
    "WarmupCosineLR": (
        {"total_num_steps": [100, 1], "warmup_min_ratio": [0.1], "cos_min_ratio": [0.01]},
        {"base_lr": [1]},
    ),
    "OneCycle": (
        {
            "cycle_min_lr": [1e-4],
            "cycle_max_lr": [1e-2, 1e-3],
            "cycle_first_step_size": [20, "30"],
            "decay_lr_rate": [0, 0.1],
        },
        {"cycle_first_step_size": ["x"], "decay_step_size": [5], "cycle_momentum": [True, False]},
    ),
    "LRRangeTest": (
        {"lr_range_test_min_lr": [1e-4, [1e-4, 1e-3]]},
        {"lr_range_test_step_size": [10, 2.5], "strange": [1]},
    ),
    "StepLR": ({"step_size": [10], "gamma": [0.5]}, {"step_size": [0]}),
    "MultiStepLR": ({"milestones": [[3, 7], [7, 3]], "gamma": [0.5]}, {"milestones": [3]}),
    "CyclicLR": ({"base_lr": [0.01], "max_lr": [0.1], "step_size_up": [10]}, {"mode": ["triangular2", "square"]}),
    "OneCycleLR": ({"max_lr": [0.1], "total_steps": [50], "pct_start": [0.2]}, {"pct_start": [2], "base_lr": [0.1]}),
    "SequentialLR": ({}, {}),
    "ReduceLROnPlateau": ({}, {}),
    "Nothing": ({}, {}),
}
"""Types with parameters that are fine, and with others."""


def parameters(choose: random.Random, name: str) -> dict[str, Any]:
    """Parameters of a type, with an unusual one or a mistake now and then."""
    good, other = DEEPSPEED[name]
    params = {key: choose.choice(values) for key, values in good.items()}
    if other and choose.random() < 0.4:
        key = choose.choice(list(other))
        params[key] = choose.choice(other[key])
    return params


def configuration(choose: random.Random) -> dict[str, Any]:
    """A DeepSpeed configuration, with an optimizer or without, or its block alone."""
    name = choose.choice(list(DEEPSPEED))
    block: dict[str, Any] = {"type": name, "params": parameters(choose, name)}
    own = choose.choice([{"lr": 1e-3}, {"lr": 1e-3}, {"lr": "auto"}, {}])
    optimizer = {"type": choose.choice(["Adam", "SGD", "AdamW"]), "params": own}
    whole = {"optimizer": optimizer, "scheduler": block, "train_batch_size": 8}
    return choose.choice([block, {"scheduler": block}, whole])


def lightning(choose: random.Random) -> dict[str, Any]:
    """LightningCLI's YAML."""
    name = choose.choice(["StepLR", "MultiStepLR", "OneCycleLR"])
    path = choose.choice([f"torch.optim.lr_scheduler.{name}"] * 3 + [name, f"mine.{name}"])
    return {
        "optimizer": {"class_path": choose.choice(["torch.optim.SGD", "torch.optim.AdamW"]), "init_args": {"lr": 0.1}},
        "lr_scheduler": {"class_path": path, "init_args": parameters(choose, name)},
        **choose.choice([{}, {"trainer": {"max_epochs": 90}}, {"trainer": {"max_epochs": 50}}]),
    }


def compared(
    data: list[Any], given: list[dict[str, Any]], tmp_path: Path, suffix: str
) -> Iterator[tuple[Any, Any, Any]]:
    """Each text with both specs, where the page's is another than Python's; most texts must have one."""
    write = json.dumps if suffix == ".json" else yaml.safe_dump
    found = pasted([{"text": write(each), "given": said} for each, said in zip(data, given, strict=True)], tmp_path)
    specs = 0
    for each, said, here in zip(data, given, found, strict=True):
        there = imported(each, said, tmp_path / f"file{suffix}")
        specs += there is not None
        assert "error" not in here or here["isOurs"], here
        if here.get("canonical") != there:
            yield each, here, there
    assert specs > len(data) // 5, specs


def test_training_arguments_are_read_as_python_reads_them(tmp_path: Path) -> None:
    """Drawn arguments give the spec that `import_file` gives, or are refused by both; as JSON and as YAML."""
    choose = random.Random(15)
    for suffix in (".json", ".yaml"):
        data = [arguments(choose) for _ in range(CASES)]
        given = [choose.choice([{}, {"dataset_length": 1000, "world_size": 2}]) for _ in data]
        assert list(compared(data, given, tmp_path, suffix)) == []


def test_deepspeed_configurations_are_read_as_python_reads_them(tmp_path: Path) -> None:
    """Drawn configurations of every type, with "auto", lists and mistakes, give Python's spec, or both refuse."""
    choose = random.Random(16)
    data = [configuration(choose) for _ in range(CASES)]
    given = [choose.choice([{}, {"total_steps": 300}, {"total_steps": 300}]) for _ in data]
    assert list(compared(data, given, tmp_path, ".json")) == []


def test_lightnings_yaml_is_read_as_python_reads_it(tmp_path: Path) -> None:
    """LightningCLI's classes on its optimizer give Python's spec of epochs."""
    choose = random.Random(17)
    data = [lightning(choose) for _ in range(40)]
    assert list(compared(data, [{} for _ in data], tmp_path, ".yaml")) == []
