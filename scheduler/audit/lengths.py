"""The same schedule over another number of updates: which one explains a log, and from which update on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from scheduler.audit.logs.logged import Steps
from scheduler.audit.planned import Observed, Planned, schedule_at
from scheduler.audit.rounding import roundest
from scheduler.fields import Values
from scheduler.registry import KINDS, parse
from scheduler.schedule import Schedule

_TOTALS = ("total_steps", "num_training_steps", "T_max", "total_iters", "steps", "T_0")
_FURTHEST = 64  # times longer or shorter than planned
_PROBES = 24  # logged rates that a length is tried with before all of them are compared
_GRID, _SHARES, _REFINED = 160, 16, 6
_WIDEST = 2000  # lengths that explain a log equally, looked at

Rates = Callable[[Steps], Sequence[Values]]
"""Updates to rates, once for each thing that may come after the end."""


@dataclass(frozen=True)
class OtherLength:
    """A length that explains a log.

    Args:
        length: updates until the schedule ends.
        planned: those of the schedule as planned.
        said: the length, or where several explain the log, which.
        since: the update from which on it holds; None from the start.
        afterwards: what comes after its end.
        rates: the rates that it predicts, shape [n].
        interval: updates from one logged rate to the next, where the length is less: others then look the same.
    """

    length: int
    planned: int
    said: str
    since: int | None
    afterwards: str
    rates: Values
    interval: int | None = None


@dataclass(frozen=True)
class _Family:
    """The schedule with one count of steps free."""

    planned: int  # the count as planned
    end: Callable[[int], int]
    rates: Callable[[int, Steps], Sequence[Values]]


_AFTERWARDS = ("its formula went on", "its last rate was held", "the rate rose again")


def other_lengths(observed: Observed, planned: Planned) -> Iterator[OtherLength]:
    """The lengths that explain all logged rates by one count of steps of the schedule alone."""
    yield from _plausible(each for family in _families(planned) for each in _explaining(observed, family, 0))


def changed_lengths(observed: Observed, planned: Planned, first: int) -> Iterator[OtherLength]:
    """The lengths that explain them with two things changed: the warmup's length too, or from index `first` on only."""
    in_proportion = list(_proportional(planned))
    found = list(_plausible(each for family in in_proportion for each in _explaining(observed, family, 0)))
    if not found and first > 0:
        families = [*_families(planned), *in_proportion]
        later = (each for family in families for each in _explaining(observed, family, first))
        found = [_since(observed, planned, first, each) for each in _plausible(later)]
    yield from found


def _plausible(found: Iterator[OtherLength]) -> Iterator[OtherLength]:
    """The first that the log is dense enough to tell, else the first."""
    vague: list[OtherLength] = []
    for each in found:
        if each.interval is None:
            yield each
            return
        vague.append(each)
    yield from vague[:1]


def usual_interval(updates: Steps) -> int:
    """How many updates usually lie from one logged rate to the next, at least 1."""
    gaps = np.diff(np.unique(updates))
    return int(np.median(gaps)) if len(gaps) else 1


def _since(observed: Observed, planned: Planned, first: int, found: OtherLength) -> OtherLength:
    rates = np.concatenate([planned.at(observed.updates[:first]), found.rates])
    return replace(found, since=int(observed.updates[first]), rates=rates)


def _explaining(observed: Observed, family: _Family, begin: int) -> Iterator[OtherLength]:
    updates = observed.updates[begin:]
    if len(updates) < 2 or updates.min() < 0:
        return
    probes = np.unique(np.linspace(0, len(updates) - 1, _PROBES).round().astype(int))
    low, high = (bound[begin:][probes] for bound in observed.bounds)

    def error(length: int) -> float:
        ways = family.rates(length, updates[probes])
        excess = [np.maximum(np.maximum(low - rates, rates - high), 0).max() for rates in ways]
        return float(min((value for value in excess if not math.isnan(value)), default=math.inf))

    interval = usual_interval(updates)
    for length in _lengths(error, family.planned, int(updates.max()) + 1, interval):
        for way, rates in _ways(observed, family, begin, length):
            if not observed.explained(rates, begin):
                continue
            shortest, longest = _range(observed, family, begin, length, way)
            chosen = roundest(shortest, longest)
            end = family.end(chosen)
            others = (
                "" if shortest == longest else f" ({family.end(shortest)} to {family.end(longest)} explain it, too)"
            )
            predicted = family.rates(chosen, updates)[way]
            planned = family.end(family.planned)
            too_short = interval if length < interval else None
            yield OtherLength(end, planned, f"{end}{others}", None, _AFTERWARDS[way], predicted, too_short)
            return


def _ways(observed: Observed, family: _Family, begin: int, length: int) -> Iterator[tuple[int, Values]]:
    """The rates for each thing that may come after the end; none where some rates show that none explains the log."""
    some = observed.telling(begin)
    if some is not None and not any(
        observed.agrees_at(some, rates) for rates in family.rates(length, observed.updates[some])
    ):
        return
    yield from enumerate(family.rates(length, observed.updates[begin:]))


def _lengths(error: Callable[[int], float], planned: int, last: int, interval: int) -> Iterator[int]:
    """The lengths whose error is 0, from a grid and then between its points: the likeliest first.

    A curve that goes up and down in fewer updates than lie between two logged rates looks there like a slower one. Such
    lengths come last, and of the others those nearest to the plan come first.
    """
    shares = {round(planned * share) for n in range(2, _SHARES + 1) for share in (n, 1 / n)}
    grid = np.geomspace(max(planned / _FURTHEST, 1), planned * _FURTHEST, _GRID).round().astype(int)
    lengths: list[int] = sorted(
        {length for length in (*grid.tolist(), *shares, last - 1, last, last + 1) if length > 0}
    )
    tried = {length: error(length) for length in lengths}
    for some in ([n for n in lengths if n >= interval], [n for n in lengths if n < interval]):
        fitting = [length for length in some if tried[length] == 0]
        yield from sorted(fitting, key=lambda length: abs(math.log(length / planned)))
        for length in sorted(some, key=tried.__getitem__)[:_REFINED]:
            at = some.index(length)
            found = _lowest(error, some[max(at - 1, 0)], some[min(at + 1, len(some) - 1)])
            if found not in tried and error(found) == 0:
                yield found


def _lowest(error: Callable[[int], float], low: int, high: int) -> int:
    """Where an error that falls and then rises is lowest."""
    while high - low > 3:
        left, right = low + (high - low) // 3, high - (high - low) // 3
        if error(left) <= error(right):
            high = right
        else:
            low = left
    return min(range(low, high + 1), key=error)


def _range(observed: Observed, family: _Family, begin: int, length: int, way: int) -> tuple[int, int]:
    """The shortest and the longest length around one that explain the log in the same way."""

    def explains(length: int) -> bool:
        ways = dict(_ways(observed, family, begin, length)) if length >= 1 else {}
        return way in ways and observed.explained(ways[way], begin)

    ends = []
    for direction in (-1, 1):
        reach = 0
        step = 1
        while step <= _WIDEST and explains(length + direction * (reach + step)):
            reach, step = reach + step, step * 2
        while step >= 1:
            if explains(length + direction * (reach + step)):
                reach += step
            step //= 2
        ends.append(length + direction * reach)
    return ends[0], ends[1]


# -- families ---------------------------------------------------------------------------------------------------------


def _families(planned: Planned) -> Iterator[_Family]:
    """One for each count of steps in the schedule; without a schedule that of the rows."""
    schedule = _known(planned)
    if schedule is None:
        if planned.updates > 1:
            yield _of_table(planned)
        return
    data, end = schedule.to_dict(), _end(schedule, planned)
    for path in _totals(data):
        count = _value(data, path)
        yield _of_schedule(count, partial(_with, schedule, data, path), _shifted(end, count))


def _proportional(planned: Planned) -> Iterator[_Family]:
    """The one with all counts of steps in proportion, its warmup's too."""
    schedule = _known(planned)
    if schedule is not None:
        data, end = schedule.to_dict(), _end(schedule, planned)
        if next(_totals(data), None) is not None:
            yield _of_schedule(end, lambda length: parse(_scaled(data, length, end)), lambda length: length)


def _known(planned: Planned) -> Schedule | None:
    """The schedule where an update is a step of it."""
    schedule = planned.schedule
    is_registered = schedule is not None and schedule.kind in KINDS
    return schedule if is_registered and planned.progress_per_update == planned.stride else None


def _end(schedule: Schedule, planned: Planned) -> int:
    return schedule.end or schedule.stated_steps or planned.updates


def _shifted(end: int, count: int) -> Callable[[int], int]:
    return lambda length: end + length - count


def _of_schedule(count: int, make: Callable[[int], Schedule], end: Callable[[int], int]) -> _Family:
    def rates(length: int, updates: Steps) -> Sequence[Values]:
        try:
            schedule = make(length)
        except ValueError:  # a count that contradicts another one
            return ()
        last = end(length)
        if last < 1:
            return ()
        went_on = schedule_at(schedule, updates)
        if updates.max() < last:
            return (went_on,)
        final = schedule_at(schedule, np.array([last - 1]))
        held = np.where(updates >= last, final, went_on)
        mirrored = np.where(updates > last, schedule_at(schedule, np.maximum(2 * last - updates, 0)), went_on)
        return went_on, held, np.where(updates > 2 * last, np.nan, mirrored)

    return _Family(count, end, rates)


def _of_table(planned: Planned) -> _Family:
    """The rows themselves, drawn out or pressed together; between two rows the line through them."""
    every = planned.at(np.arange(planned.updates))

    def rates(length: int, updates: Steps) -> Sequence[Values]:
        at = updates * (len(every) / length)
        positions = np.arange(len(every))
        return (
            np.interp(at, positions, every),
            np.interp(np.abs((at + len(every)) % (2 * len(every)) - len(every)), positions, every),
        )

    return _Family(len(every), lambda length: length, rates)


def _totals(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of the counts of steps in a schedule's JSON data, the largest first."""
    if isinstance(data, dict):
        for name, value in data.items():
            if name in _TOTALS and type(value) is int and value > 1:
                yield (*path, name)
            yield from _totals(value, (*path, name))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _totals(value, (*path, index))


def _value(data: Any, path: Sequence[Any]) -> int:
    for key in path:
        data = data[key]
    return int(data)


def _with(schedule: Schedule, data: Any, path: Sequence[Any], value: int) -> Schedule:
    """The schedule with another count of steps."""
    return schedule.replaced(**{path[0]: value}) if len(path) == 1 else parse(_replaced(data, path, value))


def _replaced(data: Any, path: Sequence[Any], value: int) -> Any:
    made = copy.deepcopy(data)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


def _scaled(data: Any, length: int, end: int) -> Any:
    """The data with every count of steps in proportion."""
    if isinstance(data, dict):
        return {name: _scaled(value, length, end) for name, value in data.items()}
    if isinstance(data, list):
        return [_scaled(value, length, end) for value in data]
    return round(data * length / end) if type(data) is int and data > 1 else data
