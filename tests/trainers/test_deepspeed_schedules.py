"""The twins of DeepSpeed's schedules equal the real ones, stepped on a real optimizer, bit for bit."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import warnings
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import deepspeed
import numpy as np
import pytest
import torch
from deepspeed.runtime import lr_schedules
from deepspeed.utils import logger
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import Schedule
from scheduler.fields import Values
from scheduler.libraries import deepspeed as twins
from scheduler.libraries.deepspeed import from_deepspeed
from tests.support.schedules.bits import assert_same_columns
from tests.trainers.support import record_rates

Parameters = dict[str, Any]

STEPS = 220
"""Steps past every boundary that is drawn."""
RATES = st.sampled_from([0.0, 1e-5, 1e-3, 0.1]) | st.floats(0.0, 1.0)
COUNTS = st.sampled_from([1, 2, 3]) | st.integers(1, 60)
LENGTHS = COUNTS | st.floats(0.5, 60.0)
SHARES = st.sampled_from([0.0, 0.1, 1.0]) | st.floats(0.0, 1.5)
WARMUP: dict[str, st.SearchStrategy[Any]] = {
    "warmup_num_steps": COUNTS,
    "warmup_type": st.sampled_from(["log", "linear"]),
}
PARAMETERS: dict[str, st.SearchStrategy[Parameters]] = {
    "WarmupLR": st.fixed_dictionaries({"warmup_max_lr": RATES}, optional={**WARMUP, "warmup_min_lr": RATES}),
    "WarmupDecayLR": st.fixed_dictionaries(
        {"total_num_steps": COUNTS | st.integers(0, 150)},
        optional={**WARMUP, "warmup_min_lr": RATES, "warmup_max_lr": RATES},
    ),
    "WarmupCosineLR": st.fixed_dictionaries(
        {"base_lr": RATES, "total_num_steps": COUNTS | st.integers(0, 150)},
        optional={**WARMUP, "warmup_min_ratio": SHARES, "cos_min_ratio": SHARES},
    ),
    "LRRangeTest": st.fixed_dictionaries(
        {},
        optional={
            "lr_range_test_min_lr": RATES,
            "lr_range_test_step_size": COUNTS,
            "lr_range_test_step_rate": SHARES,
            "lr_range_test_staircase": st.booleans(),
        },
    ),
    "OneCycle": st.fixed_dictionaries(
        {"cycle_min_lr": RATES, "cycle_max_lr": RATES, "cycle_first_step_size": LENGTHS},
        optional={
            "decay_lr_rate": SHARES,
            "cycle_second_step_size": st.none() | st.just(0) | LENGTHS,
            "cycle_first_stair_count": st.integers(0, 9),
            "cycle_second_stair_count": st.none() | st.integers(0, 9),
            "decay_step_size": st.just(0) | LENGTHS,
            "cycle_momentum": st.booleans(),
            "cycle_min_mom": st.floats(0.0, 1.0),
            "cycle_max_mom": st.floats(0.0, 1.0),
            "decay_mom_rate": SHARES,
        },
    ),
}
KINDS = [name for name in twins.__all__ if name in PARAMETERS]


@pytest.fixture(autouse=True)
def quiet() -> None:
    """The library warns of each scheduler that has not begun."""
    logger.setLevel(logging.ERROR)


def stepped(name: str, parameters: Parameters, steps: int) -> dict[str, Values]:
    """What the real scheduler puts in force during updates 0..steps-1, in each column."""
    options = dict(parameters)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=options.pop("base_lr", 0.3))
    scheduler = getattr(lr_schedules, name)(optimizer, **options)
    rows = []
    for _ in range(steps):
        group = optimizer.param_groups[0]
        rows.append([group["lr"], *group["betas"]])
        scheduler.step()
    columns = np.array(rows, dtype=np.float64).T.copy()
    return dict(zip(("lr", "beta1", "beta2"), columns, strict=True))


def test_every_schedule_of_the_library_has_a_twin() -> None:
    """Each valid name of the library is a kind here."""
    assert sorted(KINDS) == sorted(lr_schedules.VALID_LR_SCHEDULES)


@pytest.mark.parametrize("name", KINDS)
def test_parameters_are_those_of_the_library(name: str) -> None:
    """A twin has the library's parameters with its defaults; what the library reads from the optimizer is required."""
    theirs = inspect.signature(getattr(lr_schedules, name)).parameters
    defaults = {p.name: p.default for p in theirs.values() if p.name not in ("optimizer", "last_batch_iteration")}
    fields = [field for field in dataclasses.fields(getattr(twins, name)) if not field.kw_only]
    required = {dataclasses.MISSING: inspect.Parameter.empty}
    ours = {field.name: required.get(field.default, field.default) for field in fields if field.name != "base_lr"}
    assert ours == defaults | ({"warmup_max_lr": inspect.Parameter.empty} if name == "WarmupLR" else {})


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_equals_stepping_the_real_scheduler(name: str, data: st.DataObject) -> None:
    """Every value of every column has the bits that stepping the real scheduler gives, past every boundary."""
    parameters = data.draw(PARAMETERS[name])
    twin: Schedule = getattr(twins, name)(**parameters)
    expected = stepped(name, parameters, STEPS)
    assert_same_columns(twin.columns(STEPS), {column: expected[column] for column in twin.column_names})


LONG: dict[str, Parameters] = {
    "WarmupLR": {"warmup_max_lr": 3e-4, "warmup_min_lr": 1e-6, "warmup_num_steps": 60_000},
    "WarmupDecayLR": {"total_num_steps": 95_000, "warmup_max_lr": 3e-4, "warmup_num_steps": 40_000},
    "WarmupCosineLR": {"base_lr": 3e-4, "total_num_steps": 95_000, "warmup_min_ratio": 0.01},
    "LRRangeTest": {"lr_range_test_step_size": 777, "lr_range_test_staircase": True},
    "OneCycle": {
        "cycle_min_lr": 1e-4,
        "cycle_max_lr": 0.1,
        "cycle_first_step_size": 33_333,
        "cycle_second_step_size": 44_444,
        "cycle_first_stair_count": 7,
        "decay_step_size": 1000,
        "decay_lr_rate": 0.5,
        "decay_mom_rate": 0.01,
    },
}


@pytest.mark.parametrize("name", LONG)
def test_equals_stepping_for_a_hundred_thousand_steps(name: str) -> None:
    """Not one of a hundred thousand values differs from stepping."""
    twin: Schedule = getattr(twins, name)(**LONG[name])
    expected = stepped(name, LONG[name], 100_000)
    assert_same_columns(twin.columns(100_000), {column: expected[column] for column in twin.column_names})


CONFIGURATIONS: list[Parameters] = [
    {"type": "WarmupLR", "params": {"warmup_num_steps": 5}},
    {"type": "WarmupDecayLR", "params": {"total_num_steps": 12, "warmup_num_steps": 4, "warmup_type": "linear"}},
    {"type": "WarmupCosineLR", "params": {"total_num_steps": 12, "warmup_num_steps": 4, "last_batch_iteration": -1}},
    {"type": "OneCycle", "params": {"cycle_min_lr": 0.01, "cycle_max_lr": 0.1, "cycle_first_step_size": "5"}},
    {"type": "LRRangeTest", "params": {"lr_range_test_step_size": 3}},
    {"type": "CosineAnnealingLR", "params": {"T_max": 12, "eta_min": 0.001}},
    {"type": "OneCycleLR", "params": {"max_lr": 0.1, "total_steps": 40}},
]


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
@pytest.mark.parametrize("block", CONFIGURATIONS, ids=lambda block: block["type"])
def test_a_configuration_gives_the_rates_that_the_engine_applies(block: Parameters, optimizer: str) -> None:
    """What the engine makes of a configuration reaches the optimizer's updates as the table has it, bit for bit."""
    parameters = {"lr": 0.05} | ({"torch_adam": True} if optimizer == "Adam" else {"momentum": 0.9})
    configuration = {
        "train_batch_size": 1,
        "optimizer": {"type": optimizer, "params": parameters},
        "scheduler": block,
    }
    columns = ("lr", "beta1") if optimizer == "Adam" else ("lr", "momentum")
    applied = applied_by_engine(configuration, 25, columns)
    found = from_deepspeed(configuration)
    assert isinstance(found, Schedule)
    table = found.columns(25)
    assert applied["lr"] == table["lr"].tolist()
    assert all(applied[name] == table[name].tolist() for name in columns if name in found.column_names)


def applied_by_engine(configuration: Parameters, steps: int, columns: tuple[str, ...]) -> dict[str, list[float]]:
    """The values that DeepSpeed's engine, on one process, has in force during each update."""
    model = torch.nn.Linear(1, 1)
    engine, optimizer, _, _ = deepspeed.initialize(
        model=model, model_parameters=model.parameters(), config=configuration, dist_init_required=False
    )
    recorded = {column: record_rates(optimizer, column) for column in columns}
    for _ in range(steps):
        engine.backward(engine(torch.ones(1, 1)).sum())
        engine.step()
    return recorded


@pytest.fixture(scope="module", autouse=True)
def group_of_one() -> Iterator[None]:
    """The process group that the engine needs, and the environment that its launcher gives."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("LOCAL_RANK", "0")
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=0, world_size=1)
        deepspeed.init_distributed("gloo", auto_mpi_discovery=False, dist_init_required=False)
        yield
        torch.distributed.destroy_process_group()
