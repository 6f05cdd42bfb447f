"""Base classes of the twins of torch's schedulers, alone and inside a composite.

A twin matches the real class (torch 2.13), stepped, bit for bit, at every length. It keeps that class's parameter names
and defaults, without `optimizer` and `last_epoch`; `base_lr` comes first where torch takes the rate from the optimizer.

Narrower than torch: a number has the bounds of its field, and a rate that grows beyond all rates is an error where it
does; steps are whole and not negative; functions (`scale_fn`) are left out. What torch refuses, at once or in the
middle of a training, is refused at once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from scheduler.fields import Steps, Values
from scheduler.numerics import libm
from scheduler.numerics.pieces import STEPS
from scheduler.schedule import Schedule

if TYPE_CHECKING:
    Milestones = Sequence[int]
else:  # any sequence is taken, and kept as a tuple
    Milestones = Annotated[tuple[Steps, ...], Field(max_length=10_000, strict=False)]

Group = dict[str, float]
"""The entries of a parameter group that torch's schedulers read and write, by torch's keys."""

NOT_TWINNED: Mapping[str, str] = MappingProxyType(
    {
        "LRScheduler": "the base class of the others: it has no rates",
        "LambdaLR": "its rates come from a Python function, which no JSON can name: they are captured by stepping it",
        "MultiplicativeLR": "its factors come from a Python function, as LambdaLR's rates do",
        "ReduceLROnPlateau": "its rates follow the metrics of the training and are not known before it",
    }
)
"""The classes of torch.optim.lr_scheduler that have no twin, and why."""


def steps_before(step: int, n: int) -> Values:
    """The steps step - 1, step, ..., step + n - 1 as floats, for n <= BLOCK."""
    return STEPS[: n + 1] + (step - 1)


class Twin(Schedule):
    """A torch scheduler as a function of the step, with the methods by which composites step it.

    Alone, a twin gives `write_rates`, and `write_momentum` where it drives a second column.

    Inside a composite every member drives the same parameter group, so members affect each other. The `clock` of the
    methods below is torch's counter of the member; it counts what a step counts for a twin alone. Step by step:

    1. torch's constructors run, in the order of the text: `enter_group`, then the first step, `rate_when_built`.
    2. SequentialLR's constructor takes the first step of its first member once more: `first_rate`.
    3. Each later step reads the group (`as_read_from`) and changes the rate: a `ClosedForm` replaces it, a
       `scheduler.builtin.stepped.Stepped` computes it from the rate before.
    4. At a milestone SequentialLR puts a rate in force instead: `rate_at_milestone`.

    `is_constant_from` and `max_growth` let the composite stop early, and refuse rates out of range.
    """

    reads_rate: ClassVar[bool] = True
    """Whether torch's class takes the rate from the optimizer (field `base_lr`), rather than setting it."""
    counts_calls: ClassVar[bool] = False
    """Whether the clock is the number of calls of step(), which a composite's construction does not turn back."""

    @property
    @override
    def over(self) -> int | None:
        return self.end

    @property
    @override
    def is_iterative(self) -> bool:
        return True

    @abstractmethod
    def write_rates(self, out: Values, start: int) -> None:
        """Write the rates of steps start, start + 1, ..., none of them past `end`."""

    def write_momentum(self, out: Values, start: int) -> None:
        """The same for the second column. Raises `NotImplementedError` where there is none."""
        raise NotImplementedError(f"{self.kind} drives no momentum")

    def momentum_at(self, step: int) -> float:
        """The momentum of one step."""
        momentum = np.empty(1)
        self.write_momentum(momentum, step)
        return float(momentum[0])

    def _fill(self, out: Values, start: int) -> None:
        self._write_and_hold(self.write_rates, out, start)

    def _write_and_hold(self, write: Callable[[Values, int], None], out: Values, start: int) -> None:
        libm.check_platform()
        if self.end is None or start + len(out) <= self.end + 1:
            write(out, start)
            return
        known = max(self.end + 1 - start, 0)
        last = np.empty(1)
        write(last, self.end - 1)  # not that of step `end`, which torch has and no training of `end` steps applies
        if known:
            write(out[:known], start)
        out[known:] = last

    # -- in a composite -----------------------------------------------------------------------------------------------

    def enter_group(self, group: Group) -> Twin:
        """Apply the effects of torch's constructor before its first step. Returns the twin with the group's rate."""
        initial = group.setdefault("initial_lr", group["lr"])
        return self if initial == self.base_lr else self.replaced(base_lr=initial)  # type: ignore[attr-defined]  # a field of every kind that reads its rate

    def as_read_from(self, group: Group) -> Twin:
        """The twin with the parameters that torch reads from the group, where another member may have written them."""
        del group
        return self

    def rate_when_built(self, group: Group) -> float:
        """The rate after the first step, which torch's constructor takes."""
        return self.as_read_from(group).first_rate(group["lr"])

    def first_rate(self, lr: float) -> float:
        """The rate after a first step taken where the group has the rate `lr`."""
        return lr

    def rate_at_milestone(self, lr: float) -> float:
        """The rate that SequentialLR puts in force at this member's milestone, `lr` being that before.

        Raises `ValueError` where torch's class fails to. Not asked of a composite, nor of one that counts calls.
        """
        raise NotImplementedError

    def is_constant_from(self, clock: int, lr: float) -> bool:
        """Whether steps from this clock on leave the rate at `lr` for ever."""
        del clock, lr
        return False

    @property
    def max_growth(self) -> float:
        """Largest factor by which the steps can increase a rate that another member left."""
        return 1.0


class MomentumTwin(Twin):
    """A twin that may drive the momentum as its second column."""

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        self._write_and_hold(self.write_rates if column == "lr" else self.write_momentum, out, start)


class ClosedForm(Twin):
    """A twin whose rate follows from the step alone and replaces the rate before it."""

    @property
    @override
    def is_iterative(self) -> bool:
        return False

    @override
    def first_rate(self, lr: float) -> float:
        return self.rate_at_milestone(lr)

    @override
    def rate_at_milestone(self, lr: float) -> float:
        first = np.empty(1)
        self.write_rates(first, 0)
        return float(first[0])
