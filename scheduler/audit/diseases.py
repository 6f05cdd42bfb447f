"""The known diseases of learning rates: what each makes a run log, and which of them a log looks like.

A disease is a hypothesis: it predicts every logged rate from the planned ones, and holds only if all agree at the log's
precision. Of those that hold the one with the fewest free parameters is named; where several have as few, all are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from scheduler.audit.lengths import OtherLength, changed_lengths, other_lengths, usual_interval
from scheduler.audit.logs.logged import Steps
from scheduler.audit.planned import Beyond, Observed, Places, Planned
from scheduler.audit.rounding import roundest_float
from scheduler.fields import Values

Name = Literal[
    "stepped once per process",
    "warmup repeated after a resume",
    "denominator changed",
    "one step late",
    "T_max too short",
    "constant because never applied",
    "another rate",
    "resumed at another row",
    "next step's rate logged",
    "stepped once per epoch",
]

_MOST_PROCESSES = 64
_MOST_RESUMES = 8
_MOST_EPOCH = 10**6  # updates of an epoch
_FEWEST_SHIFTED = 3  # logged rates that show a shift
_FIRST_COMPARED = 1024  # rates that are compared before further ones are looked at
_MOST_TRIED = 1000  # numbers that are compared with every logged rate


@dataclass(frozen=True)
class Disease:
    """A disease that explains a log.

    Args:
        name: which one.
        detail: what happened in this run, in one sentence without a full stop.
        parameters: what was found in the log, such as {"times": 2}.
        predicted: the rates that it predicts at the log's steps, shape [n].
        free: number of parameters that were chosen so that it fits.
    """

    name: Name
    detail: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    predicted: Values = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    free: int = 0


def diagnose(observed: Observed, planned: Planned) -> tuple[Disease, ...]:
    """The diseases that explain a log whose rates differ from the planned ones: the simplest, none if none does."""
    wrong = ~observed.agrees(planned.at(observed.updates))
    if not wrong.any() or not np.isfinite(observed.values).all():
        return ()
    first = int(np.argmax(wrong))
    found: list[Disease] = []
    for least, searches in SEARCHES.items():
        if any(disease.free < least for disease in found):
            break
        found += [disease for search in searches for disease in search(observed, planned, first)]
    fewest = min((disease.free for disease in found), default=0)
    simplest = {disease.name: disease for disease in reversed(found) if disease.free == fewest}
    return tuple(sorted(simplest.values(), key=lambda disease: _ORDER.index(disease.name)))


def _one_step_late(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    del first
    updates = np.maximum(observed.updates - 1, np.minimum(observed.updates, 0))
    if (rates := observed.rates_that_explain(lambda places: planned.at(updates[places]))) is not None:
        yield Disease("one step late", "update k used row k - 1: each rate arrived one update late", {}, rates)


def _next_rate(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    del first
    if (rates := observed.rates_that_explain(lambda places: planned.at(observed.updates[places] + 1))) is not None:
        detail = (
            "what is logged at step k is row k + 1: the rate was read after the scheduler's step, and not when used"
        )
        yield Disease("next step's rate logged", detail, {}, rates)


def _stepped_often(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    del first
    interval = usual_interval(observed.updates)
    for times in range(2, _MOST_PROCESSES + 1):
        if (rates := _explaining(observed, planned, times)) is not None:
            detail = (
                f"update k used row {times}k: the scheduler was stepped {times} times per update, as where each of "
                f"{times} processes, or each of {times} micro-batches, steps it"
            )
            yield Disease(
                "stepped once per process",
                detail,
                {"times": times},
                rates,
                free=1 if times * interval <= planned.updates else 2,
            )
            return


def _stepped_rarely(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """Row k // m in update k. A rate is wrong from update m - 1 on at the latest."""
    last = int(observed.updates.max())
    every = np.arange(2, min(last, _MOST_EPOCH) + 1)
    low, high = observed.bounds
    for probe in {first, len(observed.values) // 2, len(observed.values) - 1}:
        rates = planned.at(observed.updates[probe] // every)
        every = every[(low[probe] <= rates) & (rates <= high[probe])]
    for updates in every[:_MOST_TRIED].tolist():
        found = observed.rates_that_explain(partial(_every, observed, planned, updates))
        if found is not None:
            detail = f"update k used row k // {updates}: the scheduler was stepped once every {updates} updates"
            yield Disease("stepped once per epoch", detail, {"updates": updates}, found, free=1)
            return


def _every(observed: Observed, planned: Planned, updates: int, places: Places) -> Values:
    return planned.at(observed.updates[places] // updates)


def _never_applied(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """One rate throughout, where the plan has several."""
    del first
    low, high = observed.bounds
    rates = planned.at(observed.updates)
    if low.max() <= high.min() and np.ptp(rates) > (high - low).max():
        value = float(observed.values[0])
        detail = f"every logged rate is {value!r}: no rate of the schedule ever reached the optimizer"
        yield Disease(
            "constant because never applied", detail, {"rate": value}, np.full(len(observed.values), value), free=1
        )


def _another_rate(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """All planned rates times one factor."""
    del first
    low, high = observed.bounds
    rates = planned.at(observed.updates)
    is_some = rates > 0
    if not is_some.any():
        return
    least, most = float((low[is_some] / rates[is_some]).max()), float((high[is_some] / rates[is_some]).min())
    factor = roundest_float(least, most)
    if factor > 0 and observed.explained(rates * factor):
        what = "the logged rate is" if len(rates) == 1 else "every logged rate is"
        detail = f"{what} {factor:.6g} times the planned one"
        yield Disease("another rate", detail, {"factor": factor}, rates * factor, free=1)


def _resumed_from_start(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """Row k - r from some update r on, for one resume or for several in turn."""
    rates = planned.at(observed.updates).copy()
    resumes: list[tuple[int, int]] = []
    begin = first
    while begin < len(rates):
        found = _restart(observed, planned, begin)
        if found is None or len(resumes) == _MOST_RESUMES:
            break
        low, high, end = found
        rates[begin:end] = planned.at(observed.updates[begin:end] - high)
        resumes.append((low, high))
        begin = end
    if begin == len(rates):
        said = " and ".join(_between(low, high) for low, high in resumes)
        detail = f"the schedule began again from row 0 at {said}, while the step counter went on"
        steps = [high for _, high in resumes]
        yield Disease("warmup repeated after a resume", detail, {"resumed_at": steps}, rates, free=len(steps))
        return
    yield from _warmed_up_again(observed, planned, first)


def _restart(observed: Observed, planned: Planned, begin: int) -> tuple[int, int, int] | None:
    """The least and the largest update at which a restart explains most values from `begin` on, and where they end."""
    updates = observed.updates
    at, before = int(updates[begin]), int(updates[begin - 1]) if begin else 0
    candidates = np.arange(max(before if at > before else at - _widest_gap(updates), 1), at + 1)
    low, high = observed.bounds
    rates = planned.at(at - candidates)
    candidates = candidates[(low[begin] <= rates) & (rates <= high[begin])]
    best: list[tuple[int, int]] = []
    for resumed in candidates[-_MOST_TRIED:].tolist():
        end = _agree_until(observed, planned, begin, resumed)
        if not best or end > best[0][1]:
            best = [(resumed, end)]
        elif end == best[0][1]:
            best.append((resumed, end))
    return (best[0][0], best[-1][0], best[0][1]) if best else None


def _agree_until(observed: Observed, planned: Planned, begin: int, resumed: int) -> int:
    """The index of the first value from `begin` on that is not that of a schedule which began anew."""
    low, high = observed.bounds
    size = _FIRST_COMPARED
    while begin < len(low):
        some = slice(begin, begin + size)
        rates = planned.at(observed.updates[some] - resumed)
        agrees = (low[some] <= rates) & (rates <= high[some])
        if not agrees.all():
            return begin + int(np.argmin(agrees))
        begin, size = begin + len(agrees), size * 4
    return len(low)


def _widest_gap(updates: Steps) -> int:
    """How far the updates of two logged rates lie apart, at most: a resume lies no longer before its first rate."""
    return int(np.diff(np.unique(updates)).max(initial=1))


def _between(low: int, high: int) -> str:
    return f"update {high}" if low == high else f"an update from {low} to {high}"


def _warmed_up_again(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """The planned rate times the warmup's factor, which begins again at some update."""
    top = int(np.argmax(planned.rows))
    if top == 0:
        return
    factors = planned.rows[: top + 1] / planned.rows[top]
    at, before = int(observed.updates[first]), int(observed.updates[first - 1]) if first else 0
    plain = planned.at(observed.updates)
    begin = before if at > before else at - _widest_gap(observed.updates)
    for resumed in range(max(begin, 1, at - _MOST_TRIED), at + 1):

        def rewarmed(places: Places, resumed: int = resumed) -> Values:
            rates: Values = plain[places] * factors[np.clip(observed.updates[places] - resumed, 0, top)]
            return rates

        if (rates := observed.rates_that_explain(rewarmed, first)) is not None:
            detail = f"the warmup began again at update {resumed}, while the rest of the schedule went on"
            predicted = np.concatenate([plain[:first], rates])
            yield Disease("warmup repeated after a resume", detail, {"resumed_at": [resumed]}, predicted, free=1)
            return


def _began_elsewhere(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """Row k + rows from the first logged rate on."""
    del first
    return _shifted(observed, planned, 0)


def _resumed_elsewhere(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """The same from some update on."""
    return _shifted(observed, planned, first) if first else iter(())


def _shifted(observed: Observed, planned: Planned, begin: int) -> Iterator[Disease]:
    updates = observed.updates
    low, high = observed.bounds
    if len(updates) - begin < _FEWEST_SHIFTED or np.ptp(observed.values[begin:]) <= (high - low).max():
        return
    every = np.arange(planned.updates)
    rates = planned.at(every)
    shifts = every[(low[begin] <= rates) & (rates <= high[begin])] - updates[begin]
    rates = planned.at(updates[begin + 1] + shifts, "formula")
    shifts = shifts[(low[begin + 1] <= rates) & (rates <= high[begin + 1])]
    for rows in sorted(shifts.tolist(), key=abs)[:_MOST_TRIED]:
        for way in _ways(planned):
            found = observed.rates_that_explain(partial(_ahead, observed, planned, rows, way), begin)
            if found is not None:
                predicted = np.concatenate([planned.at(updates[:begin]), found])
                since = int(updates[begin])
                what = f"row k {'+' if rows > 0 else '-'} {abs(rows)}: the schedule is {abs(rows)} updates"
                detail = f"from update {since} on update k used {what} {'ahead' if rows > 0 else 'behind'}"
                parameters = {"rows": rows, "since": since}
                yield Disease("resumed at another row", detail, parameters, predicted, free=2 if begin else 1)
                return


def _ahead(observed: Observed, planned: Planned, rows: int, way: Beyond, places: Places) -> Values:
    return planned.at(observed.updates[places] + rows, way)


def _other_length(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    del first
    return (_of_length(found, observed, free=1) for found in other_lengths(observed, planned))


def _changed_length(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    return (_of_length(found, observed, free=2) for found in changed_lengths(observed, planned, first))


def _of_length(found: OtherLength, observed: Observed, free: int) -> Disease:
    what = f"the rates are those of the same schedule over {found.said} updates, not {found.planned}"
    if found.interval is not None:  # how often it went up and down in between was chosen, too
        what += f" (the log has one rate in {found.interval} updates: other lengths may look the same)"
        free += 1
    if found.since is not None:
        detail, parameters = f"{what}, from update {found.since} on", {"length": found.length, "since": found.since}
        return Disease("denominator changed", detail, parameters, found.rates, free)
    if found.length > min(int(observed.updates.max()), found.planned):
        return Disease("denominator changed", what, {"length": found.length}, found.rates, free)
    detail = f"{what}: it was over before the run, and {found.afterwards}"
    return Disease("T_max too short", detail, {"length": found.length}, found.rates, free)


def _held(observed: Observed, planned: Planned, first: int) -> Iterator[Disease]:
    """The planned rate up to some row, and that row's from there on."""
    if first == 0 or first == len(observed.values) - 1:
        return
    before, at = int(observed.updates[first - 1]), int(observed.updates[first])
    if at <= before:
        return
    low, high = observed.bounds
    if low.max() <= high.min():  # a constant is another disease
        return
    rows = np.arange(before, at)
    rates = planned.at(rows)
    stands = rows[(low[first:].max() <= rates) & (rates <= high[first:].min())]
    if len(stands):
        row = int(stands[0])
        predicted = planned.at(np.minimum(observed.updates, row))
        detail = f"the rates follow the table up to row {row}, which is held from there on: the schedule ended early"
        yield Disease("T_max too short", detail, {"held_row": row}, predicted, free=1)


def _explaining(observed: Observed, planned: Planned, times: int) -> Values | None:
    """The planned rates of so many times the updates where they explain the log, with what may come past the end."""
    for way in _ways(planned):
        at = partial(_times, observed, planned, times, way)
        if (rates := observed.rates_that_explain(at)) is not None:
            return rates
    return None


def _times(observed: Observed, planned: Planned, times: int, way: Beyond, places: Places) -> Values:
    return planned.at(observed.updates[places] * times, way)


def _ways(planned: Planned) -> Sequence[Beyond]:
    return ("hold", "formula") if planned.schedule is not None else ("hold",)


SEARCHES: Mapping[int, Sequence[Callable[[Observed, Planned, int], Iterable[Disease]]]] = MappingProxyType(
    {
        0: (_one_step_late, _next_rate),
        1: (
            _stepped_often,
            _stepped_rarely,
            _never_applied,
            _another_rate,
            _resumed_from_start,
            _began_elsewhere,
            _other_length,
            _held,
        ),
        2: (_changed_length, _resumed_elsewhere),
    }
)
"""Least number of free parameters to the searches for diseases, each given the index of the first wrong rate."""

_ORDER: Sequence[Name] = (
    "one step late",
    "next step's rate logged",
    "constant because never applied",
    "another rate",
    "stepped once per process",
    "stepped once per epoch",
    "warmup repeated after a resume",
    "resumed at another row",
    "T_max too short",
    "denominator changed",
)
