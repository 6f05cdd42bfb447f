"""Twins of DeepSpeed's OneCycle and LRRangeTest.

Each matches the real class, stepped once after each optimizer step, bit for bit, at every length, and keeps its
parameter names and defaults (deepspeed 0.19.8, `runtime/lr_schedules.py`). Narrower than the library: rates, momenta
and counts are not negative, and momenta at most 1 but where the library's own decay takes them further.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from scheduler.fields import Duration, Fraction, NonNegative, PositiveDuration, Rate, StepCount, Steps, Values
from scheduler.numerics.pieces import STEPS, in_blocks
from scheduler.schedule import Schedule, schedule

_SECOND_BETA = 0.99  # the library sets it with the first one
_LISTED_STAIRS = 16  # whose first step is listed


@schedule
class LRRangeTest(Schedule):
    """A rate that rises for ever, to find the largest that a training bears.

    Args:
        lr_range_test_min_lr: learning rate of step 0, at least 0.
        lr_range_test_step_size: steps in which the rate grows once by its first value times the step rate, at least 1.
        lr_range_test_step_rate: growth in a step size, as a share of the first rate, at least 0.
        lr_range_test_staircase: whether the rate grows in steps, once every step size.

    lr(t) = min_lr · (1 + step_rate · t / step_size), t / step_size rounded down with the staircase. Step 0: min_lr; it
    has no end, and no upper bound. Source: deepspeed.runtime.lr_schedules.LRRangeTest.
    """

    lr_range_test_min_lr: Rate = 1e-3
    lr_range_test_step_size: StepCount = 2000
    lr_range_test_step_rate: NonNegative = 1.0
    lr_range_test_staircase: bool = False
    _: KW_ONLY
    kind: Literal["deepspeed.LRRangeTest"] = "deepspeed.LRRangeTest"

    @property
    @override
    def grows(self) -> bool:
        return self.lr_range_test_step_rate > 0.0

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        size = self.lr_range_test_step_size
        return range(0, min(total_steps, _LISTED_STAIRS * size), size) if self.lr_range_test_staircase else ()

    def _fill(self, out: Values, start: int) -> None:
        for block, step in in_blocks(out, start):
            np.add(STEPS[: len(block)], step, out=block)
            block /= self.lr_range_test_step_size
            if self.lr_range_test_staircase:
                np.floor(block, out=block)
            block *= self.lr_range_test_step_rate
            block += 1.0
            block *= self.lr_range_test_min_lr


@schedule
class OneCycle(Schedule):
    """One triangle from cycle_min_lr to cycle_max_lr and back, smooth or in stairs, then a decay; momentum against it.

    Args:
        cycle_min_lr: learning rate of step 0 and at the end of the cycle, at least 0.
        cycle_max_lr: learning rate at the end of the first half, at least 0.
        decay_lr_rate: what the divisor of the rate grows by in every decay_step_size after the cycle, at least 0.
        cycle_first_step_size: steps from cycle_min_lr up to cycle_max_lr, whole or not, at least 0.001.
        cycle_second_step_size: steps back down, whole or not, at least 0; by default cycle_first_step_size.
        cycle_first_stair_count: stairs on the way up, at least 0; 0 for a smooth one.
        cycle_second_stair_count: stairs on the way down, at least 0; by default cycle_first_stair_count.
        decay_step_size: steps of the unit of decay, whole or not, at least 0; 0 for no decay.
        cycle_momentum: whether the first of the optimizer's betas moves too, against the rate.
        cycle_min_mom: lowest momentum, where the rate is highest, from 0 to 1.
        cycle_max_mom: highest momentum, where the rate is lowest, from 0 to 1.
        decay_mom_rate: what the momentum's factor grows by in every decay_step_size after the cycle, at least 0.

    With S = first + second step size, u = first step size / S and x = t/S (0 at t = S): f = x/u for x <= u, else
    (x - 1) / (u - 1), cut to a whole stair where there are stairs. lr(t) = min_lr + (max_lr - min_lr) f up to S, then
    min_lr / (1 + decay_lr_rate · (t - S) / decay_step_size). With cycle_momentum, beta1 is
    max_mom - (max_mom - min_mom) f, then max_mom · (1 + decay_mom_rate · (t - S) / decay_step_size); beta2 is 0.99.

    Step 0: min_lr, and **min_mom**, which the library's constructor sets although the rate is lowest; step 1: the
    triangles' values. Momentum's decay takes it beyond 1, as in the library. For an optimizer without betas the library
    turns `cycle_momentum` off. Source: deepspeed.runtime.lr_schedules.OneCycle.
    """

    cycle_min_lr: Rate
    cycle_max_lr: Rate
    decay_lr_rate: NonNegative = 0.0
    cycle_first_step_size: PositiveDuration = 2000
    cycle_second_step_size: Duration | None = None
    cycle_first_stair_count: Steps = 0
    cycle_second_stair_count: Steps | None = None
    decay_step_size: Duration = 0
    cycle_momentum: bool = True
    cycle_min_mom: Fraction = 0.8
    cycle_max_mom: Fraction = 0.9
    decay_mom_rate: NonNegative = 0.0
    _: KW_ONLY
    kind: Literal["deepspeed.OneCycle"] = "deepspeed.OneCycle"

    @property
    @override
    def column_names(self) -> tuple[str, ...]:
        return ("lr", "beta1", "beta2") if self.cycle_momentum else ("lr",)

    @property
    def _second(self) -> float:
        return self.cycle_first_step_size if self.cycle_second_step_size is None else self.cycle_second_step_size

    @property
    def _size(self) -> float:
        return float(self.cycle_first_step_size) + float(self._second)

    @property
    @override
    def stated_steps(self) -> int:
        return math.ceil(self._size)

    @property
    @override
    def afterwards(self) -> str | None:
        return None if self.decay_step_size and self.decay_lr_rate else f"stays at {self.cycle_min_lr:g}"

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return [math.ceil(self.cycle_first_step_size), self.stated_steps]

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        if column == "beta2":
            out.fill(_SECOND_BETA)
            return
        for block, step in in_blocks(out, start):
            np.add(STEPS[: len(block)], step, out=block)
            inside = min(max(math.ceil(self._size) + 1 - step, 0), len(block))
            if column == "lr":
                self._write_rates(block[:inside], block[inside:])
            else:
                self._write_momenta(block[:inside], block[inside:])
                if step == 0:
                    block[0] = self.cycle_min_mom

    def _write_rates(self, cycle: Values, decay: Values) -> None:
        self._triangle(cycle)
        cycle *= self.cycle_max_lr - self.cycle_min_lr
        cycle += self.cycle_min_lr
        if self._decays(self.decay_lr_rate):
            self._grow(decay, self.decay_lr_rate)
            np.divide(self.cycle_min_lr, decay, out=decay)
        else:
            decay.fill(self.cycle_min_lr)

    def _write_momenta(self, cycle: Values, decay: Values) -> None:
        self._triangle(cycle)
        cycle *= self.cycle_max_mom - self.cycle_min_mom
        np.subtract(self.cycle_max_mom, cycle, out=cycle)
        if self._decays(self.decay_mom_rate):
            self._grow(decay, self.decay_mom_rate)
            decay *= self.cycle_max_mom
        else:
            decay.fill(self.cycle_max_mom)

    def _decays(self, rate: float) -> bool:
        return self.decay_step_size != 0 and rate != 0

    def _grow(self, steps: Values, rate: float) -> None:
        """1 + rate · (t - S) / decay_step_size."""
        steps -= 1.0
        steps -= self._size
        steps += 1.0
        steps /= self.decay_step_size
        steps *= rate
        steps += 1.0

    def _triangle(self, steps: Values) -> None:
        """Turn steps of the cycle into heights from 0 to 1."""
        turns = 1.0 + steps / self._size
        turns -= np.floor(turns)
        ratio = float(self.cycle_first_step_size) / self._size
        rising = turns <= ratio
        heights = turns / ratio
        if ratio < 1.0:
            turns -= 1.0
            np.divide(turns, ratio - 1.0, out=heights, where=~rising)
        self._cut_to_stairs(steps, heights, rising)
        steps[:] = heights

    def _cut_to_stairs(self, steps: Values, heights: Values, rising: NDArray[np.bool_]) -> None:
        up = self.cycle_first_stair_count
        down = up if self.cycle_second_stair_count is None else self.cycle_second_stair_count
        place = np.fmod(steps, self._size)
        for count, half in ((up, rising), (down, ~rising)):
            if count:
                stairs = place[half] * count / self.cycle_first_step_size
                falling = place[half] > self.cycle_first_step_size
                stairs[falling] = (self._size - place[half][falling]) * count / (self._second or 1.0)
                heights[half] = np.floor(stairs) / count
