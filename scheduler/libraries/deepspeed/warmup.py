"""Twins of DeepSpeed's schedules that begin with a warmup: WarmupLR, WarmupDecayLR and WarmupCosineLR.

Each matches the real class, stepped once after each optimizer step, bit for bit, at every length, and keeps its
parameter names (deepspeed 0.19.8, `runtime/lr_schedules.py`). Its index starts at -1, so **the first two updates have
the same rate**: step t has the index i = t - 1, and the warmup W ends at step W + 1. As there, W is at least 2.

Narrower than the library: counts are whole, and rates and ratios not negative.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import Literal

import numpy as np
from typing_extensions import override

from scheduler.fields import NonNegative, Rate, StepCount, Steps, Values
from scheduler.numerics import libm
from scheduler.numerics.pieces import STEPS, in_blocks
from scheduler.schedule import Schedule, schedule

WarmupType = Literal["log", "linear"]


class _Warmup(Schedule):
    """A warmup over the indices below W, and what follows it."""

    warmup_num_steps: int
    warmup_type: WarmupType

    @property
    def _warm(self) -> int:
        return max(2, self.warmup_num_steps)

    @property
    @override
    def warmup_field(self) -> tuple[str, int]:
        return "warmup_num_steps", self._warm

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return [1, self._warm + 1, *([self.stated_steps + 1] if self.stated_steps is not None else [])]

    def _fill(self, out: Values, start: int) -> None:
        libm.check_platform()
        for block, step in in_blocks(out, start):
            np.add(STEPS[: len(block)], step - 1, out=block)
            warm = min(max(self._warm + 1 - step, 0), len(block))
            self._gamma(block[:warm])
            self._raise(block[:warm])
            self._follow(block[warm:])
            if step == 0:
                block[0] = self._first

    def _gamma(self, block: Values) -> None:
        """The share of the warmup that is done at each index, from 0 to 1; any at index -1."""
        if self.warmup_type == "linear":
            block /= self._warm
            return
        block += 1.0
        np.maximum(block, 1.0, out=block)
        libm.log(block, block)
        block *= 1.0 / math.log(self._warm)

    @property
    @abstractmethod
    def _first(self) -> float:
        """The rate of step 0, whose index is -1."""

    @abstractmethod
    def _raise(self, block: Values) -> None:
        """Turn shares of the warmup into rates."""

    @abstractmethod
    def _follow(self, block: Values) -> None:
        """Turn indices past the warmup into rates."""


class _Between(_Warmup):
    """A warmup from one rate to another."""

    warmup_min_lr: float
    warmup_max_lr: float

    @property
    def _first(self) -> float:
        return self.warmup_min_lr

    def _raise(self, block: Values) -> None:
        block *= self.warmup_max_lr - self.warmup_min_lr
        block += self.warmup_min_lr


@schedule
class WarmupLR(_Between):
    """Warmup by the logarithm of the step, or linear, then constant.

    Args:
        warmup_max_lr: learning rate after the warmup, at least 0; the library's default is that of the optimizer.
        warmup_min_lr: learning rate of steps 0 and 1, at least 0.
        warmup_num_steps: steps of warmup, at least 1; 1 counts as 2.
        warmup_type: shape of the warmup, `log` or `linear`.

    With the index i = t - 1, W = max(2, warmup_num_steps), m and M the two rates: m + (M - m) · log(i + 1) / log(W) or
    m + (M - m) · i/W while i < W, then m + (M - m). Step 0 and step 1: m; from step W + 1 on: M but for roundings.
    With `log`, step W has M already. Source: deepspeed.runtime.lr_schedules.WarmupLR.
    """

    warmup_max_lr: Rate
    warmup_min_lr: Rate = 0.0
    warmup_num_steps: StepCount = 1000
    warmup_type: WarmupType = "log"
    _: KW_ONLY
    kind: Literal["deepspeed.WarmupLR"] = "deepspeed.WarmupLR"

    def _follow(self, block: Values) -> None:
        block.fill(self.warmup_min_lr + (self.warmup_max_lr - self.warmup_min_lr))


@schedule
class WarmupDecayLR(_Between):
    """Warmup by the logarithm of the step, or linear, then linear decay to the rate of the start.

    Args:
        total_num_steps: index at which the decay ends, at least 0.
        warmup_min_lr: learning rate of steps 0 and 1, and of the end, at least 0.
        warmup_max_lr: learning rate after the warmup, at least 0.
        warmup_num_steps: steps of warmup, at least 1; 1 counts as 2.
        warmup_type: shape of the warmup, `log` or `linear`.

    With i = t - 1, W = max(2, warmup_num_steps), T = total_num_steps, m and M the two rates: the warmup of `WarmupLR`
    while i < W, then m + (M - m) · max(0, (T - i) / max(1, T - W)).
    Step 0 and step 1: m; step W + 1: M; from step T + 1 on: m. With W > T the rate falls to m at once after the warmup.
    Source: deepspeed.runtime.lr_schedules.WarmupDecayLR.
    """

    total_num_steps: Steps
    warmup_min_lr: Rate = 0.0
    warmup_max_lr: Rate = 0.001
    warmup_num_steps: StepCount = 1000
    warmup_type: WarmupType = "log"
    _: KW_ONLY
    kind: Literal["deepspeed.WarmupDecayLR"] = "deepspeed.WarmupDecayLR"

    @property
    @override
    def stated_steps(self) -> int:
        return self.total_num_steps

    @property
    @override
    def afterwards(self) -> str:
        return f"stays at {self.warmup_min_lr:g}"

    def _follow(self, block: Values) -> None:
        np.subtract(self.total_num_steps, block, out=block)
        block /= max(1.0, self.total_num_steps - self._warm)
        np.maximum(block, 0.0, out=block)
        self._raise(block)


@schedule
class WarmupCosineLR(_Warmup):
    """Warmup by the logarithm of the step, or linear, then a cosine down to a share of the rate.

    Args:
        base_lr: learning rate of the parameter group, which the ratios multiply, at least 0.
        total_num_steps: index after which the cosine is down, at least 0.
        warmup_min_ratio: learning rate of step 1 as a share of base_lr, at least 0.
        warmup_num_steps: steps of warmup, at least 1; 1 counts as 2.
        cos_min_ratio: learning rate at the end as a share of base_lr, at least 0.
        warmup_type: shape of the warmup, `log` or `linear`.

    With i = t - 1, W = max(2, warmup_num_steps), T = total_num_steps, r and c the two ratios: base_lr · (r + (1 - r) g)
    while i < W, g = log(i + 1) / log(W) or i/W; then base_lr · (c + (1 - c) · (1 + cos(πp)) / 2),
    p = min(1, (i - W + 1) / max(1, T - W)).
    Step 0: **0**, whatever `warmup_min_ratio` is, as in the library; step 1: base_lr · r; step W + 1: already one step
    down the cosine; from step T on: base_lr · c. Source: deepspeed.runtime.lr_schedules.WarmupCosineLR.
    """

    base_lr: Rate
    total_num_steps: Steps
    warmup_min_ratio: NonNegative = 0.0
    warmup_num_steps: StepCount = 1000
    cos_min_ratio: NonNegative = 0.0001
    warmup_type: WarmupType = "log"
    _: KW_ONLY
    kind: Literal["deepspeed.WarmupCosineLR"] = "deepspeed.WarmupCosineLR"

    @property
    @override
    def stated_steps(self) -> int:
        return self.total_num_steps

    @property
    @override
    def afterwards(self) -> str:
        return f"stays at {self.base_lr * self.cos_min_ratio:g}"

    @property
    def floor_field(self) -> tuple[str, float, float]:
        """See `scheduler.messages.warnings.Falling`."""
        return "cos_min_ratio", self.base_lr * self.cos_min_ratio, self.base_lr

    @property
    def _first(self) -> float:
        return 0.0

    def _raise(self, block: Values) -> None:
        block *= 1.0 - self.warmup_min_ratio
        block += self.warmup_min_ratio
        block *= self.base_lr

    def _follow(self, block: Values) -> None:
        block -= self._warm
        block += 1.0
        block /= max(1, self.total_num_steps - self._warm)
        np.minimum(block, 1.0, out=block)
        block *= math.pi
        np.cos(block, out=block)
        block += 1.0
        block /= 2.0
        block *= 1.0 - self.cos_min_ratio
        block += self.cos_min_ratio
        np.maximum(block, 0.0, out=block)
        block *= self.base_lr
