"""Twins of transformers' `get_scheduler`: every name whose rates are known beforehand.

Each equals stepping the real scheduler (a torch `LambdaLR`) bit for bit, at every length, and keeps the parameter
names and defaults of the library's function (transformers 5.23.0, `optimization.py`). `base_lr` stands for the rate of
the parameter group, which the library reads from the optimizer. As there, warmups start from a rate of 0 (but for
`CosineWarmupWithMinLR`), and nothing ends: past `num_training_steps` the formula goes on, so that a cosine rises again.
As a part of one of our composites, which the library does not have, a cosine that is down is held (`Schedule.over`).

In the formulas t is the step, W `num_warmup_steps`, T `num_training_steps`. Narrower than the library: counts are
whole, and counts, rates, ratios, powers and numbers of waves are not negative.
"""

from __future__ import annotations

import dataclasses
import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from scheduler.numerics import libm
from scheduler.schedule import NonNegative, PositiveRate, Rate, Schedule, StepCount, Steps, Values, schedule, share_of
from scheduler.warnings import PlacedWarning

Shape = Literal["linear", "cosine", "1-sqrt"]
"""A way from 0 to 1, or back."""

Piece = tuple[int, Callable[[Values], None]]
"""The first step of a piece, and what turns a block of its steps (as floats) into shares of base_lr, in place."""

_JOINTS = 16  # waves whose first step is listed
_BLOCK = np.arange(32768.0)  # the steps of a block, from its first: a quarter of a megabyte stays in the cache
_BLOCK.flags.writeable = False


class _LambdaSchedule(Schedule):
    """base_lr · f(t), f written in pieces: what torch's LambdaLR applies."""

    base_lr: float

    @property
    @override
    def _warmup_field(self) -> tuple[str, int] | None:
        steps: int | None = getattr(self, "num_warmup_steps", None)
        return ("num_warmup_steps", steps) if steps else None

    @property
    @override
    def stated_steps(self) -> int | None:
        steps: int | None = getattr(self, "num_training_steps", None)
        return steps

    @override
    def _warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        name, warmup = self._warmup_field or ("", 0)
        if self.stated_steps is not None and self.stated_steps <= warmup < steps:
            text = f"{name}={warmup} of this {self.kind} leaves nothing of its {self.stated_steps} steps for the rest"
            yield PlacedWarning("curve", text)
        else:
            yield from super()._warnings(steps, part=part)

    @abstractmethod
    def _pieces(self) -> list[Piece]:
        """The pieces of f, the first from step 0; none begins before the one that it follows."""

    def _fill(self, out: Values, start: int) -> None:
        libm.check_platform()
        pieces, stop = self._pieces(), start + len(out)
        ends = [*(first for first, _ in pieces[1:]), stop]
        for (first, write), end in zip(pieces, ends, strict=True):
            for step in range(max(first, start), min(end, stop), len(_BLOCK)):
                block = out[step - start : min(step + len(_BLOCK), end, stop) - start]
                np.add(_BLOCK[: len(block)], step, out=block)
                write(block)
                block *= self.base_lr

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return [first for first, _ in self._pieces()]


# What the pieces are made of. Every line is one rounding of the library's own expression, in the library's order.
# Its max(0, f) is left out: where f would be negative another piece begins.


def _level(block: Values, *, share: float) -> None:
    block.fill(share)


_peak = partial(_level, share=1.0)
_nothing = partial(_level, share=0.0)


def _progress(block: Values, *, first: int, length: int) -> None:
    """p = (t - first) / length, and t - first where the length is 0 or less."""
    block -= first
    block /= max(1, length)


def _one_minus(block: Values) -> None:
    np.subtract(1.0, block, out=block)


def _cosine_fall(block: Values, *, angle: float) -> None:
    """0.5 · (1 + cos(angle · p))."""
    block *= angle
    np.cos(block, out=block)
    block += 1.0
    block *= 0.5


def _cosine_rise(block: Values) -> None:
    """0.5 · (1 - cos(π·p))."""
    block *= math.pi
    np.cos(block, out=block)
    _one_minus(block)
    block *= 0.5


def _sqrt_rise(block: Values) -> None:
    """1 - √(1 - p)."""
    _one_minus(block)
    _sqrt_fall(block)


def _sqrt_fall(block: Values) -> None:
    """1 - √p."""
    np.sqrt(block, out=block)
    _one_minus(block)


def _lift(block: Values, *, floor: float) -> None:
    """From 0..1 to floor..1."""
    block *= 1.0 - floor
    block += floor


# The pieces themselves.


def _warmup(num_warmup_steps: int) -> Piece:
    return 0, partial(_progress, first=0, length=num_warmup_steps)


def _linear(block: Values, *, last: int, length: int) -> None:
    np.subtract(last, block, out=block)
    block /= max(1, length)


def _cosine(block: Values, *, first: int, length: int, num_cycles: float, floor: float = 0.0) -> None:
    _progress(block, first=first, length=length)
    _cosine_fall(block, angle=math.pi * num_cycles * 2.0)
    _lift(block, floor=floor)


def _restarts(block: Values, *, first: int, length: int, num_cycles: float) -> None:
    _progress(block, first=first, length=length)
    block *= num_cycles
    block -= np.floor(block)  # x mod 1: exact for x >= 0, and an eighteenth of the time of np.remainder
    _cosine_fall(block, angle=math.pi)


def _polynomial(block: Values, *, first: int, length: int, power: float, lr_init: float, lr_end: float) -> None:
    _progress(block, first=first, length=length)
    _one_minus(block)
    if power != 1.0:  # which changes nothing
        libm.power(block, power, block)
    block *= lr_init - lr_end
    block += lr_end
    block /= lr_init


def _inverse_sqrt(block: Values, *, shift: int, timescale: int) -> None:
    block += shift
    block /= timescale
    np.sqrt(block, out=block)
    np.divide(1.0, block, out=block)


def _warmup_from(block: Values, *, num_warmup_steps: int, warmup_lr_rate: float) -> None:
    block *= 1.0 - warmup_lr_rate
    block /= max(1, num_warmup_steps - 1)
    block += warmup_lr_rate


def _stable_warmup(block: Values, *, length: int, shape: Shape, floor: float) -> None:
    _progress(block, first=0, length=length)
    if shape == "cosine":
        _cosine_rise(block)
    elif shape == "1-sqrt":
        _sqrt_rise(block)
    _lift(block, floor=floor)


def _stable_decay(block: Values, *, first: int, length: int, shape: Shape, num_cycles: float, floor: float) -> None:
    _progress(block, first=first, length=length)
    if shape == "cosine":
        _cosine_fall(block, angle=math.pi * num_cycles * 2.0)
    elif shape == "1-sqrt":
        _sqrt_fall(block)
    else:
        _one_minus(block)
    _lift(block, floor=floor)


@schedule
class Constant(_LambdaSchedule):
    """The group's own rate at every step, for ever.

    base_lr · 1. Step 0 and every other: base_lr. Source: `get_constant_schedule`.
    """

    base_lr: Rate
    _: KW_ONLY
    kind: Literal["transformers.constant"] = "transformers.constant"

    def _pieces(self) -> list[Piece]:
        return [(0, _peak)]


@schedule
class ConstantWithWarmup(_LambdaSchedule):
    """Linear warmup, then constant.

    base_lr · t/W while t < W, then base_lr. Step 0: 0 (base_lr without warmup); from step W on: base_lr.
    Source: `get_constant_schedule_with_warmup`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    _: KW_ONLY
    kind: Literal["transformers.constant_with_warmup"] = "transformers.constant_with_warmup"

    def _pieces(self) -> list[Piece]:
        return [_warmup(self.num_warmup_steps), (self.num_warmup_steps, _peak)]


@schedule
class Linear(_LambdaSchedule):
    """Linear warmup, then linear decay to 0: Trainer's default.

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
    def _afterwards(self) -> str:
        return "stays at 0"

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        return [_warmup(first), (first, partial(_linear, last=last, length=last - first)), (max(first, last), _nothing)]


@schedule
class Cosine(_LambdaSchedule):
    """Linear warmup, then `num_cycles` waves of a cosine: the default half wave falls to 0.

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
        return _after_step(self)

    @property
    @override
    def _afterwards(self) -> str:
        return "rises again, as the library's does"

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        wave = partial(_cosine, first=first, length=last - first, num_cycles=self.num_cycles)
        return [_warmup(first), (first, wave), (max(first, last), wave)]


@schedule
class CosineWithRestarts(_LambdaSchedule):
    """Linear warmup, then `num_cycles` half waves of a cosine, each from base_lr towards 0.

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
    def _afterwards(self) -> str:
        return "stays at 0"

    def _pieces(self) -> list[Piece]:
        first, length = self.num_warmup_steps, max(1, self.num_training_steps - self.num_warmup_steps)
        waves = partial(_restarts, first=first, length=length, num_cycles=self.num_cycles)
        return [_warmup(first), (first, waves), (first + length, _nothing)]

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        first, length = self.num_warmup_steps, max(1, self.num_training_steps - self.num_warmup_steps)
        listed = range(1, min(math.ceil(self.num_cycles), _JOINTS))
        restarts = (first + math.ceil(wave * length / self.num_cycles) for wave in listed)
        return [*super()._boundaries(total_steps), *restarts]


@schedule
class Polynomial(_LambdaSchedule):
    """Linear warmup, then a polynomial decay to `lr_end`.

    base_lr · t/W while t < W, then base_lr · ((lr_init - lr_end) · (1 - (t - W) / (T - W))^power + lr_end) / lr_init.
    Step 0: 0 (base_lr without warmup); step W: base_lr; from step T on: base_lr · lr_end / lr_init, that is `lr_end`.
    With W > T the rate falls to the end's at once after the warmup.

    `lr_init` is the optimizer's own default rate (`optimizer.defaults["lr"]`), by which the library reckons even for
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
        name, lr_init = _initial_rate(self)
        if self.lr_end >= lr_init:
            raise ValueError(f"lr_end must be < {name}, got {self.lr_end} >= {lr_init}")
        if self.num_training_steps == self.num_warmup_steps:
            raise ValueError(f"num_training_steps must not equal num_warmup_steps, got {self.num_training_steps} twice")
        return self

    @property
    @override
    def _afterwards(self) -> str:
        return f"stays at {self.base_lr * self.lr_end / _initial_rate(self)[1]:g}"

    def _pieces(self) -> list[Piece]:
        first, length = self.num_warmup_steps, self.num_training_steps - self.num_warmup_steps
        lr_end, (_, lr_init) = self.lr_end, _initial_rate(self)
        decay = partial(_polynomial, first=first, length=length, power=self.power, lr_init=lr_init, lr_end=lr_end)
        end = partial(_level, share=lr_end / lr_init)
        return [_warmup(first), (first, decay), (max(first, self.num_training_steps + 1), end)]


@schedule
class InverseSqrt(_LambdaSchedule):
    """Linear warmup, then a decay by the inverse square root of the step, without an end.

    base_lr · t/W while t < W, then base_lr / √((t + timescale - W) / timescale).
    Step 0: 0 (base_lr without warmup); step W: base_lr; step W + 3 · timescale: base_lr / 2; never 0.
    `timescale` is W where it is not given, and 10,000 where W is 0.
    Source: `get_inverse_sqrt_schedule`.
    """

    base_lr: Rate
    num_warmup_steps: Steps
    timescale: StepCount | None = None
    _: KW_ONLY
    kind: Literal["transformers.inverse_sqrt"] = "transformers.inverse_sqrt"

    def _pieces(self) -> list[Piece]:
        first = self.num_warmup_steps
        timescale = self.timescale or first or 10_000
        return [_warmup(first), (first, partial(_inverse_sqrt, shift=timescale - first, timescale=timescale))]


@schedule
class CosineWithMinLR(_LambdaSchedule):
    """Linear warmup, then `num_cycles` waves of a cosine down to a floor that is not 0.

    base_lr · t/W while t < W, then base_lr · (f · (1 - r) + r), f the factor of `Cosine` and r the floor's share:
    `min_lr_rate`, or min_lr / lr_init. Exactly one of the two is given.
    Step 0: 0, below the floor (base_lr without warmup); step W: base_lr; step T: base_lr · r with the default
    `num_cycles`. Past T the wave goes on and **rises again**.

    `lr_init` is the optimizer's own default rate (`optimizer.defaults["lr"]`), by which the library reckons even for
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
        return _after_step(self)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _floor(self)
        return self

    @property
    @override
    def _afterwards(self) -> str:
        return "rises again, as the library's does"

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        wave = partial(_cosine, first=first, length=last - first, num_cycles=self.num_cycles, floor=_floor(self))
        return [_warmup(first), (first, wave), (max(first, last), wave)]


@schedule
class CosineWarmupWithMinLR(_LambdaSchedule):
    """A warmup whose first update already moves, then `num_cycles` waves of a cosine down to a floor that is not 0.

    base_lr · (t + 1) / W while t < W, or with `warmup_lr_rate` w: base_lr · (w + (1 - w) · t / max(1, W - 1)).
    Then base_lr · (f · (1 - r) + r), f = 0.5 · (1 + cos(2π · num_cycles · p)), p = (t - W + 1) / max(1, T - W);
    r is `min_lr_rate`, or min_lr / lr_init. Exactly one of the two is given.
    Step 0: base_lr / W, or base_lr · w; step W - 1: base_lr; step W: already one step down the wave; step T - 1:
    base_lr · r with the default `num_cycles`. From step T on the wave **rises again**.

    `lr_init` is the optimizer's own default rate (`optimizer.defaults["lr"]`), by which the library reckons even for
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
        _floor(self)
        return self

    @property
    @override
    def _afterwards(self) -> str:
        return "rises again, as the library's does"

    def _pieces(self) -> list[Piece]:
        first, last = self.num_warmup_steps, self.num_training_steps
        wave = partial(_cosine, first=first - 1, length=last - first, num_cycles=self.num_cycles, floor=_floor(self))
        return [(0, self._rise()), (first, wave), (max(first, last), wave)]

    def _rise(self) -> Callable[[Values], None]:
        steps, rate = self.num_warmup_steps, self.warmup_lr_rate
        if rate is None:
            return partial(_progress, first=-1, length=steps)
        return partial(_warmup_from, num_warmup_steps=steps, warmup_lr_rate=rate)


@schedule
class WarmupStableDecay(_LambdaSchedule):
    """Warmup, a stretch at base_lr, decay to a floor: WSD, each slope linear, cosine or 1-sqrt.

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
    num_decay_steps: Steps
    num_training_steps: Steps | None = None
    num_stable_steps: Steps | None = None
    warmup_type: Shape = "linear"
    decay_type: Shape = "cosine"
    min_lr_ratio: NonNegative = 0.0
    num_cycles: NonNegative = 0.5
    _: KW_ONLY
    kind: Literal["transformers.warmup_stable_decay"] = "transformers.warmup_stable_decay"

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._decay_start()
        return self

    def _decay_start(self) -> int:
        if self.num_stable_steps is not None:
            return self.num_warmup_steps + self.num_stable_steps
        if self.num_training_steps is not None:
            return self.num_training_steps - self.num_decay_steps
        raise ValueError("num_training_steps or num_stable_steps must be given, got None for both")

    @property
    @override
    def stated_steps(self) -> int:
        return max(self._decay_start() + self.num_decay_steps, 0)

    @property
    @override
    def _afterwards(self) -> str:
        return f"stays at {self.base_lr * self.min_lr_ratio:g}"

    def _pieces(self) -> list[Piece]:
        warm, start, length = self.num_warmup_steps, self._decay_start(), self.num_decay_steps
        floor = self.min_lr_ratio
        warmup = partial(_stable_warmup, length=warm, shape=self.warmup_type, floor=floor)
        decay = partial(_stable_decay, first=start, length=length, shape=self.decay_type, floor=floor)
        return [
            (0, warmup),
            (warm, _peak),
            (max(warm, start), partial(decay, num_cycles=self.num_cycles)),
            (max(warm, start + length), partial(_level, share=floor)),
        ]


def _after_step(twin: Cosine | CosineWithMinLR) -> int:
    """The step after T, at which the wave has done its turns, and after W, where that comes later."""
    return max(twin.num_warmup_steps, twin.num_training_steps) + 1


def _initial_rate(twin: Polynomial | CosineWithMinLR | CosineWarmupWithMinLR) -> tuple[str, float]:
    """The rate that the library reads from `optimizer.defaults`, and the field that gives it here."""
    return ("base_lr", twin.base_lr) if twin.lr_init is None else ("lr_init", twin.lr_init)


def _floor(twin: CosineWithMinLR | CosineWarmupWithMinLR) -> float:
    """The floor as a share of base_lr. Raises `ValueError` unless exactly one of its two fields is given."""
    match twin.min_lr, twin.min_lr_rate:
        case None, float(rate):
            return rate
        case float(min_lr), None:
            return _share(min_lr, *_initial_rate(twin))
    both = f"min_lr={twin.min_lr} and min_lr_rate={twin.min_lr_rate}"
    raise ValueError(f"exactly one of min_lr and min_lr_rate must be given, got {both}")


def _share(min_lr: float, name: str, lr_init: float) -> float:
    if lr_init <= 1e-100 * min_lr:  # 0, or so small that the rates would not stay finite
        raise ValueError(
            f"{name} must be > 1e-100 * min_lr, got {lr_init} with min_lr={min_lr}, which is divided by it"
        )
    return min_lr / lr_init


ADAPTIVE: Mapping[str, str] = MappingProxyType(
    {
        "reduce_lr_on_plateau": "its rates follow the metrics of the training and are not known before it",
        "greedy": "its rates follow the metrics of the training and are not known before it",
    }
)
"""The names of transformers' `SchedulerType` that have no twin, and why."""

_TWINS: Mapping[str, type[Any]] = MappingProxyType(
    {
        twin.kind.removeprefix("transformers."): twin
        for twin in (
            Constant,
            ConstantWithWarmup,
            Linear,
            Cosine,
            CosineWithRestarts,
            Polynomial,
            InverseSqrt,
            CosineWithMinLR,
            CosineWarmupWithMinLR,
            WarmupStableDecay,
        )
    }
)


class TrainingArgumentsLike(Protocol):
    """What decides Trainer's schedule: transformers' `TrainingArguments`, or any object with these attributes."""

    @property
    def learning_rate(self) -> float:
        """The rate of every parameter group before scheduling."""

    @property
    def lr_scheduler_type(self) -> str:
        """A name of `SchedulerType`, such as "cosine"."""

    @property
    def lr_scheduler_kwargs(self) -> Mapping[str, Any] | str | None:
        """Further parameters of the schedule, or their JSON text."""

    @property
    def warmup_steps(self) -> float:
        """1 or more: a number of steps, its fraction cut off. Below 1: a share of all steps, rounded up."""

    @property
    def max_steps(self) -> int:
        """All steps of the training; negative where epochs decide."""


def from_training_arguments(arguments: TrainingArgumentsLike, num_training_steps: int | None = None) -> Schedule:
    """The schedule that transformers' Trainer (5.23.0) makes of its arguments.

    `num_training_steps` is needed where `max_steps` is negative: Trainer then counts the batches of its epochs.
    As in Trainer, "constant" takes no notice of `warmup_steps`, and neither "constant" nor "constant_with_warmup" of
    `lr_scheduler_kwargs`. Trainer gives every parameter group the same rate, so that one schedule serves them all.

    Raises `ValueError` naming the argument and its value: for an unknown or adaptive `lr_scheduler_type`, a parameter
    that the schedule does not take, contradicting step counts, and for the `warmup_ratio` of transformers 4.
    """
    twin = _twin(arguments.lr_scheduler_type)
    steps = _training_steps(arguments.max_steps, num_training_steps)
    known = {field.name for field in dataclasses.fields(twin) if not field.kw_only}
    counts = {"num_warmup_steps": _warmup_steps(arguments, steps), "num_training_steps": steps}
    given = {name: count for name, count in counts.items() if name in known}
    made: Schedule = twin(base_lr=arguments.learning_rate, **given, **_options(arguments, known - counts.keys()))
    return made


def _twin(name: str) -> type[Any]:
    if name in ADAPTIVE:
        raise ValueError(f"lr_scheduler_type {name!r} has no table: {ADAPTIVE[name]}")
    if name not in _TWINS:
        raise ValueError(f"lr_scheduler_type must be one of {', '.join(_TWINS)}, got {name!r}")
    return _TWINS[name]


def _training_steps(max_steps: int, num_training_steps: int | None) -> int:
    if num_training_steps is None and max_steps < 0:
        raise ValueError(f"num_training_steps must be given where max_steps is {max_steps}")
    if num_training_steps is not None and max_steps > 0 and num_training_steps != max_steps:
        raise ValueError(f"num_training_steps must equal max_steps, got {num_training_steps} != {max_steps}")
    return max_steps if num_training_steps is None else num_training_steps


def _warmup_steps(arguments: TrainingArgumentsLike, num_training_steps: int) -> int:
    warmup_steps = arguments.warmup_steps
    if ratio := getattr(arguments, "warmup_ratio", None):
        raise ValueError(f"warmup_ratio is not known to transformers 5: give it as warmup_steps, got {ratio}")
    if not 0 <= warmup_steps < math.inf:
        raise ValueError(f"warmup_steps must be >= 0 and finite, got {warmup_steps}")
    return int(warmup_steps) if warmup_steps >= 1 else share_of(num_training_steps, warmup_steps)


def _options(arguments: TrainingArgumentsLike, known: set[str]) -> dict[str, Any]:
    if arguments.lr_scheduler_type in ("constant", "constant_with_warmup"):
        return {}
    given = arguments.lr_scheduler_kwargs or {}
    options: dict[str, Any] = json.loads(given) if isinstance(given, str) else dict(given)
    if strange := sorted(options.keys() - known):
        raise ValueError(f"lr_scheduler_kwargs must be among {sorted(known - {'base_lr'})}, got {strange}")
    return options
