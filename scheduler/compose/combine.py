"""Schedules combined step by step: products, sums, minima, maxima."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY
from heapq import merge
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from scheduler.compose.base import Composite, Parts
from scheduler.fields import Values
from scheduler.messages.warnings import PlacedWarning
from scheduler.numerics.pieces import BLOCK, in_blocks
from scheduler.schedule import Schedule, schedule


def _lower(left: Values, right: Values, *, out: Values) -> None:
    """The lower values; of 0.0 and -0.0 the right one: which one NumPy's minimum takes depends on the processor."""
    np.copyto(out, np.where(right <= left, right, left))


def _higher(left: Values, right: Values, *, out: Values) -> None:
    """The higher values; of 0.0 and -0.0 the right one, as `_lower`."""
    np.copyto(out, np.where(right >= left, right, left))


class _Algebra(Composite):
    """Base of Product, Sum, Minimum and Maximum: combines the parts' rates from left to right."""

    _operation: ClassVar[Callable[..., object]]
    _carries_on: ClassVar[bool] = False  # whether one part's going level leaves the others their say
    schedules: Parts

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_parts()
        for column in self.column_names[1:]:
            self._check_driver(column)
        return self

    def _check_driver(self, column: str) -> None:
        """Refuse several parts that drive a column beside the rate."""
        driving = [f"schedules[{i}]" for i, part in enumerate(self.schedules) if column in part.column_names]
        if len(driving) > 1:
            raise ValueError(
                f"only rates are combined by {self.kind}: {column} must be driven by one of its parts at most, "
                f"got {' and '.join(driving)}"
            )

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
    def check_time_scaled(self, factor: int) -> None:
        for part in self.schedules:
            part.check_time_scaled(factor)

    @property
    @override
    def stated_steps(self) -> int | None:
        stated = [part.stated_steps for part in self.schedules]
        return max((steps for steps in stated if steps is not None), default=None)

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        for number, given in enumerate(self.schedules):
            for warning in given.placed_warnings(steps, part=True):
                if warning.about != "level" or not self._carries_on:
                    yield warning.within(f"schedules[{number}]")

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        return merge(*(part.boundaries(total_steps) for part in self.schedules))

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        if column != "lr":
            driving = next(part for part in self.schedules if column in part.column_names)
            driving.fill_held(out, start, column=column)
            return
        other = np.empty(min(len(out), BLOCK))
        for block, step in in_blocks(out, start):
            self.schedules[0].fill_held(block, step)
            for part in self.schedules[1:]:
                part.fill_held(other[: len(block)], step)
                self._operation(block, other[: len(block)], out=block)


@schedule
class Product(_Algebra):
    """Schedules multiplied: a curve times multipliers, such as a warmup factor.

    Args:
        schedules: the schedules to multiply with each other, 1 to 1,000.

    Formula: lr(t) = schedules[0](t) schedules[1](t) ..., from left to right. Step 0 and every boundary: the product of
    the parts there. It ends with the last of its parts.

    Momentum and the like are those of the one part that drives them. Raises where several do.

    Source: composer's lists of schedulers; big_vision's warmup and cooldown factors.
    """

    _operation: ClassVar[Callable[..., object]] = np.multiply
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Product"] = "Product"


@schedule
class Sum(_Algebra):
    """Schedules added.

    Args:
        schedules: the schedules to add to each other, 1 to 1,000.

    Formula: lr(t) = schedules[0](t) + schedules[1](t) + ..., from left to right. Step 0 and every boundary: the sum of
    the parts there. It ends with the last of its parts.

    Momentum and the like are those of the one part that drives them. Raises where several do.

    Source: the algebra of schedules.
    """

    _operation: ClassVar[Callable[..., object]] = np.add
    _carries_on: ClassVar[bool] = True
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Sum"] = "Sum"


@schedule
class Minimum(_Algebra):
    """The lowest of several schedules at each step.

    Args:
        schedules: the schedules of which the lowest rate is taken at every step, 1 to 1,000.

    Formula: lr(t) = min(schedules[0](t), schedules[1](t), ...). Step 0 and every boundary: the lowest of the parts
    there. It ends with the last of its parts.

    Momentum and the like are those of the one part that drives them. Raises where several do.

    Source: Noam, min(t^-1/2, t W^-3/2); Megatron's and big_vision's cooldowns.
    """

    _operation: ClassVar[Callable[..., object]] = staticmethod(_lower)
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Minimum"] = "Minimum"


@schedule
class Maximum(_Algebra):
    """The highest of several schedules at each step.

    Args:
        schedules: the schedules of which the highest rate is taken at every step, 1 to 1,000.

    Formula: lr(t) = max(schedules[0](t), schedules[1](t), ...). Step 0 and every boundary: the highest of the parts
    there. It ends with the last of its parts.

    Momentum and the like are those of the one part that drives them. Raises where several do.

    Source: floors such as gpt-neox's max(lr, min_lr).
    """

    _operation: ClassVar[Callable[..., object]] = staticmethod(_higher)
    _carries_on: ClassVar[bool] = True
    schedules: Parts
    _: KW_ONLY
    kind: Literal["Maximum"] = "Maximum"


def _latest_end(parts: Iterable[Schedule]) -> int | None:
    """The step at which the last of several schedules ends; None where one never does."""
    ends = [part.end for part in parts]
    return None if None in ends else max(end for end in ends if end is not None)
