"""Twins of torch's composites: several schedulers on one optimizer, one after the other or all at once.

torch's composites are not functions of their members' rates. Every member's constructor already changes the
parameter group, a composite's constructor turns the members' counters back, and members read what others wrote. So a
composite is followed here through its construction and from one change of members to the next, by the few numbers
that torch keeps; the steps in between are then computed as arrays.

The order of construction is that of the text: members before their composite, each list from left to right.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator
from typing_extensions import override

from scheduler.builtin.averaging import SWALR
from scheduler.builtin.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from scheduler.builtin.cycle import CyclicLR, OneCycleLR
from scheduler.builtin.decay import ExponentialLR, MultiStepLR, StepLR
from scheduler.builtin.ramp import ConstantLR, LinearLR, PolynomialLR
from scheduler.builtin.stepped import Part, Piece, Programme, Stretch
from scheduler.builtin.twin import MAX_GROWTH, Group, Milestones, Twin
from scheduler.schedule import Schedule, Values, complete, schedule

MAX_MEMBERS = 100
MAX_DEPTH = 8
"""Levels of composition; more is a mistake or an attack."""

if TYPE_CHECKING:
    Member = Twin
else:
    Member = Annotated[
        "ConstantLR | LinearLR | StepLR | MultiStepLR | ExponentialLR | PolynomialLR | CosineAnnealingLR | "
        "CosineAnnealingWarmRestarts | CyclicLR | OneCycleLR | SWALR | SequentialLR | ChainedScheduler",
        Field(discriminator="kind"),
    ]
Members = Annotated[Sequence[Member], Field(min_length=1, max_length=MAX_MEMBERS), AfterValidator(tuple)]
"""Twins of torch's schedulers: a list or a tuple, kept as a tuple."""


class _Composite(Twin):
    """What SequentialLR and ChainedScheduler share."""

    reads_rate: ClassVar[bool] = False

    schedulers: Sequence[Twin]

    def _leaves(self) -> Iterator[tuple[str, Twin]]:
        """Every member that is no composite, with its place."""
        for index, member in enumerate(self.schedulers):
            place = f"schedulers[{index}]"
            if isinstance(member, _Composite):
                yield from ((f"{place}.{inner}", leaf) for inner, leaf in member._leaves())
            else:
                yield place, member

    @property
    @override
    def members(self) -> tuple[Schedule, ...]:
        return tuple(self.schedulers)

    def _check_members(self) -> None:
        if self.depth > MAX_DEPTH:
            raise ValueError(f"schedulers must be nested at most {MAX_DEPTH} deep, got {self.depth}")
        self._check_agreement("base_lr", [(place, leaf) for place, leaf in self._leaves() if leaf.reads_rate])
        cycling = [(place, leaf) for place, leaf in self._leaves() if len(leaf.column_names) > 1]
        self._check_agreement("momentum_column", cycling)
        if self._growth > MAX_GROWTH:
            raise ValueError(
                f"schedulers must together make no rate more than {MAX_GROWTH} times as large, got {self._growth:.3g}: "
                "their factors are too small, or gamma is too large"
            )
        _ = self._programme  # raises where torch would

    def _check_agreement(self, name: str, leaves: list[tuple[str, Twin]]) -> None:
        """All members drive one optimizer, which has one of each."""
        for place, leaf in leaves[1:]:
            first_place, first = leaves[0]
            if getattr(leaf, name) != getattr(first, name):
                raise ValueError(
                    f"{name} must be the same in all schedulers, which drive one optimizer, got "
                    f"{getattr(first, name)!r} in {first_place} and {getattr(leaf, name)!r} in {place}"
                )

    @cached_property
    def _built(self) -> tuple[Programme, float | None]:
        """The steps, and the momentum of step 0."""
        group: Group = {"lr": next((leaf.base_lr for _, leaf in self._leaves() if leaf.reads_rate), 0.0)}  # type: ignore[attr-defined]  # those have it
        root = _node(self, group)
        return Programme(group["lr"], list(_stretches(root, group))), group.get("momentum")

    @property
    def _programme(self) -> Programme:
        return self._built[0]

    @property
    @override
    def column_names(self) -> tuple[str, ...]:
        return max((member.column_names for member in self.schedulers), key=len)

    @cached_property
    def _end(self) -> int | None:
        """The first step at which a member is at its end and is to step again right after."""
        ends = []
        for index, stretch in enumerate(self._programme.stretches):
            last = (self._programme.stop(index) or math.inf) - 1
            steps = (stretch.start + part.twin.end - part.clock for part in stretch.parts if part.twin.end is not None)
            ends += [step for step in steps if step < last]
        return min(ends, default=None)

    @property
    @override
    def end(self) -> int | None:
        return self._end

    @override
    def caveats(self, total_steps: int) -> list[str]:
        return [
            caveat
            for _, stretch, begin, stop in self._programme.pieces(0, total_steps)
            for part in stretch.parts
            for caveat in part.twin.caveats(stop - begin + part.clock)
        ]

    def _joints(self, total_steps: int) -> Iterable[int]:
        for _, stretch, begin, stop in self._programme.pieces(0, total_steps):
            if begin > 1:
                yield begin
            for part in stretch.parts:
                ahead = begin - part.clock
                yield from (ahead + step for step in part.twin._joints(stop - ahead) if begin <= ahead + step < stop)

    @override
    def _write(self, out: Values, start: int) -> None:
        self._programme.fill(out, start)

    @override
    def _write_momentum(self, out: Values, start: int) -> None:
        for piece in self._programme.pieces(start, start + len(out)):
            momenta = out[piece.begin - start : piece.stop - start]
            if part := _driving(piece.stretch):
                part.twin._write_momentum(momenta, part.clock + piece.begin - piece.stretch.start)
            else:
                momenta.fill(self._momentum_before(piece))

    def _momentum_before(self, piece: Piece) -> float:
        """The momentum that the last member to set it left behind, or that the constructors did."""
        for index in range(piece.number - 1, 0, -1):
            stretch, stop = self._programme.stretches[index], self._programme.stretches[index + 1].start
            if part := _driving(stretch):
                return _momentum(part.twin, part.clock + stop - 1 - stretch.start)
        assert self._built[1] is not None
        return self._built[1]

    @override
    def _restart(self, lr: float) -> float:
        raise NotImplementedError


def _driving(stretch: Stretch) -> Part | None:
    """The member that has the last word on the momentum."""
    return next((part for part in reversed(stretch.parts) if len(part.twin.column_names) > 1), None)


def _momentum(twin: Twin, step: int) -> float:
    value = np.empty(1)
    twin._write_momentum(value, step)
    return float(value[0])


@schedule
class SequentialLR(_Composite):
    """Schedulers one after the other: the next takes over at each milestone.

    Formula: lr(t) is that of schedulers[i], i the number of milestones <= t; at its milestone a member is set to its
    closed form's rate at 0, and then stepped from there.

    Step 0: the first member's, after all were built. A milestone: the next member's first rate, by its closed form
    (for SWALR, which has none, the rate that is there). It ends where a member ends that is not relieved in time, and
    else has no end. Equal milestones skip a member; a milestone of 0 skips the first.

    As in torch, and documented nowhere there: every member is built on the one optimizer before the first step, so a
    CyclicLR or OneCycleLR anywhere in the list changes the rate that the others start from, and holds its first
    momentum until its turn; of two OneCycleLR, or two SWALR, the last built decides the rates of both. A composite as
    first member runs one step ahead of its milestones and counters; later, torch cannot start it at all.

    Raises for milestones that decrease or are not one fewer than the schedulers, for members whose base_lr differ
    (there is one optimizer), for a composite as a later member, and for a later LinearLR or PolynomialLR with
    total_iters 0, both of which torch fails at. Source: torch.optim.lr_scheduler.SequentialLR.

    Example: `SequentialLR([LinearLR(0.1, 0.01, total_iters=10), CosineAnnealingLR(0.1, 90)], [10]).get_lr(10)` is 0.1.
    """

    schedulers: Members
    milestones: Milestones
    _: KW_ONLY
    kind: Literal["torch.SequentialLR"] = "torch.SequentialLR"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"milestones must be one fewer than the schedulers, got {len(self.milestones)} "
                f"for {len(self.schedulers)} schedulers"
            )
        for before, after in zip(self.milestones, self.milestones[1:], strict=False):
            if after < before:
                raise ValueError(f"milestones must not decrease, got {after} after {before}")
        self._check_members()
        return self

    @property
    @override
    def _growth(self) -> float:
        return max(member._growth for member in self.schedulers)

    @override
    def caveats(self, total_steps: int) -> list[str]:
        return [*_shifted(self.schedulers[0]), *super().caveats(total_steps)]


def _shifted(first: Twin) -> list[str]:
    if not isinstance(first, _Composite):
        return []
    return [
        f"torch steps the {first.kind} that comes first in this torch.SequentialLR once too often: it is a step ahead"
    ]


@schedule
class ChainedScheduler(_Composite):
    """Several schedulers at once: at every step each changes the rate that the one before it left.

    Formula: lr(t) = m_k(... m_2(m_1(lr(t - 1)))), m_i what step t of schedulers[i] does to a rate.

    Step 0: the rate after all were built. It ends where its first member ends, and else has no end.

    As in torch a member that sets the rate (CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR) overwrites what the
    members before it did, at every step. Such members change each other as SequentialLR says.

    Raises for members whose base_lr differ (there is one optimizer). Source: torch.optim.lr_scheduler.ChainedScheduler.

    Example: `ChainedScheduler([ConstantLR(0.1, 0.5, 20), ExponentialLR(0.1, 0.9)]).get_lr(0)` is 0.05.
    """

    schedulers: Members
    _: KW_ONLY
    kind: Literal["torch.ChainedScheduler"] = "torch.ChainedScheduler"

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_members()
        return self

    @property
    @override
    def _growth(self) -> float:
        return math.prod(member._growth for member in self.schedulers)


for _kind in (SequentialLR, ChainedScheduler):
    complete(_kind, {})  # `Member` names both, and one of them had to come first


# -- following torch's counters ---------------------------------------------------------------------------------------


class _Node(Protocol):
    """A scheduler object of torch, reduced to its counter."""

    def undo(self) -> None:
        """Turn the counter back, as SequentialLR's constructor does."""

    def begin(self, group: Group) -> None:
        """Take the first step anew, as SequentialLR's constructor asks of the member that is first."""

    def restart(self, group: Group) -> list[Part]:
        """Start at a milestone. Raises `ValueError` where torch fails to."""

    def step(self, group: Group) -> list[Part]:
        """Step once: what takes part in the step, in order."""

    def until_change(self) -> float:
        """The number of the next step that differs from those before it, counted from here."""

    def skip(self, steps: int) -> None:
        """Take that many steps that do not differ."""


def _node(twin: Twin, group: Group) -> _Node:
    """Build the scheduler on the group, as torch does."""
    if isinstance(twin, SequentialLR):
        return _Sequence(twin, group)
    if isinstance(twin, ChainedScheduler):
        return _Chain(twin, group)
    return _Leaf(twin, group)


def _stretches(root: _Node, group: Group) -> Iterator[Stretch]:
    step = 1
    while True:
        yield Stretch(step, tuple(root.step(group)))
        steps = root.until_change()
        if steps == math.inf:
            return
        root.skip(int(steps) - 1)
        step += int(steps)


class _Leaf:
    def __init__(self, twin: Twin, group: Group) -> None:
        self._twin = twin._enter(group)
        self._clock = 0
        group["lr"] = self._twin._build(group)
        self._drive_momentum(group)

    def _drive_momentum(self, group: Group) -> None:
        if len(self._twin.column_names) > 1:
            group["momentum"] = _momentum(self._twin._as_seen(group), 0)

    def undo(self) -> None:
        if not self._twin.counts_calls:
            self._clock -= 1

    def begin(self, group: Group) -> None:
        self._clock = 0
        group["lr"] = self._twin._as_seen(group)._first(group["lr"])
        self._drive_momentum(group)

    def restart(self, group: Group) -> list[Part]:
        twin = self._twin._as_seen(group)
        if twin.counts_calls:
            return [Part(twin, self._clock)]
        self._clock = 0
        twin._restart(0.0)
        return [Part(twin, 0, restarts=True)]

    def step(self, group: Group) -> list[Part]:
        self._clock += 1
        return [Part(self._twin._as_seen(group), self._clock)]

    def until_change(self) -> float:
        return math.inf

    def skip(self, steps: int) -> None:
        self._clock += steps


class _Branch:
    """A composite's members."""

    def __init__(self, twin: _Composite, group: Group) -> None:
        self._kind = twin.kind
        self._members = [_node(member, group) for member in twin.schedulers]

    def undo(self) -> None:
        for member in self._members:
            member.undo()

    def begin(self, group: Group) -> None:
        first = Stretch(0, tuple(self.step(group)))
        group["lr"] = first.enter(group["lr"])
        if part := _driving(first):
            group["momentum"] = _momentum(part.twin, part.clock)

    def restart(self, group: Group) -> list[Part]:
        raise ValueError(f"torch cannot start a {self._kind} at a milestone; only the first member may be a composite")

    @abstractmethod
    def step(self, group: Group) -> list[Part]:
        """What takes part in the step."""


class _Chain(_Branch):
    def step(self, group: Group) -> list[Part]:
        return [part for member in self._members for part in member.step(group)]

    def until_change(self) -> float:
        return min(member.until_change() for member in self._members)

    def skip(self, steps: int) -> None:
        for member in self._members:
            member.skip(steps)


class _Sequence(_Branch):
    def __init__(self, twin: SequentialLR, group: Group) -> None:
        super().__init__(twin, group)
        self._milestones = twin.milestones
        self._clock = 0
        group["lr"] = group["initial_lr"]
        self.undo()
        self._active.begin(group)

    @property
    def _index(self) -> int:
        return bisect_right(self._milestones, self._clock)

    @property
    def _active(self) -> _Node:
        return self._members[self._index]

    def step(self, group: Group) -> list[Part]:
        self._clock += 1
        if self._index == 0 or self._milestones[self._index - 1] != self._clock:
            return self._active.step(group)
        try:
            return self._active.restart(group)
        except ValueError as error:
            raise ValueError(f"schedulers[{self._index}]: {error}") from None

    def until_change(self) -> float:
        following = self._milestones[self._index : self._index + 1]
        return min(self._active.until_change(), *(milestone - self._clock for milestone in following), math.inf)

    def skip(self, steps: int) -> None:
        self._clock += steps
        self._active.skip(steps)
