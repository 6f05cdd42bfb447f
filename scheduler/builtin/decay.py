"""Twins that multiply the rate by gamma: at every step, every so many steps, or at milestones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from typing_extensions import override

from scheduler.builtin.stepped import Product
from scheduler.builtin.twin import Milestones
from scheduler.fields import NonNegative, Rate, StepCount, Values
from scheduler.messages.warnings import PlacedWarning
from scheduler.numerics.rates import MAX_RATE
from scheduler.schedule import schedule

_LISTED_DROPS = 16  # drops that are listed


class _ByGamma(Product):
    """Base of the twins that multiply the rate by gamma repeatedly."""

    gamma: float

    @property
    @override
    def grows(self) -> bool:
        return self.gamma > 1.0


@schedule
class StepLR(_ByGamma):
    """The rate is multiplied by gamma every step_size steps.

    Args:
        base_lr: the optimizer's learning rate, in force until the first multiplication, at least 0.
        step_size: steps between two multiplications, at least 1.
        gamma: what the rate is multiplied by every step_size steps, from 0 to 1e6.

    Formula: lr(0) = base_lr; lr(t) = lr(t - 1) gamma where t is a multiple of step_size, else lr(t - 1).

    Step 0: base_lr. Step step_size: base_lr gamma, and so on; it has no end.

    With gamma above 1 it grows without bound: past 1e12 there is no table. Narrower than torch: gamma is from 0 to 1e6.
    Source: torch.optim.lr_scheduler.StepLR.

    Example: `StepLR(0.1, 30).get_lr(30)` is 0.1 * 0.1.
    """

    base_lr: Rate
    step_size: StepCount
    gamma: NonNegative = 0.1
    _: KW_ONLY
    kind: Literal["torch.StepLR"] = "torch.StepLR"

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        del steps, part
        return _growing(self, self.step_size)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        return range(self.step_size, min(total_steps, _LISTED_DROPS * self.step_size + 1), self.step_size)

    @override
    def write_factors(self, out: Values, clock: int) -> None:
        out.fill(1.0)
        out[-clock % self.step_size :: self.step_size] = self.gamma
        if clock == 0:
            out[:1] = 1.0

    @override
    def is_constant_from(self, clock: int, lr: float) -> bool:
        return lr * self.gamma == lr


@schedule
class MultiStepLR(_ByGamma):
    """The rate is multiplied by gamma at every milestone.

    Args:
        base_lr: the optimizer's learning rate, in force until the first milestone, at least 0.
        milestones: steps at which the rate is multiplied, at most 10,000, in any order; one given twice counts twice.
        gamma: what the rate is multiplied by at every milestone, from 0 to 1e6.

    Formula: lr(t) = lr(t - 1) gamma^k where t is k times among the milestones, else lr(t - 1); lr(-1) = base_lr.

    Step 0: base_lr, or base_lr gamma^k where 0 is k times among the milestones. Each milestone: the new rate. From the
    last milestone on it is constant; it has no end. The order of the milestones does not matter, their number does.

    Narrower than torch: gamma^n of n milestones is at most 1e100. Raises where it is more.
    Source: torch.optim.lr_scheduler.MultiStepLR.

    Example: `MultiStepLR(0.1, [30, 80]).get_lr(80)` is 0.1 * 0.1 * 0.1.
    """

    base_lr: Rate
    milestones: Milestones
    gamma: NonNegative = 0.1
    _: KW_ONLY
    kind: Literal["torch.MultiStepLR"] = "torch.MultiStepLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.gamma > 1.0 and len(self.milestones) * np.log10(self.gamma) > 100.0:
            raise ValueError(
                f"gamma must be small enough that gamma ** {len(self.milestones)}, one factor per milestone, "
                f"is at most 1e100, got {self.gamma}"
            )
        return self

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        del part
        if (last := max(self.milestones, default=0)) >= steps:
            yield PlacedWarning("short", f"milestone {last} of this {self.kind} is never reached in {steps} steps")

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return self.milestones

    @cached_property
    def _drops(self) -> tuple[NDArray[np.int64], Values]:
        """The distinct milestones in order, and the factor of each."""
        counts = sorted(Counter(self.milestones).items())
        powers = [self.gamma**count for _, count in counts]
        return np.array([step for step, _ in counts], dtype=np.int64), np.array(powers, dtype=np.float64)

    @override
    def write_factors(self, out: Values, clock: int) -> None:
        steps, powers = self._drops
        first, last = np.searchsorted(steps, [clock, clock + len(out)])
        out.fill(1.0)
        out[steps[first:last] - clock] = powers[first:last]

    @override
    def first_rate(self, lr: float) -> float:
        count = self.milestones.count(0)
        return lr * self.gamma**count if count else lr

    @override
    def rate_at_milestone(self, lr: float) -> float:
        return self.base_lr * self.gamma ** self.milestones.count(0)

    @override
    def is_constant_from(self, clock: int, lr: float) -> bool:
        return clock > max(self.milestones, default=0)

    @property
    @override
    def max_growth(self) -> float:
        return max(1.0, self.gamma ** len(self.milestones))


@schedule
class ExponentialLR(_ByGamma):
    """The rate is multiplied by gamma at every step.

    Args:
        base_lr: the optimizer's learning rate, in force at step 0, at least 0.
        gamma: what the rate is multiplied by at every step, from 0 to 1e6.

    Formula: lr(0) = base_lr; lr(t) = lr(t - 1) gamma.

    Step 0: base_lr. Step t: base_lr gamma^t but for the roundings of t products, which are torch's. It has no end.

    With gamma above 1 it grows without bound: past 1e12 there is no table. Narrower than torch: gamma is from 0 to 1e6.
    Source: torch.optim.lr_scheduler.ExponentialLR.

    Example: `ExponentialLR(0.1, 0.95).get_lr(1)` is 0.1 * 0.95.
    """

    base_lr: Rate
    gamma: NonNegative
    _: KW_ONLY
    kind: Literal["torch.ExponentialLR"] = "torch.ExponentialLR"

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        del steps, part
        return _growing(self, 1)

    @override
    def write_factors(self, out: Values, clock: int) -> None:
        out.fill(self.gamma)

    @override
    def is_constant_from(self, clock: int, lr: float) -> bool:
        return lr * self.gamma == lr


def _growing(twin: StepLR | ExponentialLR, every: int) -> Iterator[PlacedWarning]:
    """Warn of a rate that is repeatedly multiplied by more than 1."""
    if twin.gamma > 1.0 and twin.base_lr > 0.0:
        times = math.ceil((math.log(MAX_RATE) - math.log(twin.base_lr)) / math.log(twin.gamma))
        grows = f"gamma={twin.gamma} of this {twin.kind} is above 1, so that the rate grows without bound"
        yield PlacedWarning(
            "curve", f"{grows}: from about step {times * every} on it is above {MAX_RATE:g}, as none may be"
        )
