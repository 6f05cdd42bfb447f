"""A floor above the peak: the libraries accept it, so their twins do, and say that the rate rises."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import Schedule, ScheduleWarning, Spec
from scheduler.builtin import CosineAnnealingLR, CosineAnnealingWarmRestarts
from scheduler.compose import Sequence
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.libraries import deepspeed, transformers
from tests.support.schedules.bits import assert_same_columns
from tests.support.schedules.stepping import step_real

FLOORS: list[tuple[Any, str, float]] = [
    (lambda floor: CosineAnnealingLR(0.1, 100, floor), "eta_min", 0.1),
    (lambda floor: CosineAnnealingWarmRestarts(0.1, 100, 1, floor), "eta_min", 0.1),
    (lambda floor: transformers.CosineWithMinLR(0.1, 10, 100, min_lr=floor), "min_lr", 0.1),
    (lambda floor: transformers.CosineWithMinLR(0.1, 10, 100, min_lr_rate=floor), "min_lr_rate", 1.0),
    (lambda floor: transformers.CosineWarmupWithMinLR(0.1, 10, 100, min_lr=floor), "min_lr", 0.1),
    (lambda floor: transformers.WarmupStableDecay(0.1, 10, 10, 100, min_lr_ratio=floor), "min_lr_ratio", 1.0),
    (lambda floor: deepspeed.WarmupCosineLR(0.1, 100, cos_min_ratio=floor), "cos_min_ratio", 1.0),
]


@pytest.mark.parametrize(
    ("make", "name", "peak"), FLOORS, ids=[f"{index} {name}" for index, (_, name, _) in enumerate(FLOORS)]
)
def test_a_floor_above_the_peak_is_warned_of(make: Any, name: str, peak: float) -> None:
    """A floor above the rate that falls to it is a warning with both; one that is as high is none."""
    above: Schedule = make(10.0 * peak)
    [said] = [each for each in above.warnings(100) if "rises where" in each]
    assert said.endswith(f"{name} sets its floor to 1, above 0.1, where it begins")
    assert not any("rises where" in each for each in make(peak).warnings(100))


def test_the_warning_reaches_the_user() -> None:
    """It is given where a table is made, in composites, too; torch accepts the floor, and has the same rates."""
    twin = CosineAnnealingLR(0.001, 100, 0.01)
    with pytest.warns(ScheduleWarning, match="eta_min sets its floor to 0.01, above 0.001"):
        twin.table(100)
    spec = Spec(schedule=Sequence([LinearWarmup(0.001, 10), twin], [10]), total_steps=100)
    assert any("eta_min sets its floor" in said for said in spec.warnings())
    assert_same_columns(twin.columns(100), step_real(twin, 100))


def test_our_own_schedules_refuse_it() -> None:
    """A schedule of ours has no library to follow: the values are refused."""
    with pytest.raises(ValueError, match=r"min_lr must be <= base_lr, got 0\.01 > 0\.001"):
        WarmupWithDecay(0.001, 10, 100, min_lr=0.01)
