"""Twins of transformers' `get_scheduler`: every name whose rates are known beforehand.

Each matches the real scheduler (a torch `LambdaLR`), stepped, bit for bit, at every length, and keeps the parameter
names and defaults of the library's function (transformers 5.23.0, `optimization.py`). `base_lr` stands for the rate of
the parameter group, which the library reads from the optimizer. As there, warmups start from a rate of 0 (but for
`CosineWarmupWithMinLR`), and nothing ends: past `num_training_steps` the formula goes on, so that a cosine rises again.
As a part of one of our composites, which the library does not have, a cosine that is down is held (`Schedule.over`).

In the formulas t is the step, W `num_warmup_steps`, T `num_training_steps`. Narrower than the library: W and T are
whole, and counts, rates, ratios, powers and numbers of waves are not negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY
from functools import partial
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from typing_extensions import override

from scheduler.fields import NonNegative, PositiveDuration, PositiveRate, Rate, Steps
from scheduler.libraries import lambda_lr
from scheduler.libraries.lambda_lr import LambdaSchedule, Piece
from scheduler.schedule import schedule

_LISTED_WAVES = 16  # waves whose first step is listed


@schedule
class Constant(LambdaSchedule):
    """The group's own rate at every step, for ever.

    Args:
        base_lr: learning rate of the parameter group, at least 0.

    base_lr · 1. Step 0 and every other: base_lr. Source: `get_constant_schedule`.
    """

    base_lr: Rate
    _: KW_ONLY
    kind: Literal["transformers.constant"] = "transformers.constant"

    def _pieces(self) -> list[Piece]:
        return [(0, lambda_lr.at_peak)]


@schedule
class ConstantWithWarmup(LambdaSchedule):
    """Linear warmup, then constant.

    Args:
        base_lr: learning rate of the parameter group, in force after the warmup, at least 0.
        num_warmup_steps: steps of linear warmup from 0 to base_lr; 0 for none.

    base_lr · t/W while t < W, then base_lr. Step 0: 0 (base_lr without warmup); from step W on: base_lr.
    Source: `get_constant_schedule_with_warmup`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    _: KW_ONLY
    kind: Literal["transformers.constant_with_warmup"] = "transformers.constant_with_warmup"

    def _pieces(self) -> list[Piece]:
        return [lambda_lr.linear_warmup(self.num_warmup_steps), (self.num_warmup_steps, lambda_lr.at_peak)]


@schedule
class Linear(LambdaSchedule):
    """Linear warmup, then linear decay to 0: Trainer's default.

    Args:
        base_lr: learning rate of the parameter group, which the factors multiply, at least 0.
        num_warmup_steps: steps of linear warmup from 0 to base_lr; 0 for none.
        num_training_steps: steps of the whole training, its warmup included, at least 0.

    base_lr · t/W while t < W, then base_lr · max(0, (T - t) / max(1, T - W)).
    Step 0: 0 (base_lr without warmup); step W: base_lr; step T - 1: base_lr / (T - W); from step T on: 0.
    A warmup as long as the training (W >= T) is legal, as in the library: the rate falls to 0 at once after it.
    Source: `get_linear_schedule_with_warmup`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    num_training_steps: Steps
    _: KW_ONLY
    kind: Literal["transformers.linear"] = "transformers.linear"

    @property
    @override
    def afterwards(self) -> str:
        return "stays at 0"

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        return [
            lambda_lr.linear_warmup(first),
            (first, partial(lambda_lr.linear, last=last, length=last - first)),
            (max(first, last), lambda_lr.at_zero),
        ]


@schedule
class Cosine(LambdaSchedule):
    """Linear warmup, then `num_cycles` waves of a cosine: the default half wave falls to 0.

    Args:
        base_lr: learning rate of the parameter group, which the factors multiply, at least 0.
        num_warmup_steps: steps of linear warmup from 0 to base_lr; 0 for none.
        num_training_steps: steps of the whole training, its warmup included, at least 0.
        num_cycles: waves of the cosine after the warmup, at least 0; 0.5 is a single fall.

    base_lr · t/W while t < W, then base_lr · 0.5 · (1 + cos(2π · num_cycles · p)), p = (t - W) / max(1, T - W).
    Step 0: 0 (base_lr without warmup); step W: base_lr; step T: 0 with the default `num_cycles`. Past T the wave goes
    on and **rises again**. With W >= T every step past W is a whole half wave: the rate jumps between base_lr and 0.
    Source: `get_cosine_schedule_with_warmup`.
    """

    revision: ClassVar[int] = 2  # as a part of a composite it is held once it is down

    base_lr: Rate
    num_warmup_steps: Steps
    num_training_steps: Steps
    num_cycles: NonNegative = 0.5
    _: KW_ONLY
    kind: Literal["transformers.cosine"] = "transformers.cosine"

    @property
    @override
    def over(self) -> int:
        return after_last_turn(self.num_warmup_steps, self.num_training_steps)

    @property
    @override
    def afterwards(self) -> str:
        return "rises again, as the library's does"

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        wave = partial(lambda_lr.cosine, first=first, length=last - first, num_cycles=self.num_cycles)
        return [lambda_lr.linear_warmup(first), (first, wave), (max(first, last), wave)]


@schedule
class CosineWithRestarts(LambdaSchedule):
    """Linear warmup, then `num_cycles` half waves of a cosine, each from base_lr towards 0.

    Args:
        base_lr: learning rate of the parameter group, which the factors multiply, at least 0.
        num_warmup_steps: steps of linear warmup from 0 to base_lr; 0 for none.
        num_training_steps: steps of the whole training, its warmup included, at least 0.
        num_cycles: falls from base_lr to 0 after the warmup, at least 0.

    base_lr · t/W while t < W, then base_lr · 0.5 · (1 + cos(π · (num_cycles · p mod 1))), p = (t - W) / max(1, T - W).
    Step 0: 0 (base_lr without warmup); step W and each restart (where num_cycles · p is whole): base_lr; from step T on
    (where W < T): 0.
    Source: `get_cosine_with_hard_restarts_schedule_with_warmup`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    num_training_steps: Steps
    num_cycles: NonNegative = 1.0
    _: KW_ONLY
    kind: Literal["transformers.cosine_with_restarts"] = "transformers.cosine_with_restarts"

    @property
    @override
    def afterwards(self) -> str:
        return "stays at 0"

    def _pieces(self) -> list[Piece]:
        first, length = self.num_warmup_steps, max(1, self.num_training_steps - self.num_warmup_steps)
        waves = partial(lambda_lr.restarts, first=first, length=length, num_cycles=self.num_cycles)
        return [lambda_lr.linear_warmup(first), (first, waves), (first + length, lambda_lr.at_zero)]

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        first, length = self.num_warmup_steps, max(1, self.num_training_steps - self.num_warmup_steps)
        listed = range(1, min(math.ceil(self.num_cycles), _LISTED_WAVES))
        restarts = (first + math.ceil(wave * length / self.num_cycles) for wave in listed)
        return [*super().inner_boundaries(total_steps), *restarts]


@schedule
class Polynomial(LambdaSchedule):
    """Linear warmup, then a polynomial decay to `lr_end`.

    Args:
        base_lr: learning rate of the parameter group, which the factors multiply, at least 0.
        num_warmup_steps: steps of linear warmup from 0 to base_lr; 0 for none.
        num_training_steps: steps of the whole training, its warmup included, at least 0.
        lr_end: learning rate at the end of the decay, at least 0, below base_lr (below lr_init where that is given).
        power: exponent of the decay, from 0 to 1e6; 1 is a straight line.
        lr_init: the optimizer's default rate, `optimizer.defaults["lr"]`, that lr_end is a share of, above 0; by
            default base_lr.

    base_lr · t/W while t < W, then base_lr · ((lr_init - lr_end) · (1 - (t - W) / (T - W))^power + lr_end) / lr_init.
    Step 0: 0 (base_lr without warmup); step W: base_lr; from step T on: base_lr · lr_end / lr_init, that is `lr_end`.
    With W > T the rate falls to the end's at once after the warmup.

    `lr_init` is the optimizer's own default rate (`optimizer.defaults["lr"]`), which the library uses even for
    a parameter group that has another rate: such a group ends at its share of `lr_end`. Default: base_lr.
    Refused: `lr_end` not below that rate, as the library does; W = T, where it divides by zero at step T.
    Source: `get_polynomial_decay_schedule_with_warmup`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    num_training_steps: Steps
    lr_end: Rate = 1e-7
    power: NonNegative = 1.0
    _: KW_ONLY
    lr_init: PositiveRate | None = None
    kind: Literal["transformers.polynomial"] = "transformers.polynomial"

    @model_validator(mode="after")
    def _check(self) -> Self:
        name, lr_init = initial_rate(self.base_lr, self.lr_init)
        if self.lr_end >= lr_init:
            raise ValueError(f"lr_end must be < {name}, got {self.lr_end} >= {lr_init}")
        if self.num_training_steps == self.num_warmup_steps:
            raise ValueError(f"num_training_steps must not equal num_warmup_steps, got {self.num_training_steps} twice")
        return self

    @property
    @override
    def afterwards(self) -> str:
        return f"stays at {self.base_lr * self.lr_end / initial_rate(self.base_lr, self.lr_init)[1]:g}"

    def _pieces(self) -> list[Piece]:
        first, length = self.num_warmup_steps, self.num_training_steps - self.num_warmup_steps
        lr_end, (_, lr_init) = self.lr_end, initial_rate(self.base_lr, self.lr_init)
        decay = partial(
            lambda_lr.polynomial, first=first, length=length, power=self.power, lr_init=lr_init, lr_end=lr_end
        )
        end = partial(lambda_lr.level, share=lr_end / lr_init)
        return [lambda_lr.linear_warmup(first), (first, decay), (max(first, self.num_training_steps + 1), end)]


@schedule
class InverseSqrt(LambdaSchedule):
    """Linear warmup, then a decay by the inverse square root of the step, without an end.

    Args:
        base_lr: learning rate of the parameter group, which the factors multiply, at least 0.
        num_warmup_steps: steps of linear warmup from 0 to base_lr; 0 for none.
        timescale: steps after the warmup until the rate is base_lr / √2, whole or not, at least 0.001; by default
            num_warmup_steps, or 10,000 without a warmup.

    base_lr · t/W while t < W, then base_lr / √((t + timescale - W) / timescale).
    Step 0: 0 (base_lr without warmup); step W: base_lr; step W + 3 · timescale: base_lr / 2; never 0.
    `timescale` is W where it is not given, and 10,000 where W is 0.
    Source: `get_inverse_sqrt_schedule`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    timescale: PositiveDuration | None = None
    _: KW_ONLY
    kind: Literal["transformers.inverse_sqrt"] = "transformers.inverse_sqrt"

    def _pieces(self) -> list[Piece]:
        first = self.num_warmup_steps
        timescale = self.timescale or first or 10_000
        return [
            lambda_lr.linear_warmup(first),
            (first, partial(lambda_lr.inverse_sqrt, shift=timescale - first, timescale=timescale)),
        ]


def after_last_turn(num_warmup_steps: int, num_training_steps: int) -> int:
    """The step after T, at which the wave has done its turns, and after W, where that comes later."""
    return max(num_warmup_steps, num_training_steps) + 1


def initial_rate(base_lr: float, lr_init: float | None) -> tuple[str, float]:
    """The rate that the library reads from `optimizer.defaults`, and the field that gives it here."""
    return ("base_lr", base_lr) if lr_init is None else ("lr_init", lr_init)
