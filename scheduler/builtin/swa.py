"""The twin of torch.optim.swa_utils.SWALR, the schedule of stochastic weight averaging."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY
from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from scheduler.builtin.stepped import Affine, Moves, advance
from scheduler.builtin.twin import Group, Twin, steps_before
from scheduler.fields import Rate, Steps, Values
from scheduler.schedule import schedule


@schedule
class SWALR(Affine):
    """From base_lr to swa_lr in anneal_epochs steps, then constant.

    Args:
        base_lr: the optimizer's learning rate, where the annealing begins, at least 0.
        swa_lr: learning rate of the weight averaging, where the annealing ends, at least 0.
        anneal_epochs: length of the annealing in calls of step(); 0 sets swa_lr at once.
        anneal_strategy: shape of the annealing, `cos` or `linear`.

    Formula, with a(t) = (1 - cos(pi p)) / 2 (`cos`) or p (`linear`), p = t / anneal_epochs, at most 1:
    lr(0) = base_lr; lr(t) = swa_lr a(t) + r (1 - a(t)), r = (lr(t - 1) - a(t - 1) swa_lr) / (1 - a(t - 1)), the rate
    that torch concludes the annealing began with.

    Step 0: base_lr (swa_lr with anneal_epochs 0). From step anneal_epochs on: swa_lr, exactly. It has no end.

    Source: torch.optim.swa_utils.SWALR.

    Example: `SWALR(0.1, swa_lr=0.05, anneal_epochs=10).get_lr(10)` is 0.05.
    """

    counts_calls: ClassVar[bool] = True

    base_lr: Rate
    swa_lr: Rate
    anneal_epochs: Steps = 10
    anneal_strategy: Literal["cos", "linear"] = "cos"
    _: KW_ONLY
    kind: Literal["torch.SWALR"] = "torch.SWALR"

    @property
    @override
    def stated_steps(self) -> int:
        return self.anneal_epochs

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return (self.anneal_epochs,)

    @override
    def write_moves(self, out: Moves, clock: int) -> None:
        alphas = self._alphas(clock, out.shape[1])
        before, now = alphas[:-1], alphas[1:]
        np.multiply(before, self.swa_lr, out=out[0])
        np.subtract(1, before, out=out[1])
        np.subtract(1, now, out=out[2])
        np.multiply(now, self.swa_lr, out=out[3])
        done = out[1] == 0.0  # torch does not divide by it: the rate is swa_lr
        out[1, done], out[2, done] = 1.0, 0.0

    def _alphas(self, clock: int, n: int) -> Values:
        """Progress of the annealing, 0 to 1, at the step before `clock` and at the n steps from it on."""
        progress = steps_before(clock, n)
        progress /= max(1, self.anneal_epochs)
        np.clip(progress, 0.0, 1.0, out=progress)
        if self.anneal_epochs == 0:
            progress[1:] = 1.0
        if self.anneal_strategy == "cos":
            progress *= math.pi
            np.cos(progress, out=progress)
            np.subtract(1, progress, out=progress)
            progress /= 2
        return progress

    @override
    def enter_group(self, group: Group) -> Twin:
        group["swa_lr"] = self.swa_lr
        return super().enter_group(group)

    @override
    def as_read_from(self, group: Group) -> Twin:
        return self if group["swa_lr"] == self.swa_lr else self.replaced(swa_lr=group["swa_lr"])

    @override
    def first_rate(self, lr: float) -> float:
        rate = np.empty(1)
        advance(rate, lr, [(self, 0)])
        return float(rate[0])

    @override
    def is_constant_from(self, clock: int, lr: float) -> bool:
        return clock > max(1, self.anneal_epochs) and lr == self.swa_lr
