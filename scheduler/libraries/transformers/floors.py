"""Twins of transformers' schedules that fall to a floor: the cosines with `min_lr`, and warmup, stable, decay."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY
from functools import partial
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from typing_extensions import override

from scheduler.fields import Duration, NonNegative, PositiveRate, Rate, Steps, Values
from scheduler.libraries import lambda_lr
from scheduler.libraries.lambda_lr import LambdaSchedule, Piece, Shape
from scheduler.libraries.transformers.kinds import (
    after_last_turn,
    initial_rate,
)
from scheduler.schedule import schedule


@schedule
class CosineWithMinLR(LambdaSchedule):
    """Linear warmup, then `num_cycles` waves of a cosine down to a floor that is not 0.

    Args:
        base_lr: learning rate of the parameter group, which the factors multiply, at least 0.
        num_warmup_steps: steps of linear warmup from 0 to base_lr; 0 for none.
        num_training_steps: steps of the whole training, its warmup included, at least 0.
        num_cycles: waves of the cosine after the warmup, at least 0; 0.5 is a single fall.
        min_lr: learning rate at the bottom of the wave, at least 0, in place of min_lr_rate.
        min_lr_rate: learning rate at the bottom of the wave as a share of base_lr, at least 0, in place of min_lr.
        lr_init: the optimizer's default rate, `optimizer.defaults["lr"]`, that min_lr is a share of, above 0; by
            default base_lr.

    base_lr · t/W while t < W, then base_lr · (f · (1 - r) + r), f the factor of `Cosine` and r the floor's share:
    `min_lr_rate`, or min_lr / lr_init. Exactly one of the two is given.
    Step 0: 0, below the floor (base_lr without warmup); step W: base_lr; step T: base_lr · r with the default
    `num_cycles`. Past T the wave goes on and **rises again**.

    `lr_init` is the optimizer's own default rate (`optimizer.defaults["lr"]`), which the library uses even for
    a parameter group that has another rate: such a group's floor is its share of `min_lr`. Default: base_lr.
    Source: `get_cosine_with_min_lr_schedule_with_warmup`.
    """

    revision: ClassVar[int] = 2  # as a part of a composite it is held once it is down

    base_lr: Rate
    num_warmup_steps: Steps
    num_training_steps: Steps
    num_cycles: NonNegative = 0.5
    min_lr: Rate | None = None
    min_lr_rate: NonNegative | None = None
    _: KW_ONLY
    lr_init: PositiveRate | None = None
    kind: Literal["transformers.cosine_with_min_lr"] = "transformers.cosine_with_min_lr"

    @property
    @override
    def over(self) -> int:
        return after_last_turn(self.num_warmup_steps, self.num_training_steps)

    @model_validator(mode="after")
    def _check(self) -> Self:
        floor_share(self)
        return self

    @property
    @override
    def afterwards(self) -> str:
        return "rises again, as the library's does"

    @property
    def floor_field(self) -> tuple[str, float, float]:
        """See `scheduler.messages.warnings.Falling`."""
        name = "min_lr" if self.min_lr_rate is None else "min_lr_rate"
        return name, self.base_lr * floor_share(self), self.base_lr

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        wave = partial(
            lambda_lr.cosine, first=first, length=last - first, num_cycles=self.num_cycles, floor=floor_share(self)
        )
        return [lambda_lr.linear_warmup(first), (first, wave), (max(first, last), wave)]


@schedule
class CosineWarmupWithMinLR(LambdaSchedule):
    """A warmup whose first update already moves, then `num_cycles` waves of a cosine down to a floor that is not 0.

    Args:
        base_lr: learning rate of the parameter group, which the factors multiply, at least 0.
        num_warmup_steps: steps of linear warmup to base_lr; 0 for none.
        num_training_steps: steps of the whole training, its warmup included, at least 0.
        num_cycles: waves of the cosine after the warmup, at least 0; 0.5 is a single fall.
        min_lr: learning rate at the bottom of the wave, at least 0, in place of min_lr_rate.
        min_lr_rate: learning rate at the bottom of the wave as a share of base_lr, at least 0, in place of min_lr.
        warmup_lr_rate: learning rate of step 0 as a share of base_lr, at least 0; by default 1 / num_warmup_steps.
        lr_init: the optimizer's default rate, `optimizer.defaults["lr"]`, that min_lr is a share of, above 0; by
            default base_lr.

    base_lr · (t + 1) / W while t < W, or with `warmup_lr_rate` w: base_lr · (w + (1 - w) · t / max(1, W - 1)).
    Then base_lr · (f · (1 - r) + r), f = 0.5 · (1 + cos(2π · num_cycles · p)), p = (t - W + 1) / max(1, T - W);
    r is `min_lr_rate`, or min_lr / lr_init. Exactly one of the two is given.
    Step 0: base_lr / W, or base_lr · w; step W - 1: base_lr; step W: already one step down the wave; step T - 1:
    base_lr · r with the default `num_cycles`. From step T on the wave **rises again**.

    `lr_init` is the optimizer's own default rate (`optimizer.defaults["lr"]`), which the library uses even for
    a parameter group that has another rate: such a group's floor is its share of `min_lr`. Default: base_lr.
    Source: `get_cosine_with_min_lr_schedule_with_warmup_lr_rate`.
    """

    revision: ClassVar[int] = 2  # as a part of a composite it is held once it is down

    base_lr: Rate
    num_warmup_steps: Steps
    num_training_steps: Steps
    num_cycles: NonNegative = 0.5
    min_lr: Rate | None = None
    min_lr_rate: NonNegative | None = None
    warmup_lr_rate: NonNegative | None = None
    _: KW_ONLY
    lr_init: PositiveRate | None = None
    kind: Literal["transformers.cosine_warmup_with_min_lr"] = "transformers.cosine_warmup_with_min_lr"

    @property
    @override
    def over(self) -> int:
        return max(self.num_warmup_steps, self.num_training_steps, 1)  # the floor is at step T - 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        floor_share(self)
        return self

    @property
    @override
    def afterwards(self) -> str:
        return "rises again, as the library's does"

    @property
    def floor_field(self) -> tuple[str, float, float]:
        """See `scheduler.messages.warnings.Falling`."""
        name = "min_lr" if self.min_lr_rate is None else "min_lr_rate"
        return name, self.base_lr * floor_share(self), self.base_lr

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        wave = partial(
            lambda_lr.cosine, first=first - 1, length=last - first, num_cycles=self.num_cycles, floor=floor_share(self)
        )
        return [(0, self._rise()), (first, wave), (max(first, last), wave)]

    def _rise(self) -> Callable[[Values], None]:
        steps, rate = self.num_warmup_steps, self.warmup_lr_rate
        if rate is None:
            return partial(lambda_lr.progress, first=-1, length=steps)
        return partial(lambda_lr.warmup_from, num_warmup_steps=steps, warmup_lr_rate=rate)


@schedule
class WarmupStableDecay(LambdaSchedule):
    """Warmup, a plateau at base_lr, decay to a floor: WSD, each slope linear, cosine or 1-sqrt.

    Args:
        base_lr: learning rate of the parameter group, in force between warmup and decay, at least 0.
        num_warmup_steps: steps of warmup from the floor to base_lr; 0 for none.
        num_decay_steps: steps of decay from base_lr to the floor, whole or not, at least 0.
        num_training_steps: steps of the whole training, at least 0, needed where num_stable_steps is not given.
        num_stable_steps: steps at base_lr between warmup and decay, whole or not, at least 0; by default what
            num_training_steps leaves.
        warmup_type: shape of the warmup, `linear`, `cosine` or `1-sqrt`.
        decay_type: shape of the decay, `linear`, `cosine` or `1-sqrt`.
        min_lr_ratio: the floor, where the warmup starts and the decay ends, as a share of base_lr, at least 0.
        num_cycles: waves of a decay of type `cosine`, at least 0; 0.5 is a single fall.

    base_lr · (f · (1 - r) + r), r = `min_lr_ratio`. In the warmup p = t / W and f is p, 0.5 · (1 - cos πp) or
    1 - √(1 - p); in the decay, of D = `num_decay_steps`, p = (t - W - S) / D and f is 1 - p,
    0.5 · (1 + cos(2π · num_cycles · p)) or 1 - √p. Between them base_lr for S = `num_stable_steps`, else T - W - D.
    Step 0: base_lr · r (base_lr without warmup); step W to step W + S: base_lr; from step W + S + D on: base_lr · r.

    Of `num_training_steps` and `num_stable_steps` at least one is given; where both are, the latter counts. Where
    T < W + D the decay begins inside, as in the library: the rate jumps down at step W.
    Source: `get_wsd_schedule`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    num_decay_steps: Duration
    num_training_steps: Steps | None = None
    num_stable_steps: Duration | None = None
    warmup_type: Shape = "linear"
    decay_type: Shape = "cosine"
    min_lr_ratio: NonNegative = 0.0
    num_cycles: NonNegative = 0.5
    _: KW_ONLY
    kind: Literal["transformers.warmup_stable_decay"] = "transformers.warmup_stable_decay"

    @model_validator(mode="after")
    def _check(self) -> Self:
        stable = self._stable_steps
        start, _ = self._decay
        if (
            self.decay_type == "1-sqrt"
            and (start - self.num_warmup_steps) - stable < 0 <= start - self.num_warmup_steps
        ):
            raise ValueError(f"num_stable_steps must not round to fewer steps, got {stable}: 1-sqrt has no root there")
        return self

    @property
    def floor_field(self) -> tuple[str, float, float]:
        """See `scheduler.messages.warnings.Falling`."""
        return "min_lr_ratio", self.base_lr * self.min_lr_ratio, self.base_lr

    @property
    def _stable_steps(self) -> float:
        """Steps between warmup and decay; negative where the decay begins inside the warmup."""
        if self.num_stable_steps is not None:
            return self.num_stable_steps
        if self.num_training_steps is not None:
            return self.num_training_steps - self.num_warmup_steps - self.num_decay_steps
        raise ValueError("num_training_steps or num_stable_steps must be given, got None for both")

    @property
    def _decay(self) -> tuple[int, int]:
        """The first step of the decay, and the first after it."""
        start = self.num_warmup_steps + self._stable_steps
        return math.ceil(start), math.ceil(start + self.num_decay_steps)

    @property
    @override
    def stated_steps(self) -> int:
        return max(self._decay[1], 0)

    @property
    @override
    def afterwards(self) -> str:
        return f"stays at {self.base_lr * self.min_lr_ratio:g}"

    def _pieces(self) -> list[Piece]:
        warm, stable, length = self.num_warmup_steps, self._stable_steps, self.num_decay_steps
        floor, (start, end) = self.min_lr_ratio, self._decay
        warmup = partial(lambda_lr.stable_warmup, length=warm, shape=self.warmup_type, floor=floor)
        shape = partial(lambda_lr.stable_decay, shape=self.decay_type, num_cycles=self.num_cycles, floor=floor)
        return [
            (0, warmup),
            (warm, lambda_lr.at_peak),
            (max(warm, start), partial(shape, warm=warm, stable=stable, length=length)),
            (max(warm, end), partial(lambda_lr.level, share=floor)),
        ]


def floor_share(twin: CosineWithMinLR | CosineWarmupWithMinLR) -> float:
    """The floor as a share of base_lr. Raises `ValueError` unless exactly one of its two fields is given."""
    match twin.min_lr, twin.min_lr_rate:
        case None, float(rate):
            return rate
        case float(min_lr), None:
            return _share(min_lr, *initial_rate(twin.base_lr, twin.lr_init))
    both = f"min_lr={twin.min_lr} and min_lr_rate={twin.min_lr_rate}"
    raise ValueError(f"exactly one of min_lr and min_lr_rate must be given, got {both}")


def _share(min_lr: float, name: str, lr_init: float) -> float:
    if lr_init <= 1e-100 * min_lr:  # 0, or so small that the rates would not stay finite
        raise ValueError(
            f"{name} must be > 1e-100 * min_lr, got {lr_init} with min_lr={min_lr}, which is divided by it"
        )
    return min_lr / lr_init
