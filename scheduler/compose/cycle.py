"""A schedule again and again: `Cycle`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from scheduler.compose.base import Wrapper, check_length
from scheduler.fields import MAX_STEP, Decay, Rate, StepCount, Values, coerce_int
from scheduler.messages.warnings import PlacedWarning, of_length
from scheduler.numerics import portable
from scheduler.numerics.double_double import whole_power
from scheduler.numerics.pieces import BLOCK, ENDLESS, Fill, in_blocks, piecewise
from scheduler.registry import AnySchedule
from scheduler.schedule import schedule

_LISTED_CYCLES = 8  # cycles whose boundaries are listed
_CYCLES = 64  # growing ones: more than can begin within MAX_STEP


@schedule
class Cycle(Wrapper):
    """The first `length` steps of a schedule again and again, each time longer and lower if asked.

    Args:
        schedule: the schedule whose first steps are repeated.
        length: length of the first cycle in steps, at least 1.
        count: number of cycles, at least 1; by default without end.
        growth: length of a cycle as a multiple of the one before, a whole number from 1 to 10.
        amplitude: what the height above the floor is multiplied by from cycle to cycle, above 0 and at most 1.
        floor: learning rate that stays while what is above it shrinks, at least 0.
        peak: top of the first cycle, above floor; where given, cycles are scaled between the floor and a top that
            shrinks.

    Formula, in cycle i of length growth^i steps: lr(t) = amplitude^i times the schedule scaled in time by growth^i,
    on the cycle's own clock. Scaled in time means that the lengths inside are multiplied. Kinds without such lengths
    are refused, and so are lengths far beyond that of the cycle, which could not grow with it.

    With a `floor` only what is above it shrinks: lr(t) = floor + amplitude^i (schedule - floor), the schedule there as
    above. With a `peak` too it is the peak that shrinks, to top = peak amplitude^i, while the floor stays:
    lr(t) = floor + (top - floor) w, w = (schedule - floor) / (peak - floor), which is cut to 0 .. 1.

    Momentum and the like, where the schedule drives them, repeat with the cycles and do not shrink.

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
            self.schedule.check_time_scaled(self.growth**last)  # refused here rather than in the middle of a table
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
    def afterwards(self) -> str:
        return "is that of the last cycle, which goes on"

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        yield from of_length(self, steps, part=part)
        for warning in super().placed_warnings(steps):
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
    def check_time_scaled(self, factor: int) -> None:
        check_length(self.length, factor)
        # Cycle i begins at step (growth^i - 1) / (growth - 1) * length * factor: in reach, or it is the first.
        most = factor if self.growth == 1 else max(factor, MAX_STEP * self.growth // self.length)
        self.schedule.check_time_scaled(most)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        inner = self.schedule.boundaries(self.length)
        for cycle in range(self._at_most(_LISTED_CYCLES)):
            if (begin := self._begin(cycle)) >= total_steps:
                return
            yield from (begin + boundary * self.growth**cycle for boundary in inner)

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        if self.growth > 1:
            piecewise(out, start, self._pieces(column))
            return
        last = MAX_STEP if self.count is None else self.count - 1
        repeating = min(max((last + 1) * self.length - start, 0), len(out))
        self._repeat(out[:repeating], start, column)
        if repeating < len(out):
            self._fill_cycle(out[repeating:], start + repeating - last * self.length, cycle=last, column=column)

    def _repeat(self, out: Values, start: int, column: str) -> None:
        """Cycles of one length: computed once where they are short."""
        if self.length > BLOCK:
            first = start // self.length
            pieces = ((self.length, partial(self._fill_cycle, cycle=cycle, column=column)) for cycle in count(first))
            piecewise(out, start, pieces, origin=first * self.length)
            return
        row = np.empty(self.length)
        self.schedule.fill_held(row, column=column)
        if column == "lr":
            self._repeat_row(out, start, row)
        else:
            portable.repeated(out, start, row)

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
        """Position of rates between floor and peak, and its complement: 0 to 1, both exact at either end."""
        rates = np.clip(rates, self.floor, peak)
        return (rates - self.floor) / (peak - self.floor), (peak - rates) / (peak - self.floor)

    def _pieces(self, column: str) -> Iterator[tuple[int, Fill]]:
        for cycle in count():
            last = self.count is not None and cycle + 1 >= self.count
            length = ENDLESS if last else self.length * self.growth**cycle
            yield length, partial(self._fill_cycle, cycle=cycle, column=column)

    def _fill_cycle(self, out: Values, start: int, *, cycle: int, column: str) -> None:
        part = self.schedule.time_scaled(self.growth**cycle) if self.growth > 1 else self.schedule
        part.fill_held(out, start, column=column)
        if column == "lr":
            self._shrink(out, whole_power(Decimal(self.amplitude), cycle))

    def _shrink(self, rates: Values, shrunk: Decimal) -> None:
        if self.peak is None:
            rates -= self.floor
            rates *= float(shrunk)
            rates += self.floor
        else:
            top = np.array([float(Decimal(self.peak) * shrunk)])
            for block, _ in in_blocks(rates, 0):
                portable.cycles(block, 0, self.floor, top, self._shares(block, self.peak))
