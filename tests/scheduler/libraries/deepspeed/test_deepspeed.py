"""DeepSpeed's schedules: the values that tests/trainers compared with the real ones, and their configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from scheduler import Schedule, ScheduleWarning, Spec, Table, builtin
from scheduler.libraries.deepspeed import (
    ConfigurationError,
    LRRangeTest,
    OneCycle,
    WarmupCosineLR,
    WarmupDecayLR,
    WarmupLR,
    from_deepspeed,
)
from tests.support.schedules.bits import assert_same_bits

DIGESTS: dict[Schedule, str] = {
    WarmupLR(3e-4, 1e-6, 600): "8d5ace9fbaaaf28bbec621813d749094596ecfa6dee3b1c58daf6fdfc0053bdd",
    WarmupLR(3e-4, 1e-6, 600, "linear"): "1dbf2da1a49a6b00e0595d85a39065863ac48402b7691de45b30ab249de7b8fc",
    WarmupDecayLR(950, 0.0, 3e-4, 400): "2a528d8e863ee5ac90ab768cb17ad91193a25d3237fc00a43d68041bd46b037c",
    WarmupCosineLR(3e-4, 950, 0.01, 400): "872e8f247ababfa0c553163a4873424aec49d7a02baeaa5f8248af8d50f92ed3",
    LRRangeTest(
        1e-3, 77, 1.5, lr_range_test_staircase=True
    ): "18525d2fa76890e90b12b563cd66003b3ca243be136b94a7e68e96c581b99078",
    OneCycle(
        1e-4, 0.1, 0.5, 333, 444, cycle_first_stair_count=7, decay_step_size=100, decay_mom_rate=0.01
    ): "42c31544efcb63a97d9e1b79548801d9eedc32e57a12e86eb206afc4a5545b4c",
    OneCycle(
        1e-4, 0.1, cycle_first_step_size=33.5, cycle_momentum=False
    ): "a0e2f903debf24673d13fc673e80ca0113b28600f6be88a1fa7b5541f9106d0c",
}
"""Schedules, and the digests of their first 1,000 rows, which equal the library's (deepspeed 0.19.8)."""


@pytest.mark.parametrize("schedule", DIGESTS, ids=[f"{n}-{each.kind}" for n, each in enumerate(DIGESTS)])
def test_values_are_those_that_were_compared(schedule: Schedule) -> None:
    """No value has moved since all were compared with the real schedulers."""
    assert Table.compute(Spec(schedule=schedule, total_steps=1000)).digest == DIGESTS[schedule]


@pytest.mark.parametrize("schedule", [WarmupLR(0.1, 0.01, 5), WarmupDecayLR(20, 0.01, 0.1, 5)])
def test_the_first_two_updates_have_the_same_rate(schedule: Schedule) -> None:
    """The library's index starts at -1, and the warmup's value at index 0 is that of its start."""
    assert schedule.values(3)[:2].tolist() == [0.01, 0.01]
    assert schedule.values(7)[6] == 0.1


def test_one_cycle_starts_with_its_lowest_momentum() -> None:
    """The library's constructor sets the lowest momentum; from step 1 on it moves against the rate."""
    columns = OneCycle(0.01, 0.1, cycle_first_step_size=10).columns(21)
    assert columns["beta1"][[0, 10, 20]].tolist() == [0.8, 0.8, 0.9]
    assert columns["beta1"][1] == pytest.approx(0.89)
    assert set(columns["beta2"].tolist()) == {0.99}


@pytest.mark.parametrize("schedule", DIGESTS, ids=[f"{n}-{each.kind}" for n, each in enumerate(DIGESTS)])
def test_windows_equal_slices(schedule: Schedule) -> None:
    """A step's value does not depend on where the computation starts, nor on how many steps it covers."""
    for name, whole in schedule.columns(70_000).items():
        for start, stop in [(0, 1), (1, 3), (32_766, 32_770), (69_999, 70_000), (300, 40_000)]:
            window = np.full(stop - start, np.nan)
            schedule.fill(window, start, column=name)
            assert_same_bits(window, whole[start:stop], name)


ADAM = {"optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "betas": [0.9, 0.95]}}}
AUTO = {
    "optimizer": {"type": "AdamW", "params": {"lr": "auto"}},
    "scheduler": {
        "type": "WarmupDecayLR",
        "params": {
            "total_num_steps": "auto",
            "warmup_min_lr": "auto",
            "warmup_max_lr": "auto",
            "warmup_num_steps": "auto",
        },
    },
}


def scheduler_block(kind: str, **parameters: Any) -> dict[str, Any]:
    """A configuration with this scheduler block."""
    return ADAM | {"scheduler": {"type": kind, "params": parameters}}


@pytest.mark.parametrize(
    ("configuration", "schedule"),
    [
        (scheduler_block("WarmupLR", warmup_max_lr=0.1), WarmupLR(0.1)),
        (scheduler_block("WarmupLR"), WarmupLR(1e-3)),
        (scheduler_block("WarmupCosineLR", total_num_steps=9), WarmupCosineLR(1e-3, 9)),
        (scheduler_block("OneCycle", cycle_min_lr=0.1, cycle_max_lr=1.0), OneCycle(0.1, 1.0)),
        (scheduler_block("LRRangeTest", last_batch_iteration=-1), LRRangeTest()),
        (scheduler_block("StepLR", step_size=30), builtin.StepLR(1e-3, 30)),
        (
            scheduler_block("OneCycleLR", max_lr=0.1, total_steps=9),
            builtin.OneCycleLR(0.1, 9, momentum_column="beta1"),
        ),
        ({"type": "LRRangeTest", "params": {"lr_range_test_min_lr": [0.1]}}, [LRRangeTest(0.1)]),
        (
            scheduler_block("WarmupLR", warmup_max_lr=[0.1, 0.2], warmup_min_lr=0.01),
            [WarmupLR(0.1, 0.01), WarmupLR(0.2, 0.01)],
        ),
    ],
)
def test_a_configuration_gives_its_schedule(configuration: dict[str, Any], schedule: Schedule | list[Schedule]) -> None:
    """A configuration, as data or as JSON, gives the schedule of its block, one per group where a value is a list."""
    assert from_deepspeed(configuration) == schedule
    assert from_deepspeed(json.dumps(configuration)) == schedule


def test_auto_is_filled_as_by_trainer() -> None:
    """What transformers' Trainer fills in is filled from the values that are given."""
    filled = from_deepspeed(AUTO, learning_rate=2e-4, num_training_steps=90, num_warmup_steps=0)
    assert filled == WarmupDecayLR(90, 0.0, 2e-4, 1)


def test_momentum_is_that_of_optimizers_with_betas() -> None:
    """As in the library no momentum cycles where the optimizer has no betas."""
    block = scheduler_block("OneCycle", cycle_min_lr=0.1, cycle_max_lr=1.0)
    assert from_deepspeed(block | {"optimizer": {"type": "SGD"}}) == OneCycle(0.1, 1.0, cycle_momentum=False)


def test_an_unknown_warmup_type_is_that_of_the_library() -> None:
    """The library takes its default for a type that it does not know, with a warning."""
    with pytest.warns(ScheduleWarning, match=r"does not know scheduler\.params\.warmup_type 'cosine', and takes 'log'"):
        found = from_deepspeed(scheduler_block("WarmupLR", warmup_max_lr=0.1, warmup_type="cosine"))
    assert found == WarmupLR(0.1)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("[1]", r"a DeepSpeed configuration is a JSON object, got '\[1\]'"),
        ({"scheduler": 5}, "scheduler must be an object with type and params, got 5"),
        ({"zero_optimization": {}}, 'has no "scheduler" block, only .*zero_optimization'),
        (scheduler_block("CosineLR"), r"scheduler\.type must be one of LRRangeTest, .*, got 'CosineLR'"),
        (scheduler_block("LambdaLR"), r"scheduler\.type 'LambdaLR' has no schedule: its rates come from a Python"),
        (
            scheduler_block("ReduceLROnPlateau"),
            r"scheduler\.type 'ReduceLROnPlateau' has no schedule: its rates follow",
        ),
        (scheduler_block("SequentialLR"), r"scheduler\.type 'SequentialLR' cannot be written as JSON"),
        ({"type": "WarmupLR"}, r"scheduler\.params must be an object, got None"),
        (scheduler_block("WarmupLR", warmup_steps=3), r"scheduler\.params of WarmupLR must be among .*'warmup_steps'"),
        (scheduler_block("StepLR", base_lr=3), r"scheduler\.params of StepLR must be among .*'base_lr'"),
        (scheduler_block("WarmupLR", last_batch_iteration=7), r"last_batch_iteration must be -1, .*, got 7"),
        (scheduler_block("WarmupLR", warmup_num_steps=1e3), r"warmup_num_steps must be a whole number .*, got 1000\.0"),
        (scheduler_block("OneCycle", cycle_min_lr=0.1), "cycle_max_lr"),
        (scheduler_block("OneCycle", cycle_min_lr=[1], cycle_max_lr=[1, 2]), "as many values as there are groups"),
        (AUTO, r"scheduler\.params\.total_num_steps is 'auto', .*: num_training_steps must be given"),
        ({"type": "WarmupLR", "params": {}}, r"learning_rate must be given for scheduler\.params\.warmup_max_lr"),
        (scheduler_block("WarmupLR", warmup_type="auto"), r"warmup_type is 'auto', .*: write its value into"),
    ],
)
def test_what_decides_no_schedule_is_refused(configuration: Any, message: str) -> None:
    """A configuration that decides no schedule is refused by field and value."""
    with pytest.raises(ValueError, match=message):
        from_deepspeed(configuration)


def test_two_rates_of_the_optimizer_are_refused() -> None:
    """A rate that contradicts the configuration's is not silently preferred."""
    with pytest.raises(ConfigurationError, match=r"learning_rate must equal optimizer\.params\.lr, got 0\.1 != 0\.001"):
        from_deepspeed(scheduler_block("WarmupLR"), learning_rate=0.1)


def test_needs_neither_deepspeed_nor_torch() -> None:
    """Importing the twins and computing with them loads neither library."""
    program = (
        "import sys; from scheduler.libraries.deepspeed import WarmupLR; WarmupLR(0.1).values(30);"
        "print(sorted(sys.modules.keys() & {'torch', 'deepspeed'}))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "[]", "")
