"""The schedule that a Trainer's arguments describe equals what a real Trainer applies."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from scheduler.fields import Values
from scheduler.libraries import transformers as twins
from scheduler.libraries.transformers import from_training_arguments
from tests.support.schedules.bits import assert_same_bits

Parameters = dict[str, Any]


def training_arguments(**given: object) -> SimpleNamespace:
    """The attributes that decide Trainer's schedule, with TrainingArguments' defaults."""
    defaults = {"learning_rate": 5e-5, "lr_scheduler_type": "linear", "lr_scheduler_kwargs": None}
    return SimpleNamespace(**{**defaults, "warmup_steps": 0, "max_steps": -1, **given})


TRAINER_CASES: list[Parameters] = [
    {},
    {"warmup_steps": 7},
    {"warmup_steps": 7.9},
    {"warmup_steps": 0.1},
    {"warmup_steps": 0.101, "learning_rate": 3e-4},
    {"warmup_steps": 1.0},
    {"warmup_steps": 5, "lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"ignored": 1}},
    {"warmup_steps": 5, "lr_scheduler_type": "constant_with_warmup", "lr_scheduler_kwargs": {"ignored": 1}},
    {"warmup_steps": 0.05, "lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycles": 1.5}},
    {"warmup_steps": 0.05, "lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 3}},
    {"warmup_steps": 3, "lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": '{"num_cycles": 2}'},
    {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 0.9, "lr_end": 1e-6}},
    {"warmup_steps": 5, "lr_scheduler_type": "inverse_sqrt", "lr_scheduler_kwargs": {"timescale": 20}},
    {"warmup_steps": 5, "lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
    {"warmup_steps": 5, "lr_scheduler_type": "cosine_warmup_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
    {"warmup_steps": 5, "lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 20}},
]


@pytest.fixture(scope="module")
def trainer_rates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Parameters, int], Values]:
    """What a real Trainer with these arguments applies: its own optimizer and scheduler, stepped."""
    pytest.importorskip("accelerate", reason="transformers' Trainer needs it")
    from transformers import Trainer, TrainingArguments  # noqa: PLC0415  # seconds: only where it is needed

    folder = tmp_path_factory.mktemp("trainer")

    def step_trainer(given: Parameters, steps: int) -> Values:
        arguments = TrainingArguments(str(folder), use_cpu=True, report_to=[], **given)
        trainer = Trainer(model=torch.nn.Linear(2, 2), args=arguments)
        optimizer = trainer.create_optimizer()
        scheduler = trainer.create_scheduler(num_training_steps=steps)
        optimizer.step()
        rates = np.empty(steps + 20)
        for step in range(len(rates)):
            rates[step] = optimizer.param_groups[0]["lr"]
            scheduler.step()
        assert from_training_arguments(arguments, steps) == from_training_arguments(training_arguments(**given), steps)
        return rates

    return step_trainer


@pytest.mark.parametrize("given", TRAINER_CASES, ids=json.dumps)
def test_training_arguments_give_the_schedule_of_trainer(
    given: Parameters, trainer_rates: Callable[[Parameters, int], Values]
) -> None:
    """The schedule made of training arguments has the bits that a real Trainer with them applies."""
    rates = trainer_rates(given, 99)
    schedule = from_training_arguments(training_arguments(**given), 99)
    assert schedule.kind == f"transformers.{given.get('lr_scheduler_type', 'linear')}"
    assert_same_bits(schedule.values(len(rates)), rates)


def test_max_steps_are_the_training_steps() -> None:
    """Where `max_steps` is set it is the number of training steps."""
    arguments = training_arguments(max_steps=50, warmup_steps=0.1)
    assert from_training_arguments(arguments) == twins.Linear(5e-5, 5, 50)
    assert from_training_arguments(arguments, 50) == twins.Linear(5e-5, 5, 50)


def test_the_warmup_ratio_of_transformers_4_is_a_share() -> None:
    """`warmup_ratio` means what it did in transformers 4; its default, or that of `warmup_steps`, is no second one."""
    assert from_training_arguments(training_arguments(warmup_ratio=0.1), 101) == twins.Linear(5e-5, 11, 101)
    assert from_training_arguments(training_arguments(warmup_ratio=0.0, warmup_steps=7), 101) == twins.Linear(
        5e-5, 7, 101
    )
    assert from_training_arguments({"warmup_ratio": None, "max_steps": 9}) == twins.Linear(5e-5, 0, 9)


@pytest.mark.parametrize(("dataset_length", "world_size"), [(0, 1), (10, 0), (10, True), (2.5, 1)])
def test_training_steps_need_whole_counts(dataset_length: int, world_size: int) -> None:
    """A number of examples or of processes that cannot be is refused by name."""
    with pytest.raises(ValueError, match=r"(dataset_length|world_size) must be a whole number of at least 1, got"):
        twins.training_steps({}, dataset_length, world_size)


def test_training_steps_need_a_batch() -> None:
    """Where dropping the last batch leaves none, Trainer has nothing to train with."""
    with pytest.raises(ValueError, match="dataset_length must leave a process a batch of 8, got 5"):
        twins.training_steps({"dataloader_drop_last": True}, 5)


@pytest.mark.parametrize(
    ("given", "steps", "message"),
    [
        ({}, None, "num_training_steps or dataset_length must be given where max_steps is -1"),
        ({"max_steps": 50}, 60, "num_training_steps must equal max_steps, got 60 != 50"),
        ({"lr_scheduler_type": "greedy"}, 9, "lr_scheduler_type 'greedy' has no table: its rates follow the metrics"),
        ({"lr_scheduler_type": "cosin"}, 9, "lr_scheduler_type must be one of constant, .*, got 'cosin'"),
        ({"warmup_steps": -1}, 9, "warmup_steps must be >= 0 and finite, got -1"),
        ({"warmup_steps": float("nan")}, 9, "warmup_steps must be >= 0 and finite, got nan"),
        ({"warmup_steps": "5"}, 9, "warmup_steps must be a number, got '5'"),
        ({"warmup_ratio": 1.5}, 9, r"warmup_ratio must be from 0 to 1, got 1\.5"),
        ({"warmup_ratio": 0.1, "warmup_steps": 3}, 9, "warmup_steps and warmup_ratio must not both be given"),
        ({"lr_scheduler_kwargs": {"lr_init": 1}}, 9, r"must be among \[\] for 'linear', got \['lr_init'\]"),
        ({"lr_scheduler_kwargs": ""}, 9, "lr_scheduler_kwargs must be an object or its JSON text, got ''"),
        ({"lr_scheduler_kwargs": "{"}, 9, "lr_scheduler_kwargs must be JSON, got '{'"),
        ({"learning_rate": -1.0}, 9, r"learning_rate must be >= 0 and finite, got -1\.0"),
        ({"learning_rate": None}, 9, "learning_rate must be a number, got None"),
        ({"max_steps": 9.5}, None, r"max_steps must be a whole number, got 9\.5"),
        ({"deepspeed": {"scheduler": {"type": "WarmupLR"}}}, 9, "deepspeed has a scheduler block, which Trainer uses"),
    ],
)
def test_training_arguments_are_refused(given: Parameters, steps: int | None, message: str) -> None:
    """Arguments that decide no schedule, or contradict each other, are refused by name and value."""
    with pytest.raises(ValueError, match=message):
        from_training_arguments(training_arguments(**given), steps)
