"""Twins that anneal along a cosine: CosineAnnealingLR step by step, the warm restarts in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY
from functools import partial
from itertools import count, repeat
from typing import Literal, Self

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from scheduler.builtin.stepped import LOOP, Affine, Moves, multiply
from scheduler.builtin.twin import ClosedForm, steps_before
from scheduler.fields import Rate, StepCount, Values
from scheduler.numerics import portable
from scheduler.numerics.pieces import BLOCK, Fill, in_blocks, overlaps, piecewise
from scheduler.schedule import schedule

_LISTED_TURNS = 16  # turns, or restarts, that are listed
_LONGEST = 10**8  # steps from the top of a cosine to its bottom
_LONG = 2 * BLOCK  # steps: a cycle longer than this is computed where it lies, a shorter one once


@schedule
class CosineAnnealingLR(Affine):
    """A cosine from base_lr to eta_min in T_max steps, and up again in the next T_max: it never stops.

    Args:
        base_lr: the optimizer's learning rate, where the cosine begins, at least 0.
        T_max: steps from base_lr down to eta_min, half a wave, from 1 to 1e8.
        eta_min: learning rate at the bottom of the wave, at least 0.

    Formula: lr(0) = base_lr; lr(t) = (1 + cos(pi t / T_max)) / (1 + cos(pi (t - 1) / T_max)) (lr(t - 1) - eta_min) +
    eta_min; but lr(t) = lr(t - 1) + (base_lr - eta_min) (1 - cos(pi / T_max)) / 2 where t - 1 - T_max is a multiple of
    2 T_max.

    Step 0: base_lr. Step T_max: eta_min, exactly. After it torch's cosine **rises again**, to base_lr at step 2 T_max
    but for roundings; that is torch's behaviour and ours. It has no end.

    Narrower than torch: T_max is at most 1e8. Above about 3e8 torch divides by zero, since 1 + cos(pi (t - 1) / T_max)
    rounds to 0 before step T_max. Source: torch.optim.lr_scheduler.CosineAnnealingLR.

    Example: `CosineAnnealingLR(0.1, T_max=100).get_lr(100)` is 0, `.get_lr(200)` is 0.1 again.
    """

    base_lr: Rate
    T_max: StepCount
    eta_min: Rate = 0.0
    _: KW_ONLY
    kind: Literal["torch.CosineAnnealingLR"] = "torch.CosineAnnealingLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.T_max > _LONGEST:
            raise ValueError(f"T_max must be <= {_LONGEST}, near which torch begins to divide by 0, got {self.T_max}")
        return self

    @property
    @override
    def stated_steps(self) -> int:
        return self.T_max

    @property
    @override
    def afterwards(self) -> str:
        return "rises again, as torch's does"

    @property
    def floor_field(self) -> tuple[str, float, float]:
        """See `scheduler.messages.warnings.Falling`."""
        return "eta_min", self.eta_min, self.base_lr

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        return range(self.T_max, min(total_steps, _LISTED_TURNS * self.T_max + 1), self.T_max)

    @override
    def write_moves(self, out: Moves, clock: int) -> None:
        turns = self._turns(clock)
        out[0], out[1], out[3] = self.eta_min, 1.0, self.eta_min
        self._ratios(out[2], clock)
        out[0, turns], out[2, turns], out[3, turns] = 0.0, 1.0, self._rise

    def _turns(self, clock: int) -> slice:
        """Indices, counted from `clock`, of the steps that add: those after the bottom of the cosine."""
        return slice((self.T_max + 1 - clock) % (2 * self.T_max), None, 2 * self.T_max)

    @property
    def _rise(self) -> float:
        """The amounts that the turning steps add."""
        return (self.base_lr - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2

    def _ratios(self, out: Values, clock: int) -> None:
        """Write the factors by which the steps multiply the distance to eta_min; the turning steps ignore theirs."""
        waves = steps_before(clock, len(out))
        waves *= math.pi
        waves /= self.T_max
        np.cos(waves, out=waves)
        waves += 1.0
        with np.errstate(divide="ignore", invalid="ignore"):  # a turn would divide by the 0 at the bottom
            np.divide(waves[1:], waves[:-1], out=out)

    @override
    def run_steps(self, out: Values, lr: float, clock: int) -> None:
        self._ratios(out, clock)
        turns = self._turns(clock)
        if self.eta_min == 0.0 and lr >= 0.0 and self._starts_anew(out, lr, turns):
            out[turns] = self._rise
            self._multiply_waves(out, lr, turns)
        else:
            out[turns] = -1.0  # no ratio is negative
            self._loop(out, lr)

    def _starts_anew(self, ratios: Values, lr: float, turns: slice) -> bool:
        """Whether the rate is 0 before every turn, so that what it is after that does not depend on it."""
        if turns.start == 0:
            bottoms = ratios[turns.step - 1 : -1 : turns.step]
            return lr == 0.0 and not bottoms.any()
        return not ratios[turns.start - 1 : -1 : turns.step].any()

    def _multiply_waves(self, out: Values, lr: float, turns: slice) -> None:
        head = min(turns.start, len(out))
        stop = head + (len(out) - head) // turns.step * turns.step
        waves = out[head:stop].reshape(-1, turns.step)
        multiply(out[:head], lr)
        np.multiply.accumulate(waves, axis=1, out=waves)
        multiply(out[stop:], 1.0)

    def _loop(self, out: Values, lr: float) -> None:
        eta_min, rise = self.eta_min, self._rise
        for begin in range(0, len(out), LOOP):
            ratios = out[begin : begin + LOOP].tolist()
            rates = [lr := (r * (lr - eta_min) + eta_min if r >= 0.0 else lr + rise) for r in ratios]
            out[begin : begin + LOOP] = rates

    @override
    def rate_at_milestone(self, lr: float) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * 0 / self.T_max)) / 2

    @property
    @override
    def max_growth(self) -> float:
        return float(self.T_max) ** 2  # from the bottom of the cosine, where it is about (pi / (2 T_max))^2, to 1


@schedule
class CosineAnnealingWarmRestarts(ClosedForm):
    """SGDR: half cosines from base_lr towards eta_min, restarted at base_lr, each cycle T_mult times as long.

    Args:
        base_lr: the optimizer's learning rate, at the start of every cycle, at least 0.
        T_0: length of the first cycle in steps, at least 1.
        T_mult: length of a cycle as a multiple of the one before, a whole number, at least 1.
        eta_min: learning rate that every cycle falls towards, at least 0.

    Formula, T_cur steps after the start of a cycle of T_i = T_0 T_mult^i steps:
    lr(t) = eta_min + (base_lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2.

    Step 0 and the first step of each cycle: base_lr but for roundings. The last step of a cycle: just above eta_min,
    which is never quite reached. It has no end. It is stepped with step(), not with step(epoch).

    Source: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts, after Loshchilov and Hutter, "SGDR: Stochastic
    Gradient Descent with Warm Restarts", 2016.

    Example: `CosineAnnealingWarmRestarts(0.1, T_0=100).get_lr(100)` is 0.1: the second cycle begins.
    """

    base_lr: Rate
    T_0: StepCount
    T_mult: StepCount = 1
    eta_min: Rate = 0.0
    _: KW_ONLY
    kind: Literal["torch.CosineAnnealingWarmRestarts"] = "torch.CosineAnnealingWarmRestarts"

    @property
    def floor_field(self) -> tuple[str, float, float]:
        """See `scheduler.messages.warnings.Falling`."""
        return "eta_min", self.eta_min, self.base_lr

    def _lengths(self) -> Iterator[int]:
        return (self.T_0 * self.T_mult**cycle for cycle in count())

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        pieces = ((length, length) for length in self._lengths())
        for length, begin, _, position in overlaps(0, min(total_steps, _LISTED_TURNS * self.T_0 * self.T_mult), pieces):
            yield from (begin - position, begin - position + length - 1)

    @override
    def write_rates(self, out: Values, start: int) -> None:
        if self.T_mult > 1:
            piecewise(out, start, map(self._cycle, self._lengths()))
        elif self.T_0 > _LONG:
            piecewise(out, start, repeat(self._cycle(self.T_0)), origin=start - start % self.T_0)
        else:
            row = np.empty(self.T_0)
            self._anneal(row, 0, length=self.T_0)
            portable.repeated(out, start, row)

    def _cycle(self, length: int) -> tuple[int, Fill]:
        return length, partial(self._anneal, length=length)

    def _anneal(self, out: Values, t_cur: int, *, length: int) -> None:
        for block, first in in_blocks(out, t_cur):
            block[:] = steps_before(first, len(block))[1:]
            block *= math.pi
            block /= length
            np.cos(block, out=block)
            block += 1.0
            block *= self.base_lr - self.eta_min
            block /= 2
            block += self.eta_min
