"""Warnings about a schedule whose length does not fit the training, or whose floor is above its peak.

One rule serves all kinds. A schedule states how many steps it is made for (`Schedule.stated_steps`), which of them are
a warmup, and what the rate does past them. The warnings follow from that and from the length of the training. A
composite passes on the warnings of its parts, each for its own share of the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, NamedTuple, Protocol, runtime_checkable
from warnings import warn

MAX_WARNINGS = 10
"""Most warnings given for one schedule, or for one spec."""
_EXAMINED = 1000  # warnings looked at, many of which may be the same

About = Literal["short", "level", "curve"]
"""Too few steps; more steps than are meant, at one rate; or something else."""


class ScheduleWarning(UserWarning):
    """A schedule is used in a way that is legal and rarely meant."""


class PlacedWarning(NamedTuple):
    """A warning, and the part of the schedule that it is about."""

    about: About
    text: str
    place: str = ""

    def within(self, place: str) -> PlacedWarning:
        """The same warning, given by a composite about its part in this place."""
        return self._replace(place=f"{place}.{self.place}" if self.place else place)


class Stated(Protocol):
    """The properties of a schedule that warnings follow from: see `scheduler.schedule.Schedule`."""

    @property
    def kind(self) -> str:
        """Its name."""

    @property
    def stated_steps(self) -> int | None:
        """Number of steps that it is made for."""

    @property
    def warmup_field(self) -> tuple[str, int] | None:
        """The parameter that sets the length of its warmup, and its value."""

    @property
    def rising_steps(self) -> int:
        """Number of steps at the beginning in which the rate rises."""

    @property
    def over(self) -> int | None:
        """The step from which it is over."""

    @property
    def afterwards(self) -> str | None:
        """Course of the rate past the stated steps."""


@runtime_checkable
class Falling(Protocol):
    """A schedule whose rate falls to a floor."""

    @property
    def floor_field(self) -> tuple[str, float, float]:
        """The parameter that sets the floor, the floor's rate, and the rate that falls to it."""


def sentences(warnings: Iterable[PlacedWarning]) -> list[str]:
    """Each warning's text once, its place in front; no more than `MAX_WARNINGS`."""
    texts = (f"{warning.place}: {warning.text}" if warning.place else warning.text for warning in warnings)
    return shortened(islice(texts, _EXAMINED))


def shortened(texts: Iterable[str]) -> list[str]:
    """Each text once. Of more than `MAX_WARNINGS`, the first of them and a line that says how many are left out."""
    distinct = list(dict.fromkeys(texts))
    rest = len(distinct) - MAX_WARNINGS
    return distinct[:MAX_WARNINGS] + ([f"there are more warnings: {rest} are left out here"] if rest > 0 else [])


def warn_of(messages: Iterable[str], *, stacklevel: int) -> None:
    """Issue each message as a `ScheduleWarning`, at the line `stacklevel` calls up, this one included."""
    for message in messages:
        warn(message, ScheduleWarning, stacklevel)


def of_length(schedule: Stated, steps: int, *, part: bool) -> Iterator[PlacedWarning]:
    """Warnings about a schedule that is used for `steps` steps; as a `part` of a composite its last value is held."""
    if isinstance(schedule, Falling):
        yield from _of_floor(schedule, schedule.kind)
    stated, kind = schedule.stated_steps, schedule.kind
    name, rising = schedule.warmup_field or ("", 0)
    if steps <= rising:
        yield PlacedWarning(
            "short",
            f"the warmup is as long as the training: {steps} steps are no more than the {rising} {name} of this "
            f"{kind}, so the rate only ever rises",
        )
    elif stated is None:
        return
    elif steps < stated:
        yield PlacedWarning(
            "short", f"this {kind} is made for {stated} steps and gets {steps}: the rest of it is cut off"
        )
    elif steps > stated and (later := _later(schedule, part=part)):
        about, spare, what = later
        if steps > stated + spare:
            text = f"this {kind} is made for {stated} steps and gets {steps}: from step {stated} on the rate {what}"
            yield PlacedWarning(about, text)


def _of_floor(schedule: Falling, kind: str) -> Iterator[PlacedWarning]:
    """Warn of a floor above the peak. The libraries accept it, and so do their twins."""
    name, floor, peak = schedule.floor_field
    if floor > peak:
        falls = f"the rate rises where this {kind} is to let it fall"
        yield PlacedWarning("curve", f"{falls}: {name} sets its floor to {floor:g}, above {peak:g}, where it begins")


def _later(schedule: Stated, *, part: bool) -> tuple[About, int, str] | None:
    """Kind of warning past the stated steps, number of steps that need none, and what the rate does there."""
    if part and schedule.over is not None:
        return "level", 0, "is held"
    if (what := schedule.afterwards) is None:
        return None
    return ("curve", 1, what) if what.startswith("rises") else ("level", 0, what)  # its turn is at the step itself


def cut_warmup(part: Stated, steps: int) -> Iterator[PlacedWarning]:
    """Warn where the next part begins before this one has finished its warmup."""
    if steps < part.rising_steps:
        rises = f"this {part.kind} rises for {part.rising_steps} steps and gets {steps}"
        yield PlacedWarning("curve", f"{rises}: what follows begins before it is up")
