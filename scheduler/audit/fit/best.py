"""The schedule that explains a log best, with round parameters where they do."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from scheduler.audit.fit.forms import Form, Head, forms
from scheduler.audit.fit.levels import level_schedules, restart_schedules
from scheduler.audit.fit.makers import schedule_of
from scheduler.audit.fit.search import best_lengths, coefficients_of
from scheduler.audit.planned import Observed, Places, schedule_at
from scheduler.audit.rounding import roundest_float
from scheduler.compose import Constant
from scheduler.fields import Values
from scheduler.libraries import transformers
from scheduler.schedule import Schedule

_NEAR = 3  # forms this many times further from the log than the nearest are passed over
_SIMPLE = 4  # free parameters of jumps that are believed before a curve is tried
_DIGITS = 13
_MOST_FITTED = 4096  # logged rates that a curve is fitted to; all of them are compared with it
_ROUNDABLE = 1e-6  # what is left of a form that fits, as a share of the peak: its numbers are then rounded
_WHOLE = ("warmup", "stable", "total")


@dataclass(frozen=True)
class Fit:
    """A schedule that a run followed, or nearly.

    Args:
        schedule: the kind and its parameters.
        is_exact: whether it gives every logged rate at the log's precision.
        largest_deviation: the largest difference of a logged rate, at least 0.
        step: where that is, as logged.
        rates: its rates at the log's steps, shape [n].
        free: its number of free parameters.
    """

    schedule: Schedule
    is_exact: bool
    largest_deviation: float
    step: int
    rates: Values = field(repr=False, compare=False)
    free: int


def best_fit(observed: Observed, *, for_transformers: bool = False) -> Fit | None:
    """The schedule that explains a log best: the simplest of those that give every rate, else the nearest.

    None for a log with a rate that is no number, or with updates before the first.
    """
    if not np.isfinite(observed.values).all() or observed.updates.min() < 0:
        return None
    found: list[Fit] = []
    for schedule, free in _candidates(observed, for_transformers=for_transformers):
        if any(fit.is_exact and fit.free < free for fit in found):
            break
        found.append(_judged(observed, schedule, free))
    exact = [fit for fit in found if fit.is_exact]
    return min(exact or found, key=lambda fit: (0 if exact else fit.largest_deviation, fit.free), default=None)


def _candidates(observed: Observed, *, for_transformers: bool) -> Iterator[tuple[Schedule, int]]:
    """Schedules with their numbers of free parameters, those with fewer first."""
    level = sorted(_level(observed, for_transformers=for_transformers), key=lambda found: found[1])
    simple = [found for found in level if found[1] <= _SIMPLE]
    yield from simple
    if not any(free == 1 for _, free in simple):
        yield from heapq.merge(level[len(simple) :], _curved(observed, for_transformers), key=lambda found: found[1])


def _judged(observed: Observed, schedule: Schedule, free: int) -> Fit:
    rates = schedule_at(schedule, observed.updates)
    left = np.nan_to_num(np.abs(rates - observed.values), nan=np.inf)
    at = int(np.argmax(left))
    return Fit(schedule, observed.explained(rates), float(left[at]), int(observed.series.steps[at]), rates, free)


def _level(observed: Observed, *, for_transformers: bool) -> Iterator[tuple[Schedule, int]]:
    low, high = observed.bounds
    if low.max() <= high.min():
        rate = roundest_float(float(low.max()), float(high.min()))
        yield (transformers.Constant(rate) if for_transformers else Constant(rate)), 1
        return
    yield from level_schedules(observed)
    yield from restart_schedules(observed)


def _curved(observed: Observed, for_transformers: bool) -> Iterator[tuple[Schedule, int]]:
    """The nearest curve of each form, those with fewer parameters first."""
    order = np.argsort(observed.updates, kind="stable")
    if len(order) > _MOST_FITTED:
        order = order[np.linspace(0, len(order) - 1, _MOST_FITTED).round().astype(int)]
    steps, values = observed.updates[order].astype(np.float64), observed.values[order]
    nearest = np.inf
    for form in forms(_heads(steps, values)):
        lengths, error = best_lengths(form, steps, values, _NEAR * nearest)
        if error <= max(_NEAR * nearest, _resolution(observed)):
            yield from _schedules(
                observed,
                form,
                lengths,
                error / max(1.0, _resolution(observed) / _ROUNDABLE),
                steps,
                values,
                for_transformers,
            )
        nearest = min(nearest, error)


def _resolution(observed: Observed) -> float:
    """How far the rates may lie from what is logged, as a share of the largest."""
    low, high = observed.bounds
    return float((high - low).max() / (np.abs(observed.values).max() or 1.0))


def _heads(steps: Values, values: Values) -> Sequence[Head]:
    """The warmups that a log may begin with."""
    if int(np.argmax(values)) == 0:
        return ("none",) if steps[0] == 0 else ("none", "zero", "one")
    return ("zero", "one", "from", "cosine from")


def _schedules(
    observed: Observed,
    form: Form,
    lengths: Sequence[float],
    error: float,
    steps: Values,
    values: Values,
    for_transformers: bool,
) -> Iterator[tuple[Schedule, int]]:
    """The schedules of a form with ever rounder lengths, and with all digits of the rest but the last ones."""
    nearest: Schedule | None = None
    is_near = error <= _ROUNDABLE
    for rounded in (
        _rounded(form, lengths)
        if is_near
        else [[float(round(v)) if n in _WHOLE else v for n, v in zip(form.searched, lengths, strict=True)]]
    ):
        coefficients = coefficients_of(form, steps, values, rounded)
        for digits in range(1, _DIGITS + 1) if is_near else (4,):
            found = dict(zip(form.searched, rounded, strict=True))
            found |= {
                name: max(_to_digits(value, digits), 0.0)
                for name, value in zip(form.coefficients, coefficients.tolist(), strict=True)
            }
            if form.has_floor and found["floor"] <= 1e-9 * found["peak"]:
                break
            if "scale" in found and form.body == "exponential":
                found["gamma"] = _to_digits(float(np.exp(-1 / found["scale"])), digits)
            for name in {"scale", "power"} & found.keys():
                found[name] = _to_digits(found[name], digits)
            try:
                nearest = schedule_of(form, found, for_transformers=for_transformers)
            except (ValueError, ZeroDivisionError):  # numbers that this kind does not take
                continue
            at = partial(_rates_at, observed, nearest)
            if observed.rates_that_explain(at) is not None:
                yield nearest, form.free
                return
    if nearest is not None:
        yield nearest, form.free


def _rates_at(observed: Observed, schedule: Schedule, places: Places) -> Values:
    return schedule_at(schedule, observed.updates[places])


def _rounded(form: Form, lengths: Sequence[float]) -> Iterator[list[float]]:
    """The lengths with whole counts, those with the fewest digits first, as they were found last."""
    choices = [
        _rounder(value) if name in _WHOLE else [value] for name, value in zip(form.searched, lengths, strict=True)
    ]
    for combination in sorted(
        itertools.product(*choices), key=lambda found: sum(len(f"{value:.0f}".rstrip("0")) for value in found)
    ):
        yield list(combination)


def _rounder(value: float) -> list[float]:
    """A count and the rounder ones within 1 %, and 1 on both sides."""
    near = {round(value), round(value) - 1, round(value) + 1}
    near |= {round(_to_digits(value, digits)) for digits in (1, 2, 3)}
    return [float(count) for count in sorted(near) if abs(count - value) <= max(0.01 * value, 1.5) and count >= 1]


def _to_digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")
