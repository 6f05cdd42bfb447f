"""Twins that set rate and momentum in closed form: triangular cycles, and one cycle."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from scheduler.builtin.twin import ClosedForm, Group, MomentumTwin, Twin, steps_before
from scheduler.fields import MAX_STEP, Factor, Fraction, Rate, StepCount, Steps, Values
from scheduler.numerics import libm
from scheduler.numerics.cancellation import windows
from scheduler.numerics.pieces import BLOCK, in_blocks, overlaps
from scheduler.numerics.rates import MAX_RATE
from scheduler.schedule import schedule

MomentumColumn = Literal["momentum", "beta1"]
"""Column of the optimizer's momentum: `beta1` where it is the first of Adam's betas."""

_LISTED_CYCLES = 16  # cycles whose boundaries are listed


class _Cycling(ClosedForm, MomentumTwin):
    """Base of the twins that move the momentum opposite to the rate."""

    reads_rate: ClassVar[bool] = False

    cycle_momentum: bool
    base_momentum: float
    max_momentum: float
    momentum_column: MomentumColumn

    @property
    @override
    def column_names(self) -> tuple[str, ...]:
        return ("lr", self.momentum_column) if self.cycle_momentum else ("lr",)

    @override
    def enter_group(self, group: Group) -> Twin:
        self._enter_rate(group)
        if self.cycle_momentum:
            group.update(base_momentum=self.base_momentum, max_momentum=self.max_momentum)
        return self

    @abstractmethod
    def _enter_rate(self, group: Group) -> None:
        """Do to the group's rates what torch's constructor does before its first step."""


@schedule
class CyclicLR(_Cycling):
    """Triangles between base_lr and max_lr, step_size_up steps up and step_size_down steps down, for ever.

    Args:
        base_lr: lowest learning rate, at the start of every cycle, at least 0.
        max_lr: highest learning rate, step_size_up steps into the first cycle, at least 0.
        step_size_up: steps from base_lr up to max_lr, at least 1.
        step_size_down: steps from max_lr down to base_lr, at least 0; by default step_size_up.
        mode: `triangular` (equal cycles), `triangular2` (halved every cycle) or `exp_range` (shrinking every step).
        gamma: what `exp_range` multiplies the amplitude by at every step, from 0 to 1.
        cycle_momentum: whether the momentum cycles too, against the rate.
        base_momentum: lowest momentum, where the rate is highest, from 0 to 1.
        max_momentum: highest momentum, where the rate is lowest, from 0 to 1.
        momentum_column: name of the momentum's column: `momentum`, or `beta1` for an optimizer with betas.

    Formula, with S = step_size_up + step_size_down, cycle = floor(1 + t / S), x = 1 + t / S - cycle and
    u = step_size_up / S: lr(t) = base_lr + (max_lr - base_lr) h s, h = x / u for x <= u, else (x - 1) / (u - 1);
    s is 1 (`triangular`), 1 / 2^(cycle - 1) (`triangular2`) or gamma^t (`exp_range`). With cycle_momentum a second
    column, momentum(t) = max_momentum - (max_momentum - base_momentum) h s.

    Step 0 and every S steps: base_lr and max_momentum. Step step_size_up of a cycle: max_lr and base_momentum but for
    roundings, with s 1. It has no end.

    The optimizer's own rate is ignored, as in torch. Where torch has a bug: from step 1024 S on, `triangular2` raises
    OverflowError there; here the rate stays at base_lr, where it has long been. Narrower than torch: `scale_fn` and
    `scale_mode`, which counts only beside it, are left out; gamma and the momenta are at most 1.

    `momentum_column` is `beta1` for an optimizer with betas, such as Adam. Source: torch.optim.lr_scheduler.CyclicLR.

    Example: `CyclicLR(0.001, 0.1, step_size_up=2000).get_lr(2000)` is 0.1.
    """

    base_lr: Rate
    max_lr: Rate
    step_size_up: StepCount = 2000
    step_size_down: Steps | None = None
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: Fraction = 1.0
    cycle_momentum: bool = True
    base_momentum: Fraction = 0.8
    max_momentum: Fraction = 0.9
    _: KW_ONLY
    momentum_column: MomentumColumn = "momentum"
    kind: Literal["torch.CyclicLR"] = "torch.CyclicLR"

    @property
    def _period(self) -> int:
        return self.step_size_up + (self.step_size_up if self.step_size_down is None else self.step_size_down)

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        for start in range(0, min(total_steps, _LISTED_CYCLES * self._period), self._period):
            yield from (start, start + self.step_size_up)

    @override
    def _enter_rate(self, group: Group) -> None:
        group["lr"] = self.base_lr
        group.setdefault("initial_lr", self.base_lr)

    @override
    def rate_when_built(self, group: Group) -> float:
        return group["initial_lr"]  # torch's constructor notes its own base_lr only after its first step

    @override
    def write_rates(self, out: Values, start: int) -> None:
        self._swing(out, start, self.base_lr, self.max_lr - self.base_lr)

    @override
    def write_momentum(self, out: Values, start: int) -> None:
        self._swing(out, start, self.max_momentum, -(self.max_momentum - self.base_momentum))

    def _swing(self, out: Values, start: int, foot: float, height: float) -> None:
        for block, step in in_blocks(out, start):
            steps = steps_before(step, len(block))[1:]
            turns = steps / self._period
            turns += 1.0
            cycles = np.floor(turns)
            turns -= cycles
            self._triangle(turns, block)
            block *= height
            self._fade(block, steps, cycles)
            block += foot

    def _triangle(self, x: Values, out: Values) -> None:
        ratio = self.step_size_up / self._period
        np.divide(x, ratio, out=out)
        if ratio < 1.0:
            falling = x > ratio
            x -= 1.0
            np.divide(x, ratio - 1, out=out, where=falling)

    def _fade(self, heights: Values, steps: Values, cycles: Values) -> None:
        if self.mode == "triangular2":
            cycles -= 1.0
            np.minimum(cycles, 2000.0, out=cycles)  # nothing is left of the height long before
            heights *= np.ldexp(1.0, -cycles.astype(np.int32))
        elif self.mode == "exp_range" and self.gamma != 1.0:
            libm.power(self.gamma, steps, out=steps)
            heights *= steps


class _Phase(NamedTuple):
    """A phase of the one cycle. Its steps are whole, its ends, which torch does not round, need not be."""

    first: int
    stop: int
    start: float
    end: float


@schedule
class OneCycleLR(_Cycling):
    """One cycle: from max_lr / div_factor up to max_lr, then down to far below the start; momentum the other way.

    Args:
        max_lr: highest learning rate, at the end of the first phase, at least 0.
        total_steps: length of the cycle in steps, at least 1; by default epochs times steps_per_epoch.
        epochs: number of epochs, at least 1, needed where total_steps is not given.
        steps_per_epoch: steps in an epoch, at least 1, needed where total_steps is not given.
        pct_start: share of the cycle in which the rate rises, from 0 to 1.
        anneal_strategy: shape of every phase, `cos` or `linear`.
        cycle_momentum: whether the momentum cycles too, against the rate.
        base_momentum: lowest momentum, where the rate is highest, from 0 to 1.
        max_momentum: highest momentum, where the rate is lowest, from 0 to 1.
        div_factor: max_lr divided by the learning rate of step 0, above 0.
        final_div_factor: the learning rate of step 0 divided by that of the last step, above 0.
        three_phase: whether the fall has two parts: back to the rate of step 0, in as many steps as it rose, then on.
        momentum_column: name of the momentum's column: `momentum`, or `beta1` for an optimizer with betas.

    Formula, with T = total_steps, initial = max_lr / div_factor and minimum = initial / final_div_factor: a phase from
    e to e' anneals from a to b by b + (a - b) / 2 (cos(pi p) + 1) (`cos`) or (b - a) p + a (`linear`),
    p = (t - e) / (e' - e). The first rises from initial at 0 to max_lr at pct_start T - 1, which need not be whole;
    the second falls to minimum at T - 1, or with three_phase to initial at 2 pct_start T - 2, and the third from there.
    With cycle_momentum a second column goes from max_momentum to base_momentum in the first phase and back in the next.

    Step 0: initial (below max_lr in its fall already, where pct_start T < 1). Step T - 1: minimum but for roundings.

    Step T, its end: torch allows one step more, whose p is above 1, so that the cosine **rebounds** (to 5 % of max_lr
    for T = 10) and the line goes below minimum, and below 0; so do we. Past it torch raises; here the rate of step
    T - 1, the last of a training, is held, with a warning. In a composite it is held from step T on.

    `total_steps` counts before `epochs` times `steps_per_epoch`, as in torch. `momentum_column` is `beta1` for an
    optimizer with betas, such as Adam. Narrower than torch: momenta are at most 1, initial and minimum at most 1e12.
    Raises where torch divides by zero at some step: where a phase that has steps ends where it begins (pct_start T is
    1, or T), and without a number of steps. Source: torch.optim.lr_scheduler.OneCycleLR, after Smith and Topin,
    "Super-Convergence", 2017.

    Example: `OneCycleLR(0.1, total_steps=1000).get_lr(299)` is 0.1.
    """

    revision: ClassVar[int] = 2  # composites hold the rate of step T - 1, not the rebound

    max_lr: Rate
    total_steps: StepCount | None = None
    epochs: StepCount | None = None
    steps_per_epoch: StepCount | None = None
    pct_start: Fraction = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    cycle_momentum: bool = True
    base_momentum: Fraction = 0.85
    max_momentum: Fraction = 0.95
    div_factor: Factor = 25.0
    final_div_factor: Factor = 1e4
    three_phase: bool = False
    _: KW_ONLY
    momentum_column: MomentumColumn = "momentum"
    kind: Literal["torch.OneCycleLR"] = "torch.OneCycleLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.end > MAX_STEP:
            raise ValueError(f"epochs * steps_per_epoch must be <= {MAX_STEP}, got {self.end}")
        for name, rate in (("max_lr / div_factor", self._initial), ("minimum rate", self._minimum)):
            if rate > MAX_RATE:
                factors = f"div_factor={self.div_factor} and final_div_factor={self.final_div_factor}"
                raise ValueError(f"{name} must be <= {MAX_RATE:g}, got {rate} from {factors}")
        for phase in self._phases():
            if phase.first < phase.stop and phase.start == phase.end:
                raise ValueError(
                    f"pct_start must not make a phase of no length: with pct_start={self.pct_start} and "
                    f"{self.end} steps torch divides by zero at step {phase.first}"
                )
        return self

    @property
    @override
    def end(self) -> int:
        if self.total_steps is not None:
            return self.total_steps
        if self.epochs is None or self.steps_per_epoch is None:
            given = f"epochs={self.epochs} and steps_per_epoch={self.steps_per_epoch}"
            raise ValueError(f"total_steps, or both epochs and steps_per_epoch, must be given, got {given}")
        return self.epochs * self.steps_per_epoch

    @property
    def _initial(self) -> float:
        return self.max_lr / self.div_factor

    @property
    def _minimum(self) -> float:
        return self._initial / self.final_div_factor

    def _phases(self) -> Iterator[_Phase]:
        """All phases, including those without a step."""
        steps = self.end
        ends = [float(self.pct_start * steps) - 1, float(2 * self.pct_start * steps) - 2, float(steps - 1)]
        if not self.three_phase:
            del ends[1]
        first, start = 0, 0.0
        for end in ends:
            stop = steps + 1 if end is ends[-1] else min(max(first, math.floor(end) + 1), steps + 1)
            yield _Phase(first, stop, start, end)
            first, start = stop, end

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return [*(phase.first for phase in self._phases()), self.end - 1]

    @override
    def fill_columns(self, columns: Mapping[str, Values], start: int = 0) -> None:
        # docstring inherited; a cosine, which takes longer than all the rest, serves both columns
        shared = set(columns) == {"lr", self.momentum_column}
        if not shared or start < 0 or start + len(columns["lr"]) > self.end + 1:
            super().fill_columns(columns, start)
            return
        libm.check_platform()
        for rates, step in windows(columns["lr"], start):
            momenta = columns[self.momentum_column][step - start :][: len(rates)]
            self._anneal([(rates, self._rates), (momenta, self._momenta)], step)

    @property
    def _rates(self) -> tuple[float, ...]:
        """The corners of the rate: where each phase begins, and the end."""
        middle = (self._initial,) if self.three_phase else ()
        return (self._initial, self.max_lr, *middle, self._minimum)

    @property
    def _momenta(self) -> tuple[float, ...]:
        """The corners of the momentum."""
        last = (self.max_momentum,) if self.three_phase else ()
        return (self.max_momentum, self.base_momentum, self.max_momentum, *last)

    @override
    def write_rates(self, out: Values, start: int) -> None:
        self._anneal([(out, self._rates)], start)

    @override
    def write_momentum(self, out: Values, start: int) -> None:
        self._anneal([(out, self._momenta)], start)

    def _anneal(self, outs: list[tuple[Values, tuple[float, ...]]], start: int) -> None:
        """The phases in the window: in each, every array goes from one of its corners to the next."""
        pieces = ((phase.stop - phase.first, (number, phase)) for number, phase in enumerate(self._phases()))
        for (number, phase), begin, stop, _ in overlaps(start, start + len(outs[0][0]), pieces):
            for step in range(begin, stop, BLOCK):
                share = self._share(phase, step, min(BLOCK, stop - step))
                for out, corners in outs:
                    self._between(share, corners[number], corners[number + 1], out[step - start :][: len(share)])

    def _share(self, phase: _Phase, step: int, n: int) -> Values:
        """The interpolation argument within a phase: progress p, or cos(pi p) + 1."""
        share = steps_before(step, n)[1:]
        share -= phase.start
        share /= phase.end - phase.start
        if self.anneal_strategy == "cos":
            share *= math.pi
            np.cos(share, out=share)
            share += 1.0
        return share

    def _between(self, share: Values, before: float, after: float, out: Values) -> None:
        if self.anneal_strategy == "cos":
            np.multiply(share, (before - after) / 2.0, out=out)
            out += after
        else:
            np.multiply(share, after - before, out=out)
            out += before

    # In a composite: torch's class reads its rates and momenta from the group, where the last one built wrote them.

    @override
    def _enter_rate(self, group: Group) -> None:
        group.update(initial_lr=self._initial, max_lr=self.max_lr)
        group.update(div_factor=self.div_factor, final_div_factor=self.final_div_factor)

    @override
    def as_read_from(self, group: Group) -> Twin:
        names = ["max_lr", "div_factor", "final_div_factor"]
        if self.cycle_momentum:
            names += ["base_momentum", "max_momentum"]
        seen = {name: group[name] for name in names if group[name] != getattr(self, name)}
        return self.replaced(**seen) if seen else self
