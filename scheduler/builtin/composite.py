"""Twins of torch's composites: several schedulers on one optimizer, one after the other or all at once.

torch's composites are no functions of their members' rates: members change each other while they are built, and a
composite starts them in its own ways (see `counters`). What they do is followed from one change to the next; the steps
in between are computed as arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from scheduler.builtin.counters import Chain, Counter, Leaf, Series, segments
from scheduler.builtin.stepped import SegmentSlice, Timeline
from scheduler.builtin.twin import Group, Milestones, MomentumTwin, Twin
from scheduler.fields import Values
from scheduler.messages.warnings import PlacedWarning
from scheduler.registry import KindLookup
from scheduler.schedule import MAX_BOUNDARIES, Schedule, schedule

MAX_MEMBERS = 100
MAX_GROWTH = 1e200
"""Largest factor by which the steps of a schedule may increase a rate."""
MAX_DEPTH = 8
"""Levels of composition; more is a mistake or an attack."""

if TYPE_CHECKING:
    Members = Sequence[Twin]
else:  # any sequence is taken, and kept as a tuple
    Members = Annotated[
        tuple[Annotated[Twin, KindLookup("torch.")], ...], Field(min_length=1, max_length=MAX_MEMBERS, strict=False)
    ]


class _Composite(MomentumTwin):
    """Base of SequentialLR and ChainedScheduler."""

    reads_rate: ClassVar[bool] = False
    revision: ClassVar[int] = 2  # past their end the rate before it is held, not OneCycleLR's rebound

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
        if self.max_growth > MAX_GROWTH:
            raise ValueError(
                f"schedulers must together make no rate more than {MAX_GROWTH} times as large, "
                f"got {self.max_growth:.3g}: their factors are too small, or gamma is too large"
            )
        _ = self._timeline  # raises where torch would

    def _check_agreement(self, name: str, leaves: list[tuple[str, Twin]]) -> None:
        """Raise `ValueError` where the members differ in a field that describes their shared optimizer."""
        for place, leaf in leaves[1:]:
            first_place, first = leaves[0]
            if getattr(leaf, name) != getattr(first, name):
                raise ValueError(
                    f"{name} must be the same in all schedulers, which drive one optimizer, got "
                    f"{getattr(first, name)!r} in {first_place} and {getattr(leaf, name)!r} in {place}"
                )

    @cached_property
    def _built(self) -> tuple[Timeline, float | None]:
        """The steps, and the momentum of step 0."""
        group: Group = {"lr": next((leaf.base_lr for _, leaf in self._leaves() if leaf.reads_rate), 0.0)}  # type: ignore[attr-defined]  # those have it
        built = _build(self, group)
        return Timeline(group["lr"], list(segments(built, group))), group.get("momentum")

    @property
    def _timeline(self) -> Timeline:
        return self._built[0]

    @property
    @override
    def column_names(self) -> tuple[str, ...]:
        return max((member.column_names for member in self.schedulers), key=len)

    @cached_property
    def _end(self) -> int | None:
        """The first step at which a member is at its end and is to step again right after."""
        ends = []
        for index, segment in enumerate(self._timeline.segments):
            last = (self._timeline.stop(index) or math.inf) - 1
            steps = [segment.start + twin.end - clock for twin, clock, _ in segment.members if twin.end is not None]
            ends += [step for step in steps if step < last]
        return min(ends, default=None)

    @property
    @override
    def end(self) -> int | None:
        return self._end

    @property
    @override
    def stated_steps(self) -> int | None:
        last = self._timeline.segments[-1]
        stated = ((clock, twin.stated_steps) for twin, clock, _ in last.members)
        return self.end or max(
            (last.start - clock + steps for clock, steps in stated if steps is not None), default=None
        )

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        if self.end is not None and steps > self.end:
            yield from super().placed_warnings(steps, part=part)
        for _, segment, begin, stop in self._timeline.slices(0, min(steps, self.end or steps)):
            for member in segment.members:
                for warning in member.twin.placed_warnings(stop - begin + member.clock):
                    if warning.about != "short" or stop == steps:  # else a member that is relieved in time
                        yield warning

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        looked_at = islice(self._members_boundaries(total_steps), 100 * MAX_BOUNDARIES)  # a member's may lie elsewhere
        return (step for slice_, step in looked_at if max(slice_.begin, 1) <= step < slice_.stop)

    def _members_boundaries(self, total_steps: int) -> Iterator[tuple[SegmentSlice, int]]:
        """Each slice with its first step, and with the boundaries of its members, in or out of the slice."""
        for slice_ in self._timeline.slices(0, total_steps):
            yield slice_, slice_.begin if slice_.begin > 1 else 0
            for twin, clock, _ in slice_.segment.members:
                ahead = slice_.begin - clock
                yield from ((slice_, ahead + step) for step in twin.inner_boundaries(slice_.stop - ahead))

    @override
    def write_rates(self, out: Values, start: int) -> None:
        self._timeline.fill(out, start)

    @override
    def write_momentum(self, out: Values, start: int) -> None:
        for slice_ in self._timeline.slices(start, start + len(out)):
            momenta = out[slice_.begin - start : slice_.stop - start]
            if member := slice_.segment.driving:
                member.twin.write_momentum(momenta, member.clock + slice_.begin - slice_.segment.start)
            else:
                momenta.fill(self._momentum_before(slice_.number))

    def _momentum_before(self, number: int) -> float:
        """The momentum in force before this segment, set by an earlier member or by the constructors."""
        for index in range(number - 1, 0, -1):
            segment, stop = self._timeline.segments[index], self._timeline.segments[index + 1].start
            if member := segment.driving:
                return member.twin.momentum_at(member.clock + stop - 1 - segment.start)
        assert self._built[1] is not None
        return self._built[1]


@schedule
class SequentialLR(_Composite):
    """Schedulers one after the other: the next takes over at each milestone.

    Args:
        schedulers: twins of torch's schedulers in order, 1 to 100, all on one optimizer.
        milestones: steps at which the next scheduler takes over, ascending, one fewer than the schedulers.

    Formula: lr(t) is that of schedulers[i], i the number of milestones <= t; at its milestone a member is set to its
    closed form's rate at 0, and then stepped from there.

    Step 0: the first member's, after all were built. A milestone: the next member's first rate, by its closed form
    (for SWALR, which has none, the rate that is there). It ends where a member ends that is not relieved in time, and
    else has no end. Equal milestones skip a member; a milestone of 0 skips the first.

    As in torch, which does not say so: every member is built on the one optimizer before the first step, so a CyclicLR
    or OneCycleLR anywhere in the list changes the rate that the others start from, and its first momentum holds until
    its turn; of two OneCycleLR, or two SWALR, the last built decides the rates of both. A composite as first member
    runs one step ahead of its milestones and counters; later, torch cannot start it at all.

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
    def max_growth(self) -> float:
        return max(member.max_growth for member in self.schedulers)

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        yield from _shifted(self.schedulers[0])
        yield from super().placed_warnings(steps, part=part)


def _shifted(first: Twin) -> Iterator[PlacedWarning]:
    if isinstance(first, _Composite):
        ahead = f"torch steps the {first.kind} that comes first in this torch.SequentialLR once too often"
        yield PlacedWarning("curve", f"{ahead}: it is a step ahead")


@schedule
class ChainedScheduler(_Composite):
    """Several schedulers at once: at every step each changes the rate that the one before it left.

    Args:
        schedulers: twins of torch's schedulers, 1 to 100, which all change the rate at every step, in this order.

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
    def max_growth(self) -> float:
        return math.prod(member.max_growth for member in self.schedulers)


def _build(twin: Twin, group: Group) -> Counter:
    """Build torch's scheduler on the group."""
    if not isinstance(twin, _Composite):
        return Leaf(twin, group)
    built = [_build(member, group) for member in twin.schedulers]
    if isinstance(twin, SequentialLR):
        return Series(twin.kind, built, twin.milestones, group)
    return Chain(twin.kind, built)
