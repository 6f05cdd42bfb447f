"""Schedulers of somebody's own, computed once."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from scheduler import CachedScheduler, ScheduleWarning, TableError
from scheduler.custom import WarmupWithDecay

SCHEDULE = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)


class Foreign:
    """A scheduler of somebody else: an object with get_lr, and nothing more."""

    def __init__(self, *, bad: int | None = None) -> None:
        self.calls: list[int] = []
        self.bad = bad

    def get_lr(self, step: int) -> float:
        self.calls.append(step)
        return float("nan") if step == self.bad else 1 / (step + 1)


def test_cached_scheduler_computes_once() -> None:
    """Any object with get_lr is asked once per step, in order, and looked up ever after (guide, Tip 2)."""
    foreign = Foreign()
    cached = CachedScheduler(foreign, 4)
    assert [cached.get_lr(step) for step in (3, 0, 3)] == [0.25, 1.0, 0.25]
    assert foreign.calls == [0, 1, 2, 3]
    assert list(cached.lrs) == [1.0, 0.5, 1 / 3, 0.25]


def test_cached_scheduler_of_ours_is_the_table() -> None:
    """One of our schedules is computed as an array, with the same values."""
    assert CachedScheduler(SCHEDULE, 1000).table.lr.tobytes() == SCHEDULE.values(1000).tobytes()


@pytest.mark.parametrize(("steps", "said"), [(500, "the rest of it is cut off"), (2000, "the rate is held")])
def test_cached_scheduler_warns_as_a_table_does(steps: int, said: str) -> None:
    """A cache of other steps than the schedule is made for says so at the line that makes it."""
    with pytest.warns(ScheduleWarning, match=f"is made for 1000 steps and gets {steps}: .*{said}") as caught:
        CachedScheduler(SCHEDULE, steps)
    assert [Path(warning.filename) for warning in caught] == [Path(__file__)]


def test_cached_scheduler_can_be_copied_and_sent_to_another_process() -> None:
    """A copy, deep or not, and a pickle give the same rates."""
    cached = CachedScheduler(Foreign(), 4)
    for other in (copy.copy(cached), copy.deepcopy(cached), pickle.loads(pickle.dumps(cached))):
        assert [*other.lrs] == [*cached.lrs]
        assert other.get_lr(3) == cached.get_lr(3)
        assert other.table == cached.table


def test_cached_scheduler_refuses_what_is_no_rate_and_no_step() -> None:
    """NaN is named with its step; a step past the end raises IndexError, as a list would; an empty cache is refused."""
    with pytest.raises(TableError, match="nan at step 2"):
        CachedScheduler(Foreign(bad=2), 4)
    with pytest.raises(IndexError, match="step 5 is past the end"):
        CachedScheduler(Foreign(), 4).get_lr(5)
    with pytest.raises(ValueError, match="total_steps must be at least 1, got 0"):
        CachedScheduler(Foreign(), 0)
    with pytest.raises(ValueError, match="total_steps must be at least 1, got True"):
        CachedScheduler(Foreign(), True)
    with pytest.raises(TypeError, match=r"total_steps must be an integer, got 4\.0"):
        CachedScheduler(Foreign(), cast(Any, 4.0))
    with pytest.raises(ValueError, match="total_steps must be from 0 to 10000000000, got -1"):
        CachedScheduler(Foreign(), -1)
    with pytest.raises(TypeError, match=r"scheduler must be an object with get_lr\(step\), got None"):
        CachedScheduler(None, 4)


class Returning:
    """A scheduler whose rate is always the same object."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def get_lr(self, step: int) -> Any:
        """The object."""
        del step
        return self._value


@pytest.mark.parametrize(
    "value",
    [[0.1], None, "0.1", b"1", True, np.True_, 1j, np.ones(2), torch.ones(2)],
    ids=lambda value: repr(value)[:9],
)
def test_a_cached_scheduler_takes_numbers_alone(value: Any) -> None:
    """A rate that is no number is refused with its step, and the message points torch schedulers to `capture`."""
    with pytest.raises(TypeError, match=r"Returning.get_lr must give numbers, got .* at step 0; .*scheduler.capture"):
        CachedScheduler(Returning(value), 3)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, 10**400, 1e13])
def test_a_cached_scheduler_takes_rates_alone(value: Any) -> None:
    """A number that is no learning rate is refused at its step."""
    with pytest.raises(TableError, match=r"Returning.get_lr must give learning rates, got .* at step 0$"):
        CachedScheduler(Returning(value), 3)


def test_a_torch_scheduler_is_not_cached() -> None:
    """Its get_lr takes no step: the message says what takes it."""
    scheduler = torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]), 1)
    with pytest.raises(TypeError, match=r"StepLR.get_lr failed at step 0: .*; a torch scheduler is taken"):
        CachedScheduler(scheduler, 3)
