"""Compositions of one schedule, seen otherwise: scaled, clamped, counted in epochs, shifted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from scheduler.compose.base import Wrapper, check_length, value_at
from scheduler.fields import MAX_STEP, Rate, StepCount, Values, coerce_int
from scheduler.messages.warnings import PlacedWarning
from scheduler.numerics.pieces import BLOCK
from scheduler.numerics.rates import MAX_RATE
from scheduler.registry import AnySchedule
from scheduler.schedule import schedule

Clock = Annotated[int, Field(ge=-(10**8), le=10**8), BeforeValidator(coerce_int)]


@schedule
class Scale(Wrapper):
    """A schedule times a number: another peak, a layer's share, the linear scaling rule.

    Args:
        schedule: the schedule to scale.
        factor: what its learning rate is multiplied by, at least 0.

    Formula: lr(t) = factor schedule(t). Step 0 and every boundary: factor times the schedule there. It ends with it.
    Momentum and the like, where the schedule drives them, stay as they are.

    Source: Goyal et al., 2017 (batch size over 256); layer-wise decay.
    """

    schedule: AnySchedule
    factor: Rate
    _: KW_ONLY
    kind: Literal["Scale"] = "Scale"

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        self.schedule.fill_held(out, start, column=column)
        if column == "lr":
            out *= self.factor


@schedule
class Clamp(Wrapper):
    """A schedule kept between a floor and a ceiling.

    Args:
        schedule: the schedule to limit.
        low: lowest learning rate, from 0 to high.
        high: highest learning rate, from low to 1e12.

    Formula: lr(t) = min(max(schedule(t), low), high). Step 0 and every boundary: the schedule there, or the limit it
    exceeds. It ends with it. Momentum and the like, where the schedule drives them, are not limited. Raises for
    low > high.

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
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        return (warning for warning in super().placed_warnings(steps) if warning.about != "level" or self.low == 0.0)

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        self.schedule.fill_held(out, start, column=column)
        if column == "lr":
            np.clip(out, self.low, self.high, out=out)


@schedule
class PerEpoch(Wrapper):
    """A schedule that counts epochs, on the axis of steps: each of its values lasts an epoch.

    Args:
        schedule: the schedule that counts epochs in place of steps.
        steps_per_epoch: optimizer steps in an epoch, at least 1.

    Formula: lr(t) = schedule(floor(t / steps_per_epoch)), and so every other column that the schedule drives.

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
    def check_time_scaled(self, factor: int) -> None:
        check_length(self.steps_per_epoch, factor)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        return (
            epoch * self.steps_per_epoch for epoch in self.schedule.boundaries(-(-total_steps // self.steps_per_epoch))
        )

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        if self.steps_per_epoch == 1:
            self.schedule.fill_held(out, start, column=column)
            return
        first, stop = start // self.steps_per_epoch, (start + len(out) - 1) // self.steps_per_epoch + 1
        values = np.empty(min(stop - first, BLOCK))
        for epoch in range(first, stop, BLOCK):
            self.schedule.fill_held(values[: stop - epoch], epoch, column=column)
            begin = max(epoch * self.steps_per_epoch, start)
            end = min((epoch + BLOCK) * self.steps_per_epoch, start + len(out))
            for step in range(begin, end, BLOCK):
                block = out[step - start : min(step + BLOCK, end) - start]
                steps = np.arange(step, step + len(block))
                np.take(values, steps // self.steps_per_epoch - epoch, out=block)


@schedule
class Shift(Wrapper):
    """A schedule begun later, or begun in its middle.

    Args:
        schedule: the schedule to begin earlier or later.
        offset: steps of the schedule to skip, from -1e8 to 1e8; below 0: steps for which its first value is held
            longer.

    Formula: lr(t) = schedule(max(0, t + offset)), and so every other column that the schedule drives.

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
    def check_time_scaled(self, factor: int) -> None:
        check_length(self.offset, factor, most=MAX_STEP)
        self.schedule.check_time_scaled(factor)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        return (boundary - self.offset for boundary in self.schedule.boundaries(max(total_steps + self.offset, 1)))

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        waiting = min(max(-self.offset - start, 0), len(out))
        if waiting:
            out[:waiting] = value_at(self.schedule, 0, column)
        if waiting < len(out):
            self.schedule.fill_held(out[waiting:], start + waiting + self.offset, column=column)
