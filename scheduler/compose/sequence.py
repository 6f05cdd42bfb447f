"""Schedules one after another: `Sequence`, and `Splice`, which cuts into a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from functools import partial
from itertools import accumulate, pairwise
from typing import Literal, Self

from pydantic import model_validator
from typing_extensions import override

from scheduler.compose.base import Composite, Lengths, Parts, check_length, value_at
from scheduler.fields import Steps, Values
from scheduler.messages.warnings import PlacedWarning, cut_warmup, of_length
from scheduler.numerics.pieces import ENDLESS, Fill, piecewise
from scheduler.numerics.rates import MAX_RATE
from scheduler.registry import AnySchedule
from scheduler.schedule import Schedule, schedule
from scheduler.table_format import rate_out_of_range

Piece = tuple[Schedule, int]
"""A part, and how many steps it has."""


@schedule
class Sequence(Composite):
    """Schedules one after another, each on its own clock from 0.

    Args:
        schedules: the schedules in order, 1 to 1,000, each on its own clock from 0.
        lengths: number of steps of each schedule, at least 0; without the last length the last schedule never ends.

    Formula: lr(t) = schedules[i](t - lengths[0] - ... - lengths[i - 1]) in part i. There is a length for every
    schedule, or for every one but the last, which then goes on for ever.

    Step 0: the first schedule's step 0. The first step of each part: that part's step 0. Past the end, where every part
    has a length: the last part goes on, on its own clock.

    A part that starts from "previous" (a `Ramp`, a `Constant`, or a `Sequence` that begins with one) takes the value
    that the part before would have had at its end. A part of 0 steps never runs: what follows takes the value from the
    last part that does, and where none has run yet, that of step 0 of the part before it.

    Momentum and the like are those of the parts that drive them. A part that does not leaves the last value as it is,
    as an optimizer does; before the first part that does, that part's first value holds.

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
        if self._has_every_length and not any(self.lengths):
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
    def check_time_scaled(self, factor: int) -> None:
        for length in self.lengths:
            check_length(length, factor)
        for part in self.schedules:
            part.check_time_scaled(factor)

    @property
    def _has_every_length(self) -> bool:
        """Whether the last part has a length, too."""
        return len(self.lengths) == len(self.schedules)

    @property
    @override
    def end(self) -> int | None:
        if self._has_every_length:
            return sum(self.lengths)
        last = self.schedules[-1].end
        return None if last is None else sum(self.lengths) + last

    @property
    @override
    def stated_steps(self) -> int | None:
        return self.end or _after(sum(self.lengths), self.schedules[-1])

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        begins = [*accumulate(self.lengths[: len(self.schedules) - 1], initial=0)]
        if self._has_every_length:
            yield from of_length(self, steps, part=part)
        else:
            yield from self._cut_off(begins[-1], self.schedules[-1], steps)
        for number, (begin, end) in enumerate(pairwise([*begins, max(steps, begins[-1])])):
            if begin < min(end, steps):
                for warning in self._of_part(number, min(end, steps) - begin, steps):
                    yield warning.within(f"schedules[{number}], from step {begin} on")

    def _of_part(self, number: int, share: int, steps: int) -> Iterator[PlacedWarning]:
        """The warnings of a part, and one where the next part begins before its warmup has finished."""
        given, following = self.schedules[number], self.schedules[number + 1 : number + 2]
        composite_warns = self._has_every_length and steps < sum(self.lengths)
        for warning in given.placed_warnings(share, part=True):
            if warning.about != "short" or not (following or composite_warns):
                yield warning
        if following and not following[0].needs_previous and steps > share:
            yield from cut_warmup(given, share)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        lengths = (*self.lengths[: len(self.schedules) - 1], total_steps)
        for begin, part, length in zip(accumulate(lengths, initial=0), self.schedules, lengths, strict=False):
            if begin >= total_steps:
                return
            yield from (begin + boundary for boundary in part.boundaries(min(total_steps - begin, length)))

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        if column == "lr":
            piecewise(out, start, ((length, part.fill_held) for part, length in self.fed_parts()))
        else:
            piecewise(out, start, _pieces_of(column, self._pieces()))

    def _pieces(self) -> list[Piece]:
        lengths = (*self.lengths[: len(self.schedules) - 1], ENDLESS)
        return list(zip(self.schedules, lengths, strict=True))

    def fed_parts(self) -> Iterator[Piece]:
        """The parts with their lengths, each "previous" replaced once its part is reached; the last is endless."""
        before: Piece | None = None
        for part, length in self._pieces():
            given = part.after(rate_at(*before)) if before and part.needs_previous else part
            yield given, length
            if length or not (before and before[1]):  # a part that never runs hides none that has
                before = given, length


@schedule
class Splice(Composite):
    """A schedule until step `at`, then another on its own clock: "cool down now", an extended run.

    Args:
        schedule: the schedule before the cut.
        at: step of the cut, the first one of the tail, at least 0.
        tail: the schedule from the cut on, on its own clock from 0.

    Formula: lr(t) = schedule(t) for t < at, then tail(t - at). A tail that starts from "previous" starts from
    schedule(at), the value that would have come next.

    Step 0: the schedule's. Step at: the tail's step 0. It ends with the tail.

    Momentum and the like are cut alike. Where the tail does not drive them, the last value, that of step at - 1, is
    held; where the tail alone does, its first value holds before.

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
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        begun = steps > self.at
        if not begun:
            yield from self._cut_off(self.at, self.tail, steps)
        for warning in self.schedule.placed_warnings(min(self.at, steps), part=True) if self.at else ():
            if warning.about != "short":  # cutting it off is what this is for
                yield warning.within("schedule")
        if begun:
            for warning in self.tail.placed_warnings(steps - self.at, part=True):
                yield warning.within(f"tail, from step {self.at} on")

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        yield from self.schedule.boundaries(max(min(self.at, total_steps), 1))
        yield self.at
        yield from (self.at + boundary for boundary in self.tail.boundaries(max(total_steps - self.at, 1)))

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        if column == "lr":
            piecewise(out, start, [(self.at, self.schedule.fill_held), (ENDLESS, self._fill_tail)])
        else:
            piecewise(out, start, _pieces_of(column, [(self.schedule, self.at), (self.tail, ENDLESS)]))

    def _fill_tail(self, out: Values, start: int) -> None:
        tail = self.tail.after(rate_at(self.schedule, self.at)) if self.tail.needs_previous else self.tail
        tail.fill_held(out, start)


def _pieces_of(column: str, parts: list[Piece]) -> Iterator[tuple[int, Fill]]:
    """A column beside the rate: that of the parts that drive it, and held elsewhere.

    It is held at its last value, as an optimizer keeps it; before any part has driven it, at the first value to come.
    """
    driving = [(part, length) for part, length in parts if column in part.column_names]
    source = next((part for part, length in driving if length), driving[0][0]), 0
    for part, length in parts:
        if column not in part.column_names:
            yield length, partial(_hold, *source, column)
        else:
            yield length, partial(part.fill_held, column=column)
            if length:  # a part that never runs leaves nothing behind
                source = part, length - 1


def _hold(part: Schedule, step: int, column: str, out: Values, position: int) -> None:
    del position
    out.fill(value_at(part, step, column))


def _after(begin: int, part: Schedule) -> int | None:
    """Number of steps that a composite is made for if its last part begins at step `begin`."""
    return None if part.stated_steps is None else begin + part.stated_steps


def rate_at(part: Schedule, step: int) -> float:
    """The rate that "previous" stands for, after `step` steps of the part before.

    A library's own rounding may give a value a little below 0, where no schedule can start: it counts as 0. Raises
    `TableError` for a value out of the range of rates, as a table does.
    """
    value = value_at(part, step)
    if not abs(value) <= MAX_RATE:
        raise rate_out_of_range(part.kind, value, step)
    return max(value, 0.0)
