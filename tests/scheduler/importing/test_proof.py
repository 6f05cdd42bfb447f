"""A proof compares a schedule with the real scheduler of its library, and says what was compared."""

from __future__ import annotations

import sys

import pytest

from scheduler import Schedule, builtin
from scheduler.compose import Constant
from scheduler.importing import proof
from scheduler.importing.proof import ProofError, prove
from scheduler.libraries import deepspeed, transformers
from tests.support.schedules.long_twins import long

TWINS: list[Schedule] = [
    *(parameter.values[0] for parameter in long(300)),
    transformers.Cosine(0.1, 10, 200),
    transformers.Polynomial(0.1, 10, 200, lr_init=0.5),
    transformers.WarmupStableDecay(0.1, 10, 50, 200),
]


@pytest.mark.parametrize("schedule", TWINS, ids=[f"{n}-{each.kind}" for n, each in enumerate(TWINS)])
def test_a_twin_is_proven(schedule: Schedule) -> None:
    """Each twin is compared with its original in all steps, and equal."""
    steps = min(schedule.end or 300, 300)
    name = schedule.kind.rpartition(".")[2]
    assert prove([schedule], steps).startswith(f"equals the real {name} of ")
    assert prove([schedule], steps).endswith(f"on {steps} of {steps} steps, bit for bit")


def test_groups_are_proven_one_by_one() -> None:
    """Every group's schedule is compared."""
    schedules = [builtin.StepLR(0.1, 3), builtin.StepLR(0.2, 3)]
    assert prove(schedules, 9).endswith("on 9 of 9 steps, bit for bit, in each of 2 parameter groups")


def test_a_long_training_is_compared_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more steps are taken than a user waits for, and the sentence says how many."""
    monkeypatch.setattr(proof, "MOST_STEPS", 10)
    assert "on 10 of 1,000 steps" in prove([builtin.StepLR(0.1, 3)], 1000)


def test_another_value_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single value that differs is named with its step and both numbers."""
    monkeypatch.setattr(proof, "_original", lambda schedule: ("StepLR", proof._torch(builtin.StepLR(0.1, 5), "StepLR")))
    with pytest.raises(
        ProofError, match=r"lr differs from that of StepLR in 5 of 9 steps, first in 3: 0\.01.* here, 0\.1"
    ):
        prove([builtin.StepLR(0.1, 3, 0.1)], 5 + 4)


def test_what_cannot_be_proven_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, or without an original, the sentence says why nothing was compared."""
    assert prove([Constant(0.1)], 9) == "not proven: Constant is ours, and has no original"
    monkeypatch.setitem(sys.modules, "deepspeed.runtime.lr_schedules", None)
    assert prove([deepspeed.WarmupLR(0.1)], 9) == "not proven: deepspeed is not installed here"
