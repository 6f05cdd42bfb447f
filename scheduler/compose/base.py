"""Composition: schedules made of schedules, each a pure function of its own clock.

Our building blocks, in portable arithmetic: where the parts are portable, so is the whole. Parts are any kinds, nested
up to `MAX_DEPTH` deep.

A composite drives every column that a part drives. What it does to time (`Sequence`, `Splice`, `Shift`, `PerEpoch`,
`Cycle`) it does to all columns. What it does to values (`Scale`, `Clamp`, the amplitude of a `Cycle`, `Product`, `Sum`,
`Minimum`, `Maximum`) it does to the learning rate alone: momentum and the like stay as the part has them.

A part that is over is held, by one rule for all composites. Most kinds say themselves what comes after their end, our
own always do. A library's schedule that raises there or climbs back (`Schedule.over`) keeps the rate of the step
before, the last one that a training of its length applies; a part that starts from "previous" then starts from that.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from scheduler.fields import MAX_STEP, Steps
from scheduler.messages.warnings import PlacedWarning
from scheduler.registry import AnySchedule
from scheduler.schedule import Schedule

MAX_DEPTH = 16
"""Levels of composition; more is a mistake or an attack."""

MAX_PARTS = 1000
"""Parts of one composite."""

_LONGEST = 10 * MAX_STEP  # a length inside a growing cycle: of the cycles that begin in reach, the last is not longer

if TYPE_CHECKING:
    Parts = abc.Sequence[Schedule]
    Lengths = abc.Sequence[int]
else:  # any sequence is taken, and kept as a tuple
    Parts = Annotated[tuple[AnySchedule, ...], Field(min_length=1, max_length=MAX_PARTS, strict=False)]
    Lengths = Annotated[tuple[Steps, ...], Field(max_length=MAX_PARTS, strict=False)]


def check_length(length: int, factor: int, *, most: int = _LONGEST) -> None:
    """Refuse to scale a length of a growing cycle that far."""
    if abs(length) * factor > most:
        raise ValueError(
            f"lengths inside a growing cycle must not be far above its own: {length} would grow by {factor}, "
            f"to more than {most}"
        )


def value_at(part: Schedule, step: int, column: str = "lr") -> float:
    """A column's value at one step of a part, held from its end on."""
    value = np.empty(1)
    part.fill_held(value, step, column=column)
    return float(value[0])


class Composite(Schedule):
    """Base of the composites: checks their parts and merges the parts' columns."""

    @property
    @override
    def column_names(self) -> tuple[str, ...]:
        return self._column_names

    @cached_property
    def _column_names(self) -> tuple[str, ...]:
        """The columns of the parts, in the order in which they are first written."""
        return tuple(dict.fromkeys(name for part in self.members for name in part.column_names))

    def _check_parts(self, *, fed: bool = False) -> None:
        """Refuse parts that cannot stand here. Where they are `fed`, they may start from the value before them."""
        for part in self.members:
            if not fed and part.needs_previous:
                raise ValueError(f'"previous" has no meaning in this place of {self.kind}: nothing goes before')
        if self.depth > MAX_DEPTH:
            raise ValueError(f"schedules must be nested at most {MAX_DEPTH} deep, got {self.depth}")

    def _cut_off(self, begin: int, last: Schedule, steps: int) -> Iterator[PlacedWarning]:
        """Warn where the last part, which begins at step `begin`, is never reached.

        A training that ends at that very step is warned of only where the last part states a number of steps.
        """
        if steps < begin or (steps == begin and last.stated_steps):
            yield PlacedWarning(
                "short",
                f"the last part of this {self.kind} begins at step {begin} and is never reached in {steps} steps",
            )


class Wrapper(Composite):
    """Base of the composites of one schedule."""

    _place: ClassVar[str] = "schedule"  # its name in warnings

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
    def check_time_scaled(self, factor: int) -> None:
        self.schedule.check_time_scaled(factor)

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.schedule.stated_steps

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        return (warning.within(self._place) for warning in self.schedule.placed_warnings(self._share(steps), part=True))

    def _share(self, steps: int) -> int:
        """Number of steps of the inner schedule within the first `steps` steps of this one."""
        return steps

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        return self.schedule.boundaries(total_steps)
