"""Warmups: the rate rises from next to nothing to `base_lr`, and stays there or decays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import Literal, Self

from pydantic import model_validator
from typing_extensions import override

from scheduler.fields import PositiveRate, Rate, StepCount, Steps, Values, share_of
from scheduler.numerics import cosine, portable
from scheduler.numerics.double_double import quotient, root
from scheduler.schedule import Schedule, schedule


class _Warmup(Schedule):
    """Base of the warmups: the rate rises for `warmup_steps` steps, then something else follows."""

    base_lr: Rate
    warmup_steps: Steps

    @property
    @override
    def warmup_field(self) -> tuple[str, int]:
        return "warmup_steps", self.warmup_steps

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return (self.warmup_steps - 1, self.warmup_steps)

    def _fill(self, out: Values, start: int) -> None:
        # Position k = t + 1: the first step is already one part of the rise, the last of the warmup is base_lr.
        rising = min(max(self.warmup_steps - start, 0), len(out))
        if rising:
            self._rise(out[:rising], start + 1)
        if rising < len(out):
            self._after(out[rising:], start + rising - self.warmup_steps)

    def _rise(self, out: Values, position: int) -> None:
        raise NotImplementedError

    def _after(self, out: Values, step: int) -> None:
        """The values from `step` steps after the warmup on."""
        del step
        out.fill(self.base_lr)


@schedule
class LinearWarmup(_Warmup):
    """Linear warmup to a constant rate.

    Args:
        base_lr: learning rate at the end of the warmup and from then on, at least 0.
        warmup_steps: length of the warmup in steps; 0 for none.

    Formula: lr(t) = base_lr (t + 1) / warmup_steps for t < warmup_steps, then base_lr; t is the step, counted from 0.

    Step 0: base_lr / warmup_steps. Step warmup_steps - 1 and every later step: base_lr, exactly. It has no end. Without
    a warmup (warmup_steps 0): base_lr at every step.

    Accuracy: within 2 ULP of the formula. Source: the original `scheduler.custom`; Goyal et al., "Accurate, Large
    Minibatch SGD", 2017, use it with the first step at 0.

    Example: `LinearWarmup(1e-3, 1000).get_lr(499)` is 5e-4.
    """

    base_lr: Rate
    warmup_steps: Steps
    _: KW_ONLY
    kind: Literal["custom.LinearWarmup"] = "custom.LinearWarmup"

    def _rise(self, out: Values, position: int) -> None:
        portable.linear(out, position, 0.0, self.base_lr, self.warmup_steps)


@schedule
class ExponentialWarmup(_Warmup):
    """Exponential warmup to a constant rate: the rate grows by the same factor every step.

    Args:
        base_lr: learning rate at the end of the warmup and from then on, above 0.
        warmup_steps: length of the warmup in steps; 0 for none.
        start_lr: learning rate that the rise starts from, just before step 0, above 0 and at most base_lr.

    Formula: lr(t) = start_lr (base_lr / start_lr)^((t + 1) / warmup_steps) for t < warmup_steps, then base_lr.

    Step 0: one factor above start_lr. Step warmup_steps - 1 and every later step: base_lr, exactly. It has no end.
    Without a warmup (warmup_steps 0): base_lr at every step.

    Accuracy: within 2 ULP of the formula. Raises for start_lr > base_lr. Source: the original `scheduler.custom`.

    Example: `ExponentialWarmup(1e-3, 4, start_lr=1e-7).get_lr(1)` is 1e-5.
    """

    base_lr: PositiveRate
    warmup_steps: Steps
    start_lr: PositiveRate = 1e-7
    _: KW_ONLY
    kind: Literal["custom.ExponentialWarmup"] = "custom.ExponentialWarmup"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start_lr > self.base_lr:
            raise ValueError(f"start_lr must be <= base_lr, got {self.start_lr} > {self.base_lr}")
        return self

    def _rise(self, out: Values, position: int) -> None:
        if len(out) and position + len(out) > self.warmup_steps:  # the last value of the warmup: exactly base_lr
            out[-1] = self.base_lr
            out = out[:-1]
        ratio = root(quotient(self.base_lr, self.start_lr), self.warmup_steps)
        portable.geometric(out, position, self.start_lr, ratio, self.warmup_steps)


@schedule
class CosineWarmup(_Warmup):
    """Cosine warmup to a constant rate: slow, fast, slow.

    Args:
        base_lr: learning rate at the end of the warmup and from then on, at least 0.
        warmup_steps: length of the warmup in steps; 0 for none.

    Formula: lr(t) = base_lr (1 - cos(pi (t + 1) / warmup_steps)) / 2 for t < warmup_steps, then base_lr.

    Step 0: base_lr (pi / (2 warmup_steps))^2, about. Step warmup_steps - 1 and every later step: base_lr, exactly. It
    has no end. Without a warmup (warmup_steps 0): base_lr at every step.

    Accuracy: within 4 ULP of the formula, also where the rate is small. Source: the original `scheduler.custom`.

    Example: `CosineWarmup(1e-3, 1000).get_lr(499)` is 5e-4.
    """

    base_lr: Rate
    warmup_steps: Steps
    _: KW_ONLY
    kind: Literal["custom.CosineWarmup"] = "custom.CosineWarmup"

    def _rise(self, out: Values, position: int) -> None:
        cosine.cosine(out, position, 0.0, self.base_lr, self.warmup_steps)


@schedule
class WarmupWithDecay(_Warmup):
    """Linear warmup, then half a cosine down to `min_lr`: the usual schedule of transformers.

    Args:
        base_lr: highest learning rate, at the end of the warmup, at least 0.
        warmup_steps: length of the warmup in steps, at most total_steps; 0 for none.
        total_steps: length of warmup and decay together in steps, at least 1.
        min_lr: learning rate at the end of the decay, from 0 to base_lr.

    Formula: lr(t) = base_lr (t + 1) / warmup_steps for t < warmup_steps, then
    min_lr + (base_lr - min_lr) (1 + cos(pi p)) / 2 with p = min(1, (t - warmup_steps) / (total_steps - warmup_steps)).

    Step 0: base_lr / warmup_steps (base_lr without a warmup). Steps warmup_steps - 1 and warmup_steps: base_lr,
    exactly. Step total_steps - 1: the last step of the decay, just above min_lr. Step total_steps, its end, and past
    it: min_lr, exactly. With warmup_steps equal to total_steps nothing decays: the last step is the first at base_lr.

    `WarmupWithDecay.with_ratio` takes the warmup as a share of all steps.

    Accuracy: within 4 ULP of the formula, also in the cosine's tail near min_lr. Raises for warmup_steps > total_steps
    and for min_lr > base_lr. Source: the original `scheduler.custom`; the decay is that of Loshchilov and Hutter,
    "SGDR", 2016.

    Example: `WarmupWithDecay(5e-4, 10_000, 100_000, min_lr=1e-6).get_lr(55_000)` is 2.505e-4.
    """

    base_lr: Rate
    warmup_steps: Steps
    total_steps: StepCount
    min_lr: Rate = 0.0
    _: KW_ONLY
    kind: Literal["custom.WarmupWithDecay"] = "custom.WarmupWithDecay"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.warmup_steps > self.total_steps:
            raise ValueError(f"warmup_steps must be <= total_steps, got {self.warmup_steps} > {self.total_steps}")
        if self.min_lr > self.base_lr:
            raise ValueError(f"min_lr must be <= base_lr, got {self.min_lr} > {self.base_lr}")
        return self

    @classmethod
    def with_ratio(cls, base_lr: float, warmup_ratio: float, total_steps: int, min_lr: float = 0.0) -> Self:
        """The schedule whose warmup is a share of all steps, rounded up (see `scheduler.schedule.share_of`).

        Example: `WarmupWithDecay.with_ratio(5e-4, 0.1, 100_000)` is `WarmupWithDecay(5e-4, 10_000, 100_000)`.
        """
        return cls(base_lr, share_of(total_steps, warmup_ratio), total_steps, min_lr)

    @property
    @override
    def end(self) -> int:
        return self.total_steps

    def _rise(self, out: Values, position: int) -> None:
        portable.linear(out, position, 0.0, self.base_lr, self.warmup_steps)

    def _after(self, out: Values, step: int) -> None:
        length = self.total_steps - self.warmup_steps
        decaying = min(max(length - step, 0), len(out))
        if decaying:
            cosine.cosine(out[:decaying], step, self.base_lr, self.min_lr, length)
        out[decaying:] = self.min_lr
