"""Composition: schedules made of schedules, each a pure function of its own clock.

Our building blocks, in portable arithmetic: where the parts are portable, so is the whole. Parts are any kinds, nested
up to `MAX_DEPTH` deep. A composite drives the learning rate alone: a part that also drives momentum is refused.

A part that is over is held, by one rule for all composites. Most kinds say themselves what comes after their end, our
own always do. A library's schedule that raises there or climbs back (`Schedule.over`) keeps the rate of the step
before, the last one that a training of its length applies; a part that starts from "previous" then starts from that.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from decimal import Decimal
from functools import partial
from heapq import merge
from itertools import accumulate, count, pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from scheduler.numerics import portable, shapes
from scheduler.numerics.rates import MAX_RATE
from scheduler.schedule import (
    MAX_STEP,
    Decay,
    Rate,
    Schedule,
    StepCount,
    Steps,
    Values,
    coerce_float,
    coerce_int,
    rate_out_of_range,
    schedule,
)
from scheduler.warnings import PlacedWarning, cut_warmup, of_length

if TYPE_CHECKING:
    from scheduler.registry import AnySchedule

MAX_DEPTH = 16
"""Levels of composition; more is a mistake or an attack."""
MAX_PARTS = 1000
"""Parts of one composite."""
_JOINTS = 8  # cycles whose joints are listed
_LONGEST = 10 * MAX_STEP  # a length inside a growing cycle: of the cycles that begin in reach, the last is not longer
_CYCLES = 64  # growing ones: more than can begin within MAX_STEP

if TYPE_CHECKING:
    Parts = abc.Sequence[Schedule]
    Lengths = abc.Sequence[int]
else:  # any sequence is taken, and kept as a tuple
    Parts = Annotated["tuple[AnySchedule, ...]", Field(min_length=1, max_length=MAX_PARTS, strict=False)]
    Lengths = Annotated[tuple[Steps, ...], Field(max_length=MAX_PARTS, strict=False)]
Clock = Annotated[int, Field(ge=-(10**8), le=10**8), BeforeValidator(coerce_int)]


def _given(rate: float | Literal["previous"]) -> float:
    """The rate, where it is a number."""
    if rate == "previous":
        raise ValueError('a schedule that starts from "previous" has no values of its own: nothing goes before it')
    return rate


def _check_length(length: int, factor: int, *, most: int = _LONGEST) -> None:
    """Refuse to stretch a length of a growing cycle that far."""
    if abs(length) * factor > most:
        raise ValueError(
            f"lengths inside a growing cycle must not be far above its own: {length} would grow by {factor}, "
            f"to more than {most}"
        )


class _Composite(Schedule):
    """What the composites share: parts that keep the rules."""

    def _check_parts(self, *, fed: bool = False) -> None:
        """Refuse parts that cannot be part of this; where they are `fed` they may start from a value before them."""
        for part in self.members:
            if not fed and part.needs_previous:
                raise ValueError(f'"previous" has no meaning in this place of {self.kind}: nothing goes before')
            if part.column_names != ("lr",):
                others = ", ".join(part.column_names[1:])
                raise ValueError(
                    f"a part of {self.kind} must drive lr alone, got {part.kind}, which also drives {others}"
                )
        if self.depth > MAX_DEPTH:
            raise ValueError(f"schedules must be nested at most {MAX_DEPTH} deep, got {self.depth}")

    def _cut_off(self, begin: int, last: Schedule, steps: int) -> Iterator[PlacedWarning]:
        """What there is to say where the last part, which begins at this step, is never reached.

        A training that ends at that very step has left out a part that is made for some steps, not one that only holds.
        """
        if steps < begin or (steps == begin and last.stated_steps):
            yield PlacedWarning(
                "short",
                f"the last part of this {self.kind} begins at step {begin} and is never reached in {steps} steps",
            )


def _after(begin: int, part: Schedule) -> int | None:
    """The steps that a composite is made for whose last part begins at this step."""
    return None if part.stated_steps is None else begin + part.stated_steps


def _latest_end(parts: Iterable[Schedule]) -> int | None:
    """The step at which the last of several schedules ends; None where one never does."""
    ends = [part.end for part in parts]
    return None if None in ends else max(end for end in ends if end is not None)


@schedule
class Constant(Schedule):
    """One rate for ever.

    Formula: lr(t) = value. Step 0 and every other step: value, exactly. It has no end.

    `value` may be "previous": the value at the cut, as the tail of a `Splice` or a later part of a `Sequence`.

    Source: optax `constant_schedule`.
    """

    value: Rate | Literal["previous"]
    _: KW_ONLY
    kind: Literal["Constant"] = "Constant"

    @property
    @override
    def needs_previous(self) -> bool:
        return self.value == "previous"

    @override
    def after(self, previous: float) -> Self:
        return self._remade(value=previous) if self.needs_previous else self

    @override
    def time_scaled(self, factor: int) -> Self:
        del factor
        return self

    @override
    def check_stretch(self, factor: int) -> None:
        del factor

    def _fill(self, out: Values, start: int) -> None:
        del start
        out.fill(_given(self.value))


@schedule
class Ramp(Schedule):
    """From `start` to `stop` over `length` steps, in one of eleven shapes; then `stop`.

    Formula: lr(t) = stop + (start - stop) S(t / length) for t < length, then stop. For the shapes S see
    `scheduler.numerics.shapes`; `power` is the exponent of `polynomial` and `power`, `rate` that of `exponential`
    (> 0 falls fast first), `low` and `high` the arguments of `tanh` at both ends.

    Step 0: start, exactly (stop where length is 0). Step length and past it: stop, exactly. It has no end: it holds.

    `start` may be "previous": the value at the cut, as the tail of a `Splice` or a later part of a `Sequence`. Raises
    where a shape cannot be had: `geometric` needs start and stop above 0, `inverse_sqrt` start > stop > 0, and both a
    number to start from.

    Accuracy: within 4 ULP of the formula, 8 for `log` and for a `power` that is no multiple of 1/2, 2 `power` where it
    is above 4 and 4 `power` where it is above 32. Source: the warmup and decay shapes of the literature and the
    libraries (linear to zero; cosine; 1-sqrt, Haegele et al. 2024; REX, Chen et al. 2021; tanh, Hsueh et al. 2019; log,
    DeepSpeed's warmup).

    Example: `Ramp(0.0, 1e-3, 1000).get_lr(500)` is 5e-4.
    """

    start: Rate | Literal["previous"]
    stop: Rate
    length: Steps
    shape: shapes.Shape = "linear"
    _: KW_ONLY
    power: Annotated[float, Field(gt=0.0, le=100.0), BeforeValidator(coerce_float)] = 2.0
    rate: Annotated[float, Field(ge=1e-3, le=100.0), BeforeValidator(coerce_float)] = 5.0
    low: Annotated[float, Field(ge=-15.0, le=15.0), BeforeValidator(coerce_float)] = -7.0
    high: Annotated[float, Field(ge=-15.0, le=15.0), BeforeValidator(coerce_float)] = 3.0
    kind: Literal["Ramp"] = "Ramp"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.high - self.low < 1e-9:  # where tanh is a straight line
            raise ValueError(f"low must be at least 1e-9 below high, got {self.low} and {self.high}")
        if self.start == "previous":
            if self.shape in ("geometric", "inverse_sqrt"):  # the value before may be 0, which these cannot start from
                raise ValueError(f'start must be a number for the shape {self.shape}, got "previous"')
            return self
        if self.shape == "geometric" and min(self.start, self.stop) < 1e-100:
            raise ValueError(f"a geometric ramp needs start and stop above 0, got {self.start} and {self.stop}")
        if self.shape == "inverse_sqrt" and not self.start > self.stop >= 1e-100:
            raise ValueError(f"an inverse_sqrt ramp needs start > stop > 0, got {self.start} and {self.stop}")
        return self

    @property
    @override
    def needs_previous(self) -> bool:
        return self.start == "previous"

    @override
    def after(self, previous: float) -> Self:
        return self._remade(start=previous) if self.needs_previous else self

    @override
    def time_scaled(self, factor: int) -> Self:
        return self._remade(length=self.length * factor)

    @override
    def check_stretch(self, factor: int) -> None:
        _check_length(self.length, factor)

    @property
    @override
    def stated_steps(self) -> int:
        return self.length

    @property
    @override
    def _rising_steps(self) -> int:
        return self.length if self.start != "previous" and self.start < self.stop else 0

    @property
    @override
    def _afterwards(self) -> str | None:
        return "stays at 0" if self.stop == 0.0 and self.start != 0.0 else None

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return (self.length,)

    def _fill(self, out: Values, start: int) -> None:
        ramping = min(max(self.length - start, 0), len(out))
        first_rate = _given(self.start)
        out[ramping:] = self.stop
        if ramping:  # past its length a curve may be undefined
            self._curve(out[:ramping], start, first_rate)

    def _curve(self, out: Values, first: int, start: float) -> None:
        ends = (start, self.stop, self.length)
        match self.shape:
            case "linear":
                portable.linear(out, first, *ends)
            case "cosine":
                portable.cosine(out, first, *ends)
            case "exponential":
                portable.exponential(out, first, *ends, rate=-self.rate)
            case "geometric":
                ratio = portable.root(portable.quotient(self.stop, start), self.length)
                portable.geometric(out, first, start, ratio, self.length)
            case "inverse_sqrt":
                shapes.inverse_sqrt(out, first, *ends)
            case "tanh":
                portable.logistic(out, first, *ends, low=self.low, high=self.high)
            case _:
                shapes.blend(out, first, *ends, self._shape())

    def _shape(self) -> shapes.Curve:
        match self.shape:
            case "1-sqrt":
                return shapes.rising_power(self.length, 0.5)
            case "rex":
                return shapes.rex(self.length)
            case "polynomial":
                return shapes.polynomial(self.length, self.power)
            case "power":
                return shapes.rising_power(self.length, self.power)
        return shapes.logarithm(self.length)


@schedule
class Power(Schedule):
    """A power law that never ends: inverse square root, Noam's tail, inverse time.

    Formula: lr(t) = scale (shift + t / timescale)^exponent.

    Step 0: scale shift^exponent. It has no end.

    Accuracy: within 4 ULP for exponents that are multiples of 1/2, else 8, and 2 |exponent| below -4. Raises where
    exponent > 0 (it would grow without bound). Source: Vaswani et al., "Attention Is All You Need", 2017 (exponent
    -1/2); Shen et al., "Power Scheduler", 2024 (exponent -0.51).

    Example: `Power(1e-3, -0.5, timescale=100).get_lr(300)` is 5e-4.
    """

    scale: Rate
    exponent: Annotated[float, Field(ge=-32.0, le=0.0), BeforeValidator(coerce_float)]
    timescale: Annotated[float, Field(ge=1e-6, le=1e12), BeforeValidator(coerce_float)] = 1.0
    shift: Annotated[float, Field(ge=1e-3, le=1e6), BeforeValidator(coerce_float)] = 1.0
    _: KW_ONLY
    kind: Literal["Power"] = "Power"

    def _fill(self, out: Values, start: int) -> None:
        law = portable.Law(
            lambda step: shapes.power(self.shift + step / self.timescale, self.exponent),
            pole=-self.shift * self.timescale,
            exponent=self.exponent,
        )
        portable.power_law(out, start, 0.0, self.scale, law)


@schedule
class Sequence(_Composite):
    """Schedules one after another, each on its own clock from 0.

    Formula: lr(t) = schedules[i](t - lengths[0] - ... - lengths[i - 1]) in part i. There is a length for every
    schedule, or for every one but the last, which then goes on for ever.

    Step 0: the first schedule's step 0. The first step of each part: that part's step 0. Past the end, where every part
    has a length: the last part goes on, on its own clock.

    A part that starts from "previous" (a `Ramp`, a `Constant`, or a `Sequence` that begins with one) takes the value
    that the part before would have had at its end. A part of 0 steps never runs: what follows takes the value from the
    last part that does, and where none has run yet, that of step 0 of the part before it.

    Raises where every part has a length and all are 0. Source: torch's SequentialLR and optax's `join_schedules`,
    without their state.

    Example: `Sequence([LinearWarmup(1e-3, 100), Constant(1e-3), Ramp("previous", 0.0, 50)], [100, 800, 50])` is a WSD
    schedule.
    """

    schedules: Parts
    lengths: Lengths
    _: KW_ONLY
    kind: Literal["Sequence"] = "Sequence"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.schedules) - len(self.lengths) not in (0, 1):
            raise ValueError(
                f"lengths must be as many as schedules or one fewer, got {len(self.lengths)} for {len(self.schedules)}"
            )
        if len(self.lengths) == len(self.schedules) and not any(self.lengths):
            raise ValueError("lengths must not all be 0: no part would ever run")
        self._check_parts(fed=True)
        return self

    @property
    @override
    def members(self) -> tuple[Schedule, ...]:
        return tuple(self.schedules)

    @property
    @override
    def needs_previous(self) -> bool:
        return self.schedules[0].needs_previous

    @override
    def after(self, previous: float) -> Self:
        return self._remade(schedules=(self.schedules[0].after(previous), *self.schedules[1:]))

    @override
    def time_scaled(self, factor: int) -> Self:
        return self._remade(
            schedules=tuple(part.time_scaled(factor) for part in self.schedules),
            lengths=tuple(length * factor for length in self.lengths),
        )

    @override
    def check_stretch(self, factor: int) -> None:
        for length in self.lengths:
            _check_length(length, factor)
        for part in self.schedules:
            part.check_stretch(factor)

    @property
    @override
    def end(self) -> int | None:
        if len(self.lengths) == len(self.schedules):
            return sum(self.lengths)
        last = self.schedules[-1].end
        return None if last is None else sum(self.lengths) + last

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.end or _after(sum(self.lengths), self.schedules[-1])

    @override
    def _warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        begins = [*accumulate(self.lengths[: len(self.schedules) - 1], initial=0)]
        if len(self.lengths) == len(self.schedules):
            yield from of_length(self, steps, part=part)
        else:
            yield from self._cut_off(begins[-1], self.schedules[-1], steps)
        for number, (begin, end) in enumerate(pairwise([*begins, max(steps, begins[-1])])):
            if begin < min(end, steps):
                for warning in self._of_part(number, min(end, steps) - begin, steps):
                    yield warning.within(f"schedules[{number}], from step {begin} on")

    def _of_part(self, number: int, share: int, steps: int) -> Iterator[PlacedWarning]:
        """What a part has to say, and where the next one takes over before its warmup is up."""
        given, following = self.schedules[number], self.schedules[number + 1 : number + 2]
        for warning in given._warnings(share, part=True):
            if warning.about != "short" or not (following or steps < (self.end or 0)):  # else it is said of the whole
                yield warning
        if following and not following[0].needs_previous and steps > share:
            yield from cut_warmup(given, share)

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        lengths = (*self.lengths[: len(self.schedules) - 1], total_steps)
        for begin, part, length in zip(accumulate(lengths, initial=0), self.schedules, lengths, strict=False):
            if begin >= total_steps:
                return
            yield from (begin + joint for joint in part.boundaries(min(total_steps - begin, length)))

    def _fill(self, out: Values, start: int) -> None:
        portable.piecewise(out, start, self._pieces())

    def _pieces(self) -> Iterator[tuple[int, portable.Fill]]:
        """The parts with their lengths, each "previous" replaced once its part is reached."""
        before: tuple[Schedule, int] | None = None
        lengths = (*self.lengths[: len(self.schedules) - 1], 2**62)
        for part, length in zip(self.schedules, lengths, strict=True):
            given = part.after(_rate_at(*before)) if before and part.needs_previous else part
            yield length, given.fill_held
            if length or not (before and before[1]):  # a part that never runs hides none that has
                before = given, length


def _value_at(part: Schedule, step: int) -> float:
    value = np.empty(1)
    part.fill_held(value, step)
    return float(value[0])


def _rate_at(part: Schedule, step: int) -> float:
    """What a part that starts from "previous" starts from, after `step` steps of the part before it.

    A library's own rounding may be a little below 0, where no schedule can start: that counts as 0. What is beyond
    every rate is a `TableError`, as it is in a table.
    """
    value = _value_at(part, step)
    if not abs(value) <= MAX_RATE:
        raise rate_out_of_range(part, value, step)
    return max(value, 0.0)


class _Algebra(_Composite):
    """What Product, Sum, Minimum and Maximum share: the parts' values combined from left to right."""

    _operation: ClassVar[np.ufunc]
    _carries_on: ClassVar[bool] = False  # whether one part's going level leaves the others their say
    schedules: Parts

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_parts()
        return self

    @property
    @override
    def members(self) -> tuple[Schedule, ...]:
        return tuple(self.schedules)

    @property
    @override
    def end(self) -> int | None:
        return _latest_end(self.schedules)

    @override
    def time_scaled(self, factor: int) -> Self:
        return self._remade(schedules=tuple(part.time_scaled(factor) for part in self.schedules))

    @override
    def check_stretch(self, factor: int) -> None:
        for part in self.schedules:
            part.check_stretch(factor)

    @property
    @override
    def stated_steps(self) -> int | None:
        stated = [part.stated_steps for part in self.schedules]
        return max((steps for steps in stated if steps is not None), default=None)

    @override
    def _warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        for number, given in enumerate(self.schedules):
            for warning in given._warnings(steps, part=True):
                if warning.about != "level" or not self._carries_on:
                    yield warning.within(f"schedules[{number}]")

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        return merge(*(part.boundaries(total_steps) for part in self.schedules))

    def _fill(self, out: Values, start: int) -> None:
        other = np.empty(min(len(out), portable.BLOCK))
        for begin in range(0, len(out), portable.BLOCK):
            block = out[begin : begin + portable.BLOCK]
            self.schedules[0].fill_held(block, start + begin)
            for part in self.schedules[1:]:
                part.fill_held(other[: len(block)], start + begin)
                self._operation(block, other[: len(block)], out=block)


@schedule
class Product(_Algebra):
    """Schedules multiplied: a curve times multipliers, such as a warmup factor.

    Formula: lr(t) = schedules[0](t) schedules[1](t) ..., from left to right. Step 0 and every joint: the product of the
    parts there. It ends with the last of its parts.

    Source: composer's lists of schedulers; big_vision's warmup and cooldown factors.
    """

    _operation: ClassVar[np.ufunc] = np.multiply
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Product"] = "Product"


@schedule
class Sum(_Algebra):
    """Schedules added.

    Formula: lr(t) = schedules[0](t) + schedules[1](t) + ..., from left to right. Step 0 and every joint: the sum of the
    parts there. It ends with the last of its parts.

    Source: the algebra of schedules.
    """

    _operation: ClassVar[np.ufunc] = np.add
    _carries_on: ClassVar[bool] = True
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Sum"] = "Sum"


@schedule
class Minimum(_Algebra):
    """The lowest of several schedules at each step.

    Formula: lr(t) = min(schedules[0](t), schedules[1](t), ...). Step 0 and every joint: the lowest of the parts there.
    It ends with the last of its parts.

    Source: Noam, min(t^-1/2, t W^-3/2); Megatron's and big_vision's cooldowns.
    """

    _operation: ClassVar[np.ufunc] = np.minimum
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Minimum"] = "Minimum"


@schedule
class Maximum(_Algebra):
    """The highest of several schedules at each step.

    Formula: lr(t) = max(schedules[0](t), schedules[1](t), ...). Step 0 and every joint: the highest of the parts there.
    It ends with the last of its parts.

    Source: floors such as gpt-neox's max(lr, min_lr).
    """

    _operation: ClassVar[np.ufunc] = np.maximum
    _carries_on: ClassVar[bool] = True
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Maximum"] = "Maximum"


class _Wrapper(_Composite):
    """What the composites of one schedule share."""

    _place: ClassVar[str] = "schedule"  # what its caveats call it

    schedule: Schedule

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        self._check_parts()
        return self

    @property
    @override
    def members(self) -> tuple[Schedule, ...]:
        return (self.schedule,)

    @property
    @override
    def end(self) -> int | None:
        return self.schedule.end

    @override
    def time_scaled(self, factor: int) -> Self:
        return self._remade(schedule=self.schedule.time_scaled(factor))

    @override
    def check_stretch(self, factor: int) -> None:
        self.schedule.check_stretch(factor)

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.schedule.stated_steps

    @override
    def _warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        return (warning.within(self._place) for warning in self.schedule._warnings(self._share(steps), part=True))

    def _share(self, steps: int) -> int:
        """How many steps of the schedule lie in the first steps of this."""
        return steps

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        return self.schedule.boundaries(total_steps)


@schedule
class Scale(_Wrapper):
    """A schedule times a number: another peak, a layer's share, the linear scaling rule.

    Formula: lr(t) = factor schedule(t). Step 0 and every joint: factor times the schedule there. It ends with it.

    Source: Goyal et al., 2017 (batch size over 256); layer-wise decay.
    """

    schedule: AnySchedule
    factor: Rate
    _: KW_ONLY
    kind: Literal["Scale"] = "Scale"

    def _fill(self, out: Values, start: int) -> None:
        self.schedule.fill_held(out, start)
        out *= self.factor


@schedule
class Clamp(_Wrapper):
    """A schedule kept between a floor and a ceiling.

    Formula: lr(t) = min(max(schedule(t), low), high). Step 0 and every joint: the schedule there, or the limit it
    exceeds. It ends with it. Raises for low > high.

    Source: min_lr of most libraries.
    """

    schedule: AnySchedule
    low: Rate = 0.0
    high: Rate = MAX_RATE
    _: KW_ONLY
    kind: Literal["Clamp"] = "Clamp"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must be <= high, got {self.low} > {self.high}")
        return self

    @override
    def _warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        return (warning for warning in super()._warnings(steps) if warning.about != "level" or self.low == 0.0)

    def _fill(self, out: Values, start: int) -> None:
        self.schedule.fill_held(out, start)
        np.clip(out, self.low, self.high, out=out)


@schedule
class PerEpoch(_Wrapper):
    """A schedule that counts epochs, on the axis of steps: each of its values lasts an epoch.

    Formula: lr(t) = schedule(floor(t / steps_per_epoch)).

    Step 0 .. steps_per_epoch - 1: the schedule's first value. Its end is that of the schedule, in steps.

    Source: the usual `scheduler.step()` once per epoch; the guide's Pitfall 3.

    Example: `PerEpoch(torch.StepLR(0.1, 30), steps_per_epoch=391)`.
    """

    _place: ClassVar[str] = "schedule, counted in epochs"

    schedule: AnySchedule
    steps_per_epoch: StepCount
    _: KW_ONLY
    kind: Literal["PerEpoch"] = "PerEpoch"

    @property
    @override
    def end(self) -> int | None:
        epochs = self.schedule.end
        return None if epochs is None else epochs * self.steps_per_epoch

    @property
    @override
    def stated_steps(self) -> int | None:
        stated = self.schedule.stated_steps
        return None if stated is None else stated * self.steps_per_epoch

    @override
    def _share(self, steps: int) -> int:
        return -(-steps // self.steps_per_epoch)

    @override
    def time_scaled(self, factor: int) -> Self:
        return self._remade(steps_per_epoch=self.steps_per_epoch * factor)

    @override
    def check_stretch(self, factor: int) -> None:
        _check_length(self.steps_per_epoch, factor)

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        return (
            epoch * self.steps_per_epoch for epoch in self.schedule.boundaries(-(-total_steps // self.steps_per_epoch))
        )

    def _fill(self, out: Values, start: int) -> None:
        if self.steps_per_epoch == 1:
            self.schedule.fill_held(out, start)
            return
        first, stop = start // self.steps_per_epoch, (start + len(out) - 1) // self.steps_per_epoch + 1
        rates = np.empty(min(stop - first, portable.BLOCK))
        for epoch in range(first, stop, portable.BLOCK):
            self.schedule.fill_held(rates[: stop - epoch], epoch)
            begin = max(epoch * self.steps_per_epoch, start)
            end = min((epoch + portable.BLOCK) * self.steps_per_epoch, start + len(out))
            for step in range(begin, end, portable.BLOCK):
                block = out[step - start : min(step + portable.BLOCK, end) - start]
                steps = np.arange(step, step + len(block))
                np.take(rates, steps // self.steps_per_epoch - epoch, out=block)


@schedule
class Shift(_Wrapper):
    """A schedule begun later, or begun in its middle.

    Formula: lr(t) = schedule(max(0, t + offset)).

    Step 0: the schedule's step `offset`, or its first where offset < 0; that lasts -offset steps longer. It ends as the
    schedule does, `offset` steps earlier.

    Source: resumed and delayed schedules; DeepSpeed's index, which starts at -1.
    """

    schedule: AnySchedule
    offset: Clock
    _: KW_ONLY
    kind: Literal["Shift"] = "Shift"

    @property
    @override
    def end(self) -> int | None:
        end = self.schedule.end
        return None if end is None else max(end - self.offset, 1)

    @property
    @override
    def stated_steps(self) -> int | None:
        stated = self.schedule.stated_steps
        return None if stated is None else max(stated - self.offset, 1)

    @override
    def _share(self, steps: int) -> int:
        return max(steps + self.offset, 1)

    @override
    def time_scaled(self, factor: int) -> Self:
        return self._remade(schedule=self.schedule.time_scaled(factor), offset=self.offset * factor)

    @property
    @override
    def head_start(self) -> int:
        return max(self.schedule.head_start + self.offset, 0) if self.schedule.is_stepped else 0

    @override
    def check_stretch(self, factor: int) -> None:
        _check_length(self.offset, factor, most=MAX_STEP)
        self.schedule.check_stretch(factor)

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        return (joint - self.offset for joint in self.schedule.boundaries(max(total_steps + self.offset, 1)))

    def _fill(self, out: Values, start: int) -> None:
        waiting = min(max(-self.offset - start, 0), len(out))
        if waiting:
            out[:waiting] = _value_at(self.schedule, 0)
        if waiting < len(out):
            self.schedule.fill_held(out[waiting:], start + waiting + self.offset)


@schedule
class Cycle(_Wrapper):
    """The first `length` steps of a schedule again and again, each time longer and lower if asked.

    Formula, in cycle i of length growth^i steps: lr(t) = amplitude^i schedule stretched growth^i times, on the cycle's
    own clock. Stretched means that the lengths inside are multiplied; kinds without such lengths are refused, and so
    are lengths far beyond that of the cycle, which could not grow with it.

    With a `floor` only what is above it shrinks: lr(t) = floor + amplitude^i (schedule - floor), the schedule there as
    above. With a `peak` too it is the peak that shrinks, to top = peak amplitude^i, while the floor stays:
    lr(t) = floor + (top - floor) w, w = (schedule - floor) / (peak - floor), which is cut to 0 .. 1.

    Step 0 and the first step of each cycle: the schedule's step 0, shrunk so. With a `count` it ends after that many
    cycles, the last going on, on its own clock; without one it has no end. `growth` is at most 10: a longer cycle could
    not be reached. Raises for peak <= floor.

    Accuracy: that of the schedule and 4 ULP more, where it and the top are not below the floor. Source: SGDR (growth is
    T_mult); cyclic WSD; Keras' CosineDecayRestarts (amplitude is m_mul, floor is alpha times the initial rate); timm's
    CosineLRScheduler (amplitude is cycle_decay, floor is lr_min, peak is the optimizer's rate).

    Example: `Cycle(Ramp(0.1, 0.0, 100, "cosine"), 100, growth=2)` is SGDR, and
    `Cycle(Ramp(0.1, 0.01, 100, "cosine"), 100, amplitude=0.9, floor=0.01).get_lr(100)` is 0.091.
    """

    schedule: AnySchedule
    length: StepCount
    count: StepCount | None = None
    growth: Annotated[int, Field(ge=1, le=10), BeforeValidator(coerce_int)] = 1
    amplitude: Decay = 1.0
    _: KW_ONLY
    floor: Rate = 0.0
    peak: Rate | None = None
    kind: Literal["Cycle"] = "Cycle"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.peak is not None and self.peak <= self.floor:
            raise ValueError(f"peak must be > floor, got {self.peak} <= {self.floor}")
        if self.growth > 1:
            last = max(cycle for cycle in range(self._at_most(_CYCLES)) if self._begin(cycle) <= MAX_STEP)
            self.schedule.check_stretch(self.growth**last)  # refused here rather than in the middle of a table
        return self

    @property
    @override
    def end(self) -> int | None:
        return None if self.count is None else self._begin(self.count)

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.end

    @property
    @override
    def _afterwards(self) -> str:
        return "is that of the last cycle, which goes on"

    @override
    def _warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        yield from of_length(self, steps, part=part)
        for warning in super()._warnings(steps):
            if warning.about != "short" or steps < self.length:  # a cycle may end before its schedule does
                yield warning

    @override
    def _share(self, steps: int) -> int:
        return min(steps, self.length)

    def _at_most(self, cycles: int) -> int:
        """So many cycles, or fewer where there are not so many."""
        return cycles if self.count is None else min(self.count, cycles)

    def _begin(self, cycle: int) -> int:
        """The step at which a cycle begins; a step out of reach for those that are."""
        if self.growth == 1:
            return self.length * cycle
        grown: int = self.growth ** min(cycle, _CYCLES)  # not negative, as mypy cannot know
        return self.length * (grown - 1) // (self.growth - 1)

    @override
    def time_scaled(self, factor: int) -> Self:
        return self._remade(schedule=self.schedule.time_scaled(factor), length=self.length * factor)

    @override
    def check_stretch(self, factor: int) -> None:
        _check_length(self.length, factor)
        # Cycle i begins at step (growth^i - 1) / (growth - 1) * length * factor: in reach, or it is the first.
        most = factor if self.growth == 1 else max(factor, MAX_STEP * self.growth // self.length)
        self.schedule.check_stretch(most)

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        inner = self.schedule.boundaries(self.length)
        for cycle in range(self._at_most(_JOINTS)):
            if (begin := self._begin(cycle)) >= total_steps:
                return
            yield from (begin + joint * self.growth**cycle for joint in inner)

    def _fill(self, out: Values, start: int) -> None:
        if self.growth > 1:
            portable.piecewise(out, start, self._pieces())
            return
        last = MAX_STEP if self.count is None else self.count - 1
        repeating = min(max((last + 1) * self.length - start, 0), len(out))
        self._repeat(out[:repeating], start)
        if repeating < len(out):
            self._fill_cycle(out[repeating:], start + repeating - last * self.length, cycle=last)

    def _repeat(self, out: Values, start: int) -> None:
        """Cycles of one length: computed once where they are short."""
        if self.length <= portable.BLOCK:
            row = np.empty(self.length)
            self.schedule.fill_held(row)
            self._repeat_row(out, start, row)
        else:
            first = start // self.length
            pieces = ((self.length, partial(self._fill_cycle, cycle=cycle)) for cycle in count(first))
            portable.piecewise(out, start, pieces, origin=first * self.length)

    def _repeat_row(self, out: Values, start: int, row: Values) -> None:
        if self.peak is None:
            row -= self.floor
            portable.scaled(out, start, row, Decimal(self.amplitude))
            out += self.floor
        else:
            first = start // self.length
            tops = np.empty((start + len(out)) // self.length + 1 - first)
            portable.geometric(tops, first, self.peak, Decimal(self.amplitude))
            portable.cycles(out, start, self.floor, tops, self._shares(row, self.peak))

    def _shares(self, rates: Values, peak: float) -> tuple[Values, Values]:
        """How far rates lie between floor and peak, and how far is left: 0 to 1, both exact at either end."""
        rates = np.clip(rates, self.floor, peak)
        return (rates - self.floor) / (peak - self.floor), (peak - rates) / (peak - self.floor)

    def _pieces(self) -> Iterator[tuple[int, portable.Fill]]:
        for cycle in count():
            last = self.count is not None and cycle + 1 >= self.count
            yield 2**62 if last else self.length * self.growth**cycle, partial(self._fill_cycle, cycle=cycle)

    def _fill_cycle(self, out: Values, start: int, *, cycle: int) -> None:
        part = self.schedule.time_scaled(self.growth**cycle) if self.growth > 1 else self.schedule
        part.fill_held(out, start)
        shrunk = portable.whole_power(Decimal(self.amplitude), cycle)
        if self.peak is None:
            out -= self.floor
            out *= float(shrunk)
            out += self.floor
        else:
            top = np.array([float(Decimal(self.peak) * shrunk)])
            for begin in range(0, len(out), portable.BLOCK):
                block = out[begin : begin + portable.BLOCK]
                portable.cycles(block, 0, self.floor, top, self._shares(block, self.peak))


@schedule
class Splice(_Composite):
    """A schedule until step `at`, then another on its own clock: "cool down now", an extended run.

    Formula: lr(t) = schedule(t) for t < at, then tail(t - at). A tail that starts from "previous" starts from
    schedule(at), the value that would have come next.

    Step 0: the schedule's. Step at: the tail's step 0. It ends with the tail.

    Source: OLMo's `override_decay`; WSD branches.

    Example: `Splice(schedule, 60_000, Ramp("previous", 0.0, 10_000, "1-sqrt"))`.
    """

    schedule: AnySchedule
    at: Steps
    tail: AnySchedule
    _: KW_ONLY
    kind: Literal["Splice"] = "Splice"

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_parts(fed=True)
        if self.schedule.needs_previous:
            raise ValueError('the schedule of a Splice must not start from "previous": nothing goes before')
        return self

    @property
    @override
    def members(self) -> tuple[Schedule, ...]:
        return (self.schedule, self.tail)

    @property
    @override
    def end(self) -> int | None:
        end = self.tail.end
        return None if end is None else self.at + end

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.end or _after(self.at, self.tail)

    @override
    def _warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        begun = steps > self.at
        if not begun:
            yield from self._cut_off(self.at, self.tail, steps)
        for warning in self.schedule._warnings(min(self.at, steps), part=True) if self.at else ():
            if warning.about != "short":  # cutting it off is what this is for
                yield warning.within("schedule")
        if begun:
            for warning in self.tail._warnings(steps - self.at, part=True):
                yield warning.within(f"tail, from step {self.at} on")

    def _boundaries(self, total_steps: int) -> Iterable[int]:
        yield from self.schedule.boundaries(max(min(self.at, total_steps), 1))
        yield self.at
        yield from (self.at + joint for joint in self.tail.boundaries(max(total_steps - self.at, 1)))

    def _fill(self, out: Values, start: int) -> None:
        portable.piecewise(out, start, [(self.at, self.schedule.fill_held), (2**62, self._fill_tail)])

    def _fill_tail(self, out: Values, start: int) -> None:
        tail = self.tail.after(_rate_at(self.schedule, self.at)) if self.tail.needs_previous else self.tail
        tail.fill_held(out, start)
