"""The curves that compositions are made of: a constant, a ramp in one of eleven shapes, a power law."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from scheduler.compose.base import check_length
from scheduler.fields import Rate, Steps, Values, coerce_float
from scheduler.numerics import cosine, portable, shapes
from scheduler.numerics.double_double import quotient, root
from scheduler.numerics.power_law import Law, power_law
from scheduler.schedule import Schedule, schedule


def _given(rate: float | Literal["previous"]) -> float:
    """The rate, where it is a number."""
    if rate == "previous":
        raise ValueError('a schedule that starts from "previous" has no values of its own: nothing goes before it')
    return rate


@schedule
class Constant(Schedule):
    """One rate for ever.

    Args:
        value: the learning rate, at least 0; or "previous", the value at which the schedule before this one stops.

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
    def check_time_scaled(self, factor: int) -> None:
        del factor

    def _fill(self, out: Values, start: int) -> None:
        del start
        out.fill(_given(self.value))


@schedule
class Ramp(Schedule):
    """From `start` to `stop` over `length` steps, in one of eleven shapes; then `stop`.

    Args:
        start: learning rate at step 0, at least 0; or "previous", the value at which the schedule before this one
            stops.
        stop: learning rate at step length and from then on, at least 0.
        length: steps from start to stop, at least 0.
        shape: form of the curve: `linear`, `cosine`, `1-sqrt`, `polynomial`, `power`, `exponential`, `geometric`,
            `inverse_sqrt`, `log`, `tanh` or `rex`.
        power: exponent of the shapes `polynomial` and `power`, above 0 and at most 100.
        rate: how bent the shape `exponential` is, from 0.001 to 100: the larger, the faster it falls at first.
        low: argument of tanh where the shape `tanh` starts, from -15 to 15, below high.
        high: argument of tanh where the shape `tanh` stops, from -15 to 15, above low.

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
    def check_time_scaled(self, factor: int) -> None:
        check_length(self.length, factor)

    @property
    @override
    def stated_steps(self) -> int:
        return self.length

    @property
    @override
    def rising_steps(self) -> int:
        return self.length if self.start != "previous" and self.start < self.stop else 0

    @property
    @override
    def afterwards(self) -> str | None:
        return "stays at 0" if self.stop == 0.0 and self.start != 0.0 else None

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
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
                cosine.cosine(out, first, *ends)
            case "exponential":
                portable.exponential(out, first, *ends, rate=-self.rate)
            case "geometric":
                ratio = root(quotient(self.stop, start), self.length)
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

    Args:
        scale: learning rate where shift + t / timescale is 1, at least 0.
        exponent: exponent of the power law, from -32 to 0; -0.5 is the inverse square root.
        timescale: number of steps that count as one unit of time, from 1e-6 to 1e12.
        shift: time at step 0, in units of timescale, from 0.001 to 1e6.

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
        law = Law(
            lambda step: shapes.power(self.shift + step / self.timescale, self.exponent),
            pole=-self.shift * self.timescale,
            exponent=self.exponent,
        )
        power_law(out, start, 0.0, self.scale, law)
