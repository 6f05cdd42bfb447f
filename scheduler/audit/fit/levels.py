"""Rates that stay level and jump: steps down by a factor, at regular steps or at milestones, and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from scheduler.audit.logs.logged import Steps
from scheduler.audit.planned import Observed
from scheduler.audit.rounding import roundest, roundest_float
from scheduler.builtin import CosineAnnealingWarmRestarts, MultiStepLR, StepLR
from scheduler.compose import Constant, Sequence
from scheduler.fields import Values
from scheduler.schedule import Schedule

_MOST_LEVELS = 50
_FEWEST_ON_EACH = 2
_LARGEST_FACTOR = 1000.0
_FEWEST_RATES = 4  # logged on each level: fewer are a slope


def level_schedules(observed: Observed) -> Iterator[tuple[Schedule, int]]:
    """Schedules of level rates that a log may be of, and the number of free parameters of each."""
    low, high = observed.bounds
    jumps = _jumps(low, high)
    if not jumps or len(jumps) > min(_MOST_LEVELS, len(low) // _FEWEST_RATES):
        return
    ends = [*jumps, len(low)]
    if min(np.diff([0, *jumps])) < _FEWEST_ON_EACH:
        return
    levels = [
        (float(low[begin:end].max()), float(high[begin:end].min()))
        for begin, end in zip([0, *jumps], ends, strict=True)
    ]
    brackets = [(int(observed.updates[at - 1]) + 1, int(observed.updates[at])) for at in jumps]
    base = _round(*levels[0])
    falls = list(pairwise(levels))
    gamma = _round(
        max(level[0] / before[1] for before, level in falls),
        min(level[1] / before[0] if before[0] > 0 else np.inf for before, level in falls),
    )
    milestones = [roundest(*bracket) for bracket in brackets]
    if 0 < gamma <= _LARGEST_FACTOR:
        yield from _regular(base, gamma, brackets)
        yield MultiStepLR(base, milestones, gamma), 2 + len(milestones)
    rates = [Constant(_round(*level)) for level in levels]
    lengths = np.diff([0, *milestones]).tolist()
    yield Sequence(rates, lengths), 1 + 2 * len(milestones)


def restart_schedules(observed: Observed) -> Iterator[tuple[Schedule, int]]:
    """Cosine annealing with warm restarts, each cycle once or twice as long as the one before, and so on."""
    values, updates = observed.values, observed.updates
    peak = float(values.max())
    jumps = [index for index in np.flatnonzero(np.diff(values) > 0.3 * peak) + 1 if index > 1]
    if not jumps:
        return
    at = jumps[0]
    for factor in (1, 2, 3):
        for length in range(int(updates[at - 1]) + 1, int(updates[at]) + 1):
            if (found := _restarting(observed, length, factor)) is not None:
                yield found, 3 + (factor > 1)
                break


def _restarting(observed: Observed, length: int, factor: int) -> Schedule | None:
    low, high = observed.bounds
    since, lengths = _cycles(observed.updates, length, factor)
    fall = (1 + np.cos(np.pi * since / lengths)) / 2
    basis = np.stack([fall, 1 - fall], axis=1)
    peak, floor = np.linalg.lstsq(basis, observed.values, rcond=None)[0].tolist()
    left = np.abs(basis @ np.array([peak, floor]) - observed.values)
    if left.max() > np.maximum(high - low, 1e-6 * peak).max():
        return None
    width = float(left.max()) + 1e-9 * peak
    base, least = roundest_float(peak - width, peak + width), max(roundest_float(floor - width, floor + width), 0.0)
    least = 0.0 if least <= width else least
    return CosineAnnealingWarmRestarts(base, length, factor, eta_min=least)


def _cycles(updates: Steps, length: int, factor: int) -> tuple[Steps, Values]:
    """The updates since the cycle began, and the cycle's length, both of the shape of `updates`."""
    if factor == 1:
        return updates % length, np.full(len(updates), float(length))
    begins, cycle = [0], length
    while begins[-1] + cycle <= updates.max():
        begins.append(begins[-1] + cycle)
        cycle *= factor
    cycles = np.searchsorted(begins, updates, side="right") - 1
    since: Steps = updates - np.array(begins)[cycles]
    return since, np.asarray(length * float(factor) ** cycles, dtype=np.float64)


def _regular(base: float, gamma: float, brackets: list[tuple[int, int]]) -> Iterator[tuple[Schedule, int]]:
    """Jumps after the same number of updates each."""
    low = max(-(-begin // number) for number, (begin, _) in enumerate(brackets, start=1))
    high = min(end // number for number, (_, end) in enumerate(brackets, start=1))
    if low <= high:
        yield StepLR(base, roundest(low, high), gamma), 3


def _jumps(low: Values, high: Values) -> list[int]:
    """The indices at which a new level begins."""
    jumps: list[int] = []
    at_least, at_most = float(low[0]), float(high[0])
    for index, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if max(at_least, least) > min(at_most, most):
            jumps.append(index)
            at_least, at_most = least, most
        at_least, at_most = max(at_least, least), min(at_most, most)
        if len(jumps) > _MOST_LEVELS:
            break
    return jumps


def _round(low: float, high: float) -> float:
    return roundest_float(low, high) if low < high else (low + high) / 2
