"""Cycles: the rate rises and falls, once or again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from decimal import Decimal
from functools import partial
from itertools import count, islice, repeat
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from scheduler.fields import Decay, Factor, Fraction, Rate, StepCount, Values, coerce_int
from scheduler.numerics import cosine, portable
from scheduler.numerics.pieces import BLOCK, ENDLESS, Fill, in_blocks, piecewise
from scheduler.schedule import Schedule, schedule

_LONG = 2 * BLOCK  # steps: a cycle longer than this is computed where it lies, a shorter one once
_LISTED_CYCLES = 8  # cycles whose boundaries are listed


def _triangle(size: int, low: float, high: float) -> list[tuple[int, Fill]]:
    """The two pieces of a triangular cycle of 2 * size steps."""
    return [
        (size, partial(portable.linear, start=low, stop=high, length=size)),
        (size, partial(portable.linear, start=high, stop=low, length=size)),
    ]


def _row(pieces: list[tuple[int, Fill]]) -> Values:
    """One cycle's values."""
    row = np.empty(sum(length for length, _ in pieces))
    piecewise(row, 0, pieces)
    return row


def _forever(pieces: list[tuple[int, Fill]]) -> Fill:
    """The same cycle again and again."""
    period = sum(length for length, _ in pieces)
    if period <= _LONG:
        return partial(portable.repeated, row=_row(pieces))

    def fill(out: Values, start: int) -> None:
        again = (piece for cycle in repeat(pieces) for piece in cycle)
        piecewise(out, start, again, origin=start - start % period)

    return fill


@schedule
class CyclicLR(Schedule):
    """Triangular cycles between `base_lr` and `max_lr`, step_size up and step_size down, for ever.

    Args:
        base_lr: lowest learning rate, at the start of every cycle, at least 0.
        max_lr: highest learning rate, in the middle of the first cycle, at least base_lr.
        step_size: steps from base_lr up to max_lr, half a cycle, at least 1.
        mode: `triangular` (equal cycles), `triangular2` (halved every cycle) or `exp_range` (shrinking every step).
        gamma: what `exp_range` multiplies the amplitude by at every step, above 0 and at most 1.

    Formula, with cycle = floor(1 + t / (2 step_size)) and x = |t / step_size - 2 cycle + 1|:
    lr(t) = base_lr + (max_lr - base_lr) max(0, 1 - x) s, where s is 1 (`triangular`), 1 / 2^(cycle - 1) (`triangular2`:
    the amplitude halves every cycle) or gamma^t (`exp_range`).

    Step 0 and every 2 step_size steps: base_lr. Step step_size: max_lr (with `exp_range`, less by gamma^step_size). It
    has no end. Unlike torch's CyclicLR it leaves momentum alone.

    Accuracy: within 4 ULP of the formula. Raises for max_lr < base_lr. Source: Smith, "Cyclical Learning Rates for
    Training Neural Networks", 2017, as in the original `scheduler.custom`.

    Example: `CyclicLR(1e-4, 1e-1, 2000, mode="triangular2").get_lr(2000)` is 0.1.
    """

    base_lr: Rate
    max_lr: Rate
    step_size: StepCount
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: Decay = 0.99994
    _: KW_ONLY
    kind: Literal["custom.CyclicLR"] = "custom.CyclicLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_lr < self.base_lr:
            raise ValueError(f"max_lr must be >= base_lr, got {self.max_lr} < {self.base_lr}")
        return self

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        return range(0, min(total_steps, 2 * _LISTED_CYCLES * self.step_size), self.step_size)

    def _fill(self, out: Values, start: int) -> None:
        if self.mode == "triangular":
            _forever(_triangle(self.step_size, self.base_lr, self.max_lr))(out, start)
        elif self.mode == "triangular2":
            self._fill_halving(out, start)
        else:
            self._fill_decaying(out, start)

    def _fill_halving(self, out: Values, start: int) -> None:
        period = 2 * self.step_size
        first = start // period
        tops = self._tops(first, (start + len(out)) // period + 1)
        if period <= _LONG:
            row = (_row(_triangle(self.step_size, 0.0, 1.0)), _row(_triangle(self.step_size, 1.0, 0.0)))
            portable.cycles(out, start, self.base_lr, tops, row)
        else:
            pieces = (piece for top in tops.tolist() for piece in _triangle(self.step_size, self.base_lr, top))
            piecewise(out, start, pieces, origin=first * period)

    def _tops(self, first: int, stop: int) -> Values:
        """The highest rates of cycles first, first + 1, ..., stop - 1, counted from 0."""
        halvings = np.minimum(np.arange(first, stop), 2000)  # nothing is left of the amplitude long before
        return np.where(halvings == 0, self.max_lr, self.base_lr + np.ldexp(self.max_lr - self.base_lr, -halvings))

    def _fill_decaying(self, out: Values, start: int) -> None:
        portable.geometric(out, start, self.max_lr - self.base_lr, Decimal(self.gamma))
        triangle = _forever(_triangle(self.step_size, 0.0, 1.0))
        shape = np.empty(min(BLOCK, len(out)))
        for block, step in in_blocks(out, start):
            triangle(shape[: len(block)], step)
            block *= shape[: len(block)]
            block += self.base_lr


@schedule
class OneCycleLR(Schedule):
    """One cycle: a linear rise to `max_lr`, then a cosine or linear fall to far below the start.

    Args:
        max_lr: highest learning rate, at the end of the rise, at least 0.
        total_steps: length of the cycle in steps, at least 1.
        pct_start: share of total_steps in which the rate rises, from 0 to 1.
        div_factor: max_lr divided by the learning rate of step 0, at least 1.
        final_div_factor: max_lr divided by the learning rate at the end, at least 1.
        anneal_strategy: shape of the fall, `cos` or `linear`; the rise is always linear.

    Formula, with up = int(total_steps pct_start), floor = max_lr / final_div_factor and
    p = (t - up) / (total_steps - up): lr(t) = max_lr / div_factor + (max_lr - max_lr / div_factor) t / up for t < up,
    then floor + (max_lr - floor) (1 + cos(pi p)) / 2, or max_lr + (floor - max_lr) p with `linear`.

    Step 0: max_lr / div_factor (max_lr where up is 0). Step up: max_lr, exactly. Step total_steps - 1: the last step of
    the fall, just above floor. Step total_steps, its end, and past it: floor, exactly.

    It differs from torch's OneCycleLR: the fall ends at max_lr / final_div_factor, not at
    max_lr / (div_factor final_div_factor); it is reached at step total_steps, not total_steps - 1; the rise is linear,
    not a cosine, and ends at int(total_steps pct_start), not one step earlier at a fractional step; momentum is left
    alone.

    Accuracy: within 4 ULP of the formula. Source: Smith and Topin, "Super-Convergence", 2017, as in the user's
    `scheduler.custom`.

    Example: `OneCycleLR(0.1, total_steps=1000).get_lr(300)` is 0.1.
    """

    max_lr: Rate
    total_steps: StepCount
    pct_start: Fraction = 0.3
    div_factor: Factor = 25.0
    final_div_factor: Factor = 1e4
    anneal_strategy: Literal["cos", "linear"] = "cos"
    _: KW_ONLY
    kind: Literal["custom.OneCycleLR"] = "custom.OneCycleLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("div_factor", "final_div_factor"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        return self

    @property
    @override
    def end(self) -> int:
        return self.total_steps

    @property
    def _up(self) -> int:
        return int(self.total_steps * self.pct_start)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return (self._up,)

    def _fill(self, out: Values, start: int) -> None:
        piecewise(out, start, self._pieces())

    def _pieces(self) -> Iterator[tuple[int, Fill]]:
        up, floor = self._up, self.max_lr / self.final_div_factor
        down = self.total_steps - up
        anneal = cosine.cosine if self.anneal_strategy == "cos" else portable.linear
        yield up, partial(portable.linear, start=self.max_lr / self.div_factor, stop=self.max_lr, length=up)
        yield down, partial(anneal, start=self.max_lr, stop=floor, length=down)
        yield ENDLESS, lambda out, position: out.fill(floor)


@schedule
class CosineAnnealingWarmRestarts(Schedule):
    """SGDR: half cosines from `max_lr` down to `min_lr`, restarted at `max_lr`, each cycle `t_mult` times as long.

    Args:
        max_lr: learning rate at the start of every cycle, at least 0.
        min_lr: learning rate that every cycle falls towards, from 0 to max_lr.
        t_0: length of the first cycle in steps, at least 1.
        t_mult: length of a cycle as a multiple of the one before, a whole number from 1 to 100.

    Formula, in cycle i of t_i = t_0 t_mult^i steps, t_cur steps after its start:
    lr(t) = min_lr + (max_lr - min_lr) (1 + cos(pi t_cur / t_i)) / 2.

    Step 0 and the first step of each cycle: max_lr, exactly. The last step of a cycle: just above min_lr, which is
    never quite reached. It has no end.

    Accuracy: within 4 ULP of the formula, also near min_lr. Raises for min_lr > max_lr. Source: Loshchilov and Hutter,
    "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016, as in the original `scheduler.custom`.

    Example: `CosineAnnealingWarmRestarts(0.1, 1e-5, t_0=100).get_lr(300)` is 0.1: the third cycle begins.
    """

    max_lr: Rate
    min_lr: Rate
    t_0: StepCount
    t_mult: Annotated[int, Field(ge=1, le=100), BeforeValidator(coerce_int)] = 2
    _: KW_ONLY
    kind: Literal["custom.CosineAnnealingWarmRestarts"] = "custom.CosineAnnealingWarmRestarts"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_lr > self.max_lr:
            raise ValueError(f"min_lr must be <= max_lr, got {self.min_lr} > {self.max_lr}")
        return self

    def _lengths(self) -> Iterator[int]:
        return (self.t_0 * self.t_mult**cycle for cycle in count())

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        restart = 0
        for length in islice(self._lengths(), _LISTED_CYCLES):
            restart += length
            if restart < total_steps:
                yield from (restart - 1, restart)

    def _fill(self, out: Values, start: int) -> None:
        if self.t_mult == 1:
            _forever([self._cycle(self.t_0)])(out, start)
        else:
            piecewise(out, start, map(self._cycle, self._lengths()))

    def _cycle(self, length: int) -> tuple[int, Fill]:
        return length, partial(cosine.cosine, start=self.max_lr, stop=self.min_lr, length=length)


@schedule
class ExponentialCyclicLR(Schedule):
    """Cycles that rise and fall exponentially between `base_lr` and a top that decays from cycle to cycle.

    Args:
        base_lr: learning rate at the start of every cycle, at least 0.
        max_lr: highest learning rate of the first cycle, at least base_lr.
        cycle_length: length of a cycle in steps, at least 1.
        decay_rate: what the highest rate is multiplied by from cycle to cycle, above 0 and at most 1.

    Formula, in cycle c = t // cycle_length with top = max_lr decay_rate^c and p = (t mod cycle_length) / cycle_length:
    lr(t) = base_lr + (top - base_lr) (e^(2p) - 1) / (e - 1) for p < 1/2, else
    top - (top - base_lr) (e^(2p - 1) - 1) / (e - 1).

    Step 0 and the first step of each cycle: base_lr, exactly. Half way (where cycle_length is even): top. The rate
    stays between base_lr and top, also when top has decayed below base_lr. It has no end.

    Accuracy: within 4 ULP of the formula. Raises for max_lr < base_lr. Source: the original `scheduler.custom`.

    Example: `ExponentialCyclicLR(1e-4, 1e-2, 2000).get_lr(1000)` is 0.01.
    """

    base_lr: Rate
    max_lr: Rate
    cycle_length: StepCount
    decay_rate: Decay = 0.96
    _: KW_ONLY
    kind: Literal["custom.ExponentialCyclicLR"] = "custom.ExponentialCyclicLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_lr < self.base_lr:
            raise ValueError(f"max_lr must be >= base_lr, got {self.max_lr} < {self.base_lr}")
        return self

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        for start in range(0, min(total_steps, _LISTED_CYCLES * self.cycle_length), self.cycle_length):
            yield from (start, start + (self.cycle_length + 1) // 2)

    def _fill(self, out: Values, start: int) -> None:
        first = start // self.cycle_length
        tops = np.empty((start + len(out)) // self.cycle_length + 1 - first)
        portable.geometric(tops, first, self.max_lr, Decimal(self.decay_rate))
        if self.cycle_length <= _LONG:
            row = (_row(self._cycle(0.0, 1.0)), _row(self._cycle(1.0, 0.0)))
            portable.cycles(out, start, self.base_lr, tops, row)
        else:
            pieces = (piece for top in tops.tolist() for piece in self._cycle(self.base_lr, top))
            piecewise(out, start, pieces, origin=first * self.cycle_length)

    def _cycle(self, low: float, high: float) -> list[tuple[int, Fill]]:
        """Rise and fall; positions are in half steps of the rise, since an odd cycle's halves end between two steps."""
        length = self.cycle_length
        rise = (length + 1) // 2

        def fill(out: Values, step: int, *, start: float, stop: float, offset: int) -> None:
            portable.exponential(out, 2 * step + offset, start, stop, length, stride=2)

        return [
            (rise, partial(fill, start=low, stop=high, offset=0)),
            (length - rise, partial(fill, start=high, stop=low, offset=2 * rise - length)),
        ]
