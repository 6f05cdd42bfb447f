"""Twins that scale the rate over the first total_iters steps, and then leave it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from typing import Literal, Self

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from scheduler.builtin.stepped import Product
from scheduler.builtin.twin import steps_before
from scheduler.fields import Fraction, NonNegative, Rate, Steps, Values
from scheduler.messages.warnings import PlacedWarning
from scheduler.numerics import libm
from scheduler.schedule import schedule

_LEAST = 1e-100  # of what a rate is divided by


@schedule
class ConstantLR(Product):
    """A part of the rate for total_iters steps, then all of it.

    Args:
        base_lr: the optimizer's learning rate, in force from step total_iters on, at least 0.
        factor: share of base_lr in force before step total_iters, from 1e-100 to 1 (0 too where total_iters is 0).
        total_iters: steps for which only that share is in force, at least 0.

    Formula: lr(0) = base_lr factor; lr(total_iters) = lr(total_iters - 1) (1 / factor); else lr(t) = lr(t - 1).

    Step 0: base_lr factor. From step total_iters on: base_lr, but for three roundings. It has no end.

    Where torch has a bug, so have we: with total_iters 0 the factor is applied and never taken off again.
    Narrower than torch: with total_iters above 0 the factor is at least 1e-100. Torch divides by it at step
    total_iters, and fails there with factor 0. Source: torch.optim.lr_scheduler.ConstantLR.

    Example: `ConstantLR(0.1, factor=0.5, total_iters=40).get_lr(40)` is 0.1.
    """

    base_lr: Rate
    factor: Fraction = 1.0 / 3
    total_iters: Steps = 5
    _: KW_ONLY
    kind: Literal["torch.ConstantLR"] = "torch.ConstantLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.total_iters > 0 and self.factor < _LEAST:
            divides = f"since step total_iters={self.total_iters} divides by it"
            raise ValueError(f"factor must be >= {_LEAST}, {divides}, got {self.factor}")
        return self

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        yield from super().placed_warnings(steps, part=part)
        if self.total_iters == 0 and self.factor != 1.0:
            text = f"with total_iters 0 torch never takes the factor {self.factor} off again: the rate stays reduced"
            yield PlacedWarning("curve", text)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return (self.total_iters,)

    @override
    def write_factors(self, out: Values, clock: int) -> None:
        out.fill(1.0)
        if clock <= self.total_iters < clock + len(out):
            out[self.total_iters - clock] = 1.0 / self.factor if self.total_iters else 1.0
        if clock == 0:
            out[:1] = self.factor

    @override
    def first_rate(self, lr: float) -> float:
        return lr * self.factor

    @override
    def rate_at_milestone(self, lr: float) -> float:
        return self.base_lr * (self.factor + (self.total_iters <= 0) * (1 - self.factor))

    @override
    def is_constant_from(self, clock: int, lr: float) -> bool:
        return clock > self.total_iters

    @property
    @override
    def max_growth(self) -> float:
        return 1.0 / self.factor if self.total_iters else 1.0


@schedule
class LinearLR(Product):
    """A straight line from start_factor to end_factor of the rate in total_iters steps, then constant.

    Args:
        base_lr: the optimizer's learning rate, which the factors multiply, at least 0.
        start_factor: share of base_lr at step 0, from 1e-100 to 1.
        end_factor: share of base_lr from step total_iters on, from 0 to 1.
        total_iters: steps from start_factor to end_factor, at least 0.

    Formula, with s = start_factor and d = end_factor - start_factor: lr(0) = base_lr s;
    lr(t) = lr(t - 1) (1 + d / (total_iters s + (t - 1) d)) for t <= total_iters, then lr(t - 1).

    Step 0: base_lr start_factor. From step total_iters on: base_lr end_factor but for the roundings of total_iters
    products, which are torch's (a line down to 0 may end a little below it). It has no end. With total_iters 0 it
    stays at base_lr start_factor, as in torch.

    Narrower than torch: start_factor is at least 1e-100. Source: torch.optim.lr_scheduler.LinearLR.

    Example: `LinearLR(0.1, start_factor=0.5, total_iters=100).get_lr(0)` is 0.05.
    """

    base_lr: Rate
    start_factor: Fraction = 1.0 / 3
    end_factor: Fraction = 1.0
    total_iters: Steps = 5
    _: KW_ONLY
    kind: Literal["torch.LinearLR"] = "torch.LinearLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start_factor < _LEAST:
            raise ValueError(f"start_factor must be >= {_LEAST}, since the ramp divides by it, got {self.start_factor}")
        return self

    @property
    @override
    def warmup_field(self) -> tuple[str, int] | None:
        return ("total_iters", self.total_iters) if self.start_factor < self.end_factor else None

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.total_iters if self.start_factor > self.end_factor else None

    @property
    @override
    def afterwards(self) -> str | None:
        return "stays at 0" if self.end_factor == 0.0 else None

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return (self.total_iters,)

    @override
    def write_factors(self, out: Values, clock: int) -> None:
        ramp = max(0, min(self.total_iters + 1 - clock, len(out)))
        change = self.end_factor - self.start_factor
        first = 1 if clock == 0 else 0  # step 0 has no step before it: the recurrence may divide by 0 there
        factors = steps_before(clock, ramp)[first:-1]
        factors *= change
        factors += self.total_iters * self.start_factor
        np.divide(change, factors, out=factors)
        factors += 1.0
        out[:first] = self.start_factor
        out[first:ramp] = factors
        out[ramp:] = 1.0

    @override
    def first_rate(self, lr: float) -> float:
        return lr * self.start_factor

    @override
    def rate_at_milestone(self, lr: float) -> float:
        _check_restart(self.total_iters)
        return self.base_lr * (self.start_factor + (self.end_factor - self.start_factor) * 0 / self.total_iters)

    @override
    def is_constant_from(self, clock: int, lr: float) -> bool:
        return clock > self.total_iters

    @property
    @override
    def max_growth(self) -> float:
        return 1.0 / self.start_factor


@schedule
class PolynomialLR(Product):
    """A polynomial decay to 0 in total_iters steps.

    Args:
        base_lr: the optimizer's learning rate, in force at step 0, at least 0.
        total_iters: steps from base_lr down to 0, at least 0.
        power: exponent of the polynomial, from 0 to 1e6; 1 is a straight line.

    Formula: lr(0) = base_lr; lr(t) = lr(t - 1) ((1 - t / total_iters) / (1 - (t - 1) / total_iters))^power for
    t <= total_iters, then lr(t - 1).

    Step 0: base_lr. From step total_iters on: 0, exactly (base_lr with power 0). It has no end. With total_iters 0 it
    stays at base_lr, as in torch.

    Raises for a negative power, with which torch divides by zero at step total_iters.
    Source: torch.optim.lr_scheduler.PolynomialLR.

    Example: `PolynomialLR(0.1, total_iters=50, power=0.9).get_lr(50)` is 0.
    """

    base_lr: Rate
    total_iters: Steps = 5
    power: NonNegative = 1.0
    _: KW_ONLY
    kind: Literal["torch.PolynomialLR"] = "torch.PolynomialLR"

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.total_iters if self.power > 0.0 else None

    @property
    @override
    def afterwards(self) -> str:
        return "stays at 0"

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return (self.total_iters,)

    @override
    def write_factors(self, out: Values, clock: int) -> None:
        if clock == self.total_iters == 0:
            raise ValueError("total_iters must be >= 1 here, where torch divides by it at step 0, got 0")
        ramp = max(0, min(self.total_iters + 1 - clock, len(out)))
        if ramp:
            left = steps_before(clock, ramp)
            left /= self.total_iters
            np.subtract(1.0, left, out=left)
            np.divide(left[1:], left[:-1], out=out[:ramp])
            if self.power != 1.0:
                libm.power(out[:ramp], self.power, out=out[:ramp])
        out[ramp:] = 1.0

    @override
    def rate_at_milestone(self, lr: float) -> float:
        _check_restart(self.total_iters)
        return self.base_lr

    @override
    def is_constant_from(self, clock: int, lr: float) -> bool:
        return clock > self.total_iters


def _check_restart(total_iters: int) -> None:
    if total_iters == 0:
        raise ValueError("total_iters must be >= 1 in a later member, where torch divides by it, got 0")
