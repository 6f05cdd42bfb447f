"""The counters of torch's scheduler objects, from their construction on: which member steps when, at which count.

A scheduler's constructor already takes a step and changes the parameter group; SequentialLR's then sets the rate back,
turns all counters below it back by one, and takes the first step of the member that is first once more. The order of
construction is that of the text: members before their composite, each list from left to right.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from typing_extensions import override

from scheduler.builtin.stepped import ActiveMember, Segment
from scheduler.builtin.twin import Group, Twin

MAX_ACTIVE = 100_000
"""Members that take part in the segments between all milestones, each counted once per segment."""


def segments(built: Counter, group: Group) -> Iterator[Segment]:
    """Segments from step 1 on, with the members active in each. Raises `ValueError` above `MAX_ACTIVE` members."""
    step, count = 1, 0
    while True:
        segment = Segment(step, tuple(built.step(group)))
        count += len(segment.members)
        if count > MAX_ACTIVE:
            raise ValueError(
                f"schedulers must be fewer, or have fewer milestones: the members that step at once, counted between "
                f"every two milestones, must be at most {MAX_ACTIVE}"
            )
        yield segment
        ahead = built.until_change()
        if ahead == math.inf:
            return
        built.skip(int(ahead) - 1)
        step += int(ahead)


class Counter(ABC):
    """The counter of one torch scheduler. Constructing it has the effects of torch's constructor on the group."""

    @abstractmethod
    def undo(self) -> None:
        """Turn the counter back by one, as SequentialLR's constructor does."""

    @abstractmethod
    def begin(self, group: Group) -> None:
        """Take the first step once more, as SequentialLR's constructor does with the member that is first."""

    @abstractmethod
    def restart(self, group: Group) -> list[ActiveMember]:
        """Start at a milestone. Raises `ValueError` where torch fails to."""

    @abstractmethod
    def step(self, group: Group) -> list[ActiveMember]:
        """Step once. Returns the members that are active in the step, in order."""

    @abstractmethod
    def until_change(self) -> float:
        """Number of steps until one differs from those before it; infinity where none does."""

    @abstractmethod
    def skip(self, steps: int) -> None:
        """Take `steps` steps that do not differ."""


class Leaf(Counter):
    """A scheduler that is not a composite."""

    def __init__(self, twin: Twin, group: Group) -> None:
        self._twin = twin.enter_group(group)
        self._clock = 0
        group["lr"] = self._twin.rate_when_built(group)
        self._drive_momentum(group)

    def _drive_momentum(self, group: Group) -> None:
        if len(self._twin.column_names) > 1:
            group["momentum"] = self._seen(group).momentum_at(0)

    def _seen(self, group: Group) -> Twin:
        """The twin with what it reads from the group, kept until that changes."""
        self._twin = self._twin.as_read_from(group)
        return self._twin

    @override
    def undo(self) -> None:
        if not self._twin.counts_calls:
            self._clock -= 1

    @override
    def begin(self, group: Group) -> None:
        self._clock = 0
        group["lr"] = self._seen(group).first_rate(group["lr"])
        self._drive_momentum(group)

    @override
    def restart(self, group: Group) -> list[ActiveMember]:
        twin = self._seen(group)
        if twin.counts_calls:
            return [ActiveMember(twin, self._clock)]
        self._clock = 0
        twin.rate_at_milestone(0.0)  # raises where it cannot; the rate before it is not known yet
        return [ActiveMember(twin, 0, restarts=True)]

    @override
    def step(self, group: Group) -> list[ActiveMember]:
        self._clock += 1
        return [ActiveMember(self._seen(group), self._clock)]

    @override
    def until_change(self) -> float:
        return math.inf

    @override
    def skip(self, steps: int) -> None:
        self._clock += steps


class _Composite(Counter):
    def __init__(self, kind: str, members: Sequence[Counter]) -> None:
        self._kind = kind
        self._members = members

    @override
    def undo(self) -> None:
        for member in self._members:
            member.undo()

    @override
    def begin(self, group: Group) -> None:
        first = Segment(0, tuple(self.step(group)))
        group["lr"] = first.enter(group["lr"])
        if driving := first.driving:
            group["momentum"] = driving.twin.momentum_at(driving.clock)

    @override
    def restart(self, group: Group) -> list[ActiveMember]:
        raise ValueError(f"torch cannot start a {self._kind} at a milestone; only the first member may be a composite")


class Chain(_Composite):
    """A ChainedScheduler: every member steps at every step."""

    @override
    def step(self, group: Group) -> list[ActiveMember]:
        return [active for member in self._members for active in member.step(group)]

    @override
    def until_change(self) -> float:
        return min(member.until_change() for member in self._members)

    @override
    def skip(self, steps: int) -> None:
        for member in self._members:
            member.skip(steps)


class Series(_Composite):
    """A SequentialLR: one member steps at a time."""

    def __init__(self, kind: str, members: Sequence[Counter], milestones: Sequence[int], group: Group) -> None:
        super().__init__(kind, members)
        self._milestones = milestones
        self._clock = 0
        group["lr"] = group["initial_lr"]
        self.undo()
        self._active.begin(group)

    @property
    def _index(self) -> int:
        return bisect_right(self._milestones, self._clock)

    @property
    def _active(self) -> Counter:
        return self._members[self._index]

    @override
    def step(self, group: Group) -> list[ActiveMember]:
        self._clock += 1
        if self._index == 0 or self._milestones[self._index - 1] != self._clock:
            return self._active.step(group)
        try:
            return self._active.restart(group)
        except ValueError as error:
            raise ValueError(f"schedulers[{self._index}]: {error}") from None

    @override
    def until_change(self) -> float:
        following = self._milestones[self._index : self._index + 1]
        return min(self._active.until_change(), *(milestone - self._clock for milestone in following), math.inf)

    @override
    def skip(self, steps: int) -> None:
        self._clock += steps
        self._active.skip(steps)
