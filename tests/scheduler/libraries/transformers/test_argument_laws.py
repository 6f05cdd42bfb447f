"""Whatever arguments Trainer takes, the schedule made of them has its rates; what it refuses is refused here."""

from __future__ import annotations

import json
import math
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.trainer_utils import SchedulerType

from scheduler.fields import Values
from scheduler.libraries.transformers import ADAPTIVE, from_training_arguments, training_steps
from tests.support.schedules.bits import assert_same_bits

Parameters = dict[str, Any]

STEPS = 160
"""Steps past every boundary that is drawn."""
KINDS = [kind.value for kind in SchedulerType if kind.value not in ADAPTIVE]
FLOATS = st.floats(0.0, 3.0)
COUNTED = st.integers(1, 40) | st.floats(0.01, 40.0) | st.just(True)
WRONG = st.sampled_from(["x", "", [], "nan"])
WAVES = FLOATS | st.integers(0, 3) | st.sampled_from([True, False, "0.5", "2", " 1e-1 ", ".5", "TRUE", None]) | WRONG
SHARES = FLOATS | st.sampled_from([None, True, 0, "0.1", "1e-3"])
SHAPES = st.sampled_from(["linear", "cosine", "1-sqrt"])
FURTHER: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "constant": {"anything": WRONG},
    "constant_with_warmup": {"anything": WRONG},
    "linear": {"last_epoch": st.just(-1), "num_cycles": FLOATS},
    "cosine": {"num_cycles": WAVES},
    "cosine_with_restarts": {"num_cycles": WAVES},
    "polynomial": {"power": SHARES, "lr_end": st.floats(0.0, 0.1) | st.sampled_from(["0.001", None])},
    "inverse_sqrt": {"timescale": COUNTED | st.sampled_from([None, 0, "7", "2.5", "1e1"])},
    "cosine_with_min_lr": {"min_lr": SHARES, "min_lr_rate": SHARES, "num_cycles": WAVES},
    "cosine_warmup_with_min_lr": {"min_lr_rate": SHARES, "warmup_lr_rate": SHARES, "num_cycles": WAVES},
    "warmup_stable_decay": {
        "num_decay_steps": COUNTED | st.sampled_from([0, "7", "7.5", None]),
        "num_stable_steps": st.none() | COUNTED,
        "warmup_type": SHAPES | st.sampled_from(["sqrt", True]),
        "decay_type": SHAPES,
        "min_lr_ratio": FLOATS | st.just(True),
    },
}
"""Parameters beside the step counts, legal and not."""


@st.composite
def training(draw: st.DrawFn, kind: str) -> Parameters:
    """Arguments of a Trainer that decide its rates."""
    drawn = draw(st.fixed_dictionaries({}, optional=FURTHER[kind]))
    return {
        "lr_scheduler_type": draw(st.sampled_from([kind, SchedulerType(kind)])),
        "lr_scheduler_kwargs": draw(st.sampled_from([drawn, json.dumps(drawn), *([None, "{}"] if not drawn else [])])),
        "learning_rate": draw(st.floats(1e-6, 1.0) | st.sampled_from([1, True, 0.1])),
        "warmup_steps": draw(st.integers(0, 40) | st.floats(0.0, 1.0) | st.floats(1.0, 40.0) | st.just(True)),
        "max_steps": draw(st.integers(1, 60)),
    }


def rates_of_trainer(given: Parameters) -> Values:
    """What Trainer's own scheduler applies with these arguments; raises what it raises."""
    from transformers import Trainer, TrainingArguments  # noqa: PLC0415  # seconds: only where it is needed

    arguments = TrainingArguments("unused", use_cpu=True, report_to=[], **given)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=arguments.learning_rate)
    trainer = SimpleNamespace(lr_scheduler=None, optimizer=optimizer, args=arguments)
    scheduler = Trainer.create_scheduler(trainer, arguments.max_steps)  # type: ignore[arg-type]  # all that it reads
    optimizer.step()
    rates = np.empty(STEPS)
    for step in range(STEPS):
        rates[step] = optimizer.param_groups[0]["lr"]
        scheduler.step()
    assert from_training_arguments(arguments) == from_training_arguments(vars(arguments))
    return rates


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_arguments_mean_what_they_mean_to_trainer(kind: str, data: st.DataObject) -> None:
    """Of any arguments either both make a scheduler with the same bits, or both refuse."""
    pytest.importorskip("accelerate", reason="transformers' Trainer needs it")
    arguments = data.draw(training(kind))
    try:
        with warnings.catch_warnings(
            action="ignore", category=UserWarning
        ):  # of both num_training and num_stable_steps
            expected = rates_of_trainer(dict(arguments))
    except (TypeError, ValueError, ZeroDivisionError):
        expected = None
    if expected is None or not np.isfinite(expected).all():
        with pytest.raises(ValueError, match=r"\S"):
            from_training_arguments(SimpleNamespace(**arguments))
        return
    assert_same_bits(from_training_arguments(SimpleNamespace(**arguments)).values(STEPS), expected)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(
    ("examples", "batch", "accumulated", "processes", "epochs"),
    [
        (1000, 8, 1, 1, 3.0),
        (1001, 8, 4, 1, 2.5),
        (1001, 8, 4, 2, 3),
        (999, 16, 3, 4, 0.7),
        (9, 8, 2, 1, 1.0),
        (100, 7, 5, 3, 10),
    ],
)
def test_training_steps_are_those_of_trainer(
    examples: int, batch: int, accumulated: int, processes: int, epochs: float, *, drop_last: bool
) -> None:
    """Epochs are counted in steps as Trainer counts the batches that accelerate gives a process."""
    accelerate = pytest.importorskip("accelerate", reason="transformers' Trainer needs it")
    from torch.utils.data import BatchSampler, DataLoader, SequentialSampler  # noqa: PLC0415  # where it is needed
    from transformers import Trainer  # noqa: PLC0415  # seconds: only where it is needed

    arguments = {
        "num_train_epochs": epochs,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulated,
        "dataloader_drop_last": drop_last,
    }
    sampler = BatchSampler(SequentialSampler(range(examples)), batch, drop_last)
    shard = accelerate.data_loader.BatchSamplerShard(sampler, processes, 0)
    trainer: Any = SimpleNamespace(
        get_total_train_batch_size=lambda args: 1, get_sp_size=lambda: 1, num_examples=lambda loader: examples
    )
    read: Any = SimpleNamespace(**arguments, max_steps=-1)
    loader: Any = DataLoader(list(range(examples)), batch_sampler=shard)  # type: ignore[arg-type]  # a list is a dataset
    counted = Trainer.set_initial_training_values(trainer, read, loader)
    assert training_steps(arguments, examples, processes) == counted[-1]
    assert training_steps({**arguments, "max_steps": 7}, examples, processes) == 7
    schedule = from_training_arguments(
        {**arguments, "warmup_steps": 0.1}, dataset_length=examples, world_size=processes
    )
    assert schedule.stated_steps == counted[-1]
    assert schedule.warmup_field == ("num_warmup_steps", math.ceil(0.1 * counted[-1]))
