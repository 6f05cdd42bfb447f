"""The lengths with which a form comes nearest to a log: a coarse grid, then smaller and smaller steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.audit.fit.forms import Form, Lengths
from scheduler.fields import Values

_COARSE = 30  # logged rates that the coarse grid looks at
_POINTS = 100  # logged rates that a search looks at
_TOTALS, _STARTS, _REFINED = 24, 3, 4
_FURTHEST = 32  # a schedule may be this many times longer than its log
_MOST_MOVES, _PATIENCE = 150, 15
_SMALLEST = 1e-12  # steps of numbers that are not whole, as a share


@dataclass(frozen=True)
class Features:
    """What a log shows at a glance: where the rise ends, where the fall begins, where the log ends.

    Args:
        rise: the updates between which the rate reaches its highest value.
        fall: the updates between which it leaves that for good.
        last: the last update.
        half: the update at which the rate has fallen to half, or the last one.
    """

    rise: tuple[float, float]
    fall: tuple[float, float]
    last: float
    half: float


def features_of(steps: Values, values: Values) -> Features:
    """The features of a log: `steps` ascending, shape [n]."""
    top = values.max()
    at_top = np.flatnonzero(values >= top * (1 - 1e-3))
    first, last = int(at_top[0]), int(at_top[-1])
    highest = np.flatnonzero(values == top)
    first, last = min(first, int(highest[0])), max(last, int(highest[-1]))
    end = len(steps) - 1
    below = np.flatnonzero(values[last:] <= top / 2)
    return Features(
        (float(steps[max(first - 1, 0)]), float(steps[min(int(highest[0]) + 1, end)])),
        (float(steps[int(highest[-1])]), float(steps[min(last + 1, end)])),
        float(steps[-1]),
        float(steps[last + int(below[0])]) if len(below) else float(steps[-1]),
    )


def best_lengths(form: Form, steps: Values, values: Values, hopeless: float = math.inf) -> tuple[list[float], float]:
    """The lengths of a form that fit best, and the root mean square of what is left, as a share of the peak.

    A walk that is still above `hopeless` after some moves is given up.
    """
    scale = float(np.abs(values).max()) or 1.0

    def error_at(points: int) -> Callable[[Lengths], float]:
        chosen = np.unique(np.linspace(0, len(steps) - 1, min(points, len(steps))).round().astype(int))
        t, v = steps[chosen], values[chosen]

        def error(lengths: Lengths) -> float:
            basis = form.basis(t, lengths)
            try:
                left = v - basis @ np.linalg.solve(basis.T @ basis, basis.T @ v)
            except np.linalg.LinAlgError:  # columns that these lengths make equal
                return math.inf
            return math.sqrt(float(left @ left) / len(v)) / scale

        return error

    coarse, error = error_at(_COARSE), error_at(_POINTS)
    starts = list(_starts(form, features_of(steps, values)))
    errors = [coarse(start) for start in starts]
    best: tuple[list[float], float] = (list(starts[0]), np.inf)
    for index in np.argsort(errors, kind="stable")[:_REFINED].tolist():
        found = _refined(form, error, list(starts[index]), hopeless)
        if found[1] < best[1]:
            best = found
    return best


def coefficients_of(form: Form, steps: Values, values: Values, lengths: Lengths) -> Values:
    """The peak, floor and start that fit best with given lengths."""
    basis = form.basis(steps, lengths)
    if basis.shape[1] == 1:
        column = basis[:, 0]
        square = float(column @ column)
        return np.array([float(column @ values) / square if square > 0 else 0.0])
    return np.asarray(np.linalg.lstsq(basis, values, rcond=None)[0], dtype=np.float64)


def _starts(form: Form, seen: Features) -> Iterator[list[float]]:
    """Where to begin: all combinations of a few values of each length."""
    last = max(seen.last, 2.0)
    values: dict[str, Sequence[float]] = {
        "warmup": _between(max(seen.rise[0], 1.0), max(seen.rise[1], 1.0), _STARTS),
        "stable": _between(seen.fall[0], seen.fall[1], _STARTS),
        "total": [last + 1, last, *np.geomspace(last / 4, last * _FURTHEST, _TOTALS).round().tolist()],
        "power": [0.5, 1.5, 2.0, 3.0],
        "scale": [*np.geomspace(1.0, 8 * last, _TOTALS).tolist(), max(seen.half, 1.0)],
    }
    for lengths in itertools.product(*(values[name] for name in form.searched)):
        given = dict(zip(form.searched, lengths, strict=True))
        if given.get("warmup", 0.0) < given.get("total", np.inf) and given.get("stable", 0.0) < given.get(
            "total", np.inf
        ):
            yield list(lengths)


def _between(low: float, high: float, count: int) -> list[float]:
    return sorted(set(np.linspace(low, max(high, low), count).round().tolist()))


def _refined(
    form: Form, error: Callable[[Lengths], float], start: list[float], hopeless: float
) -> tuple[list[float], float]:
    """Walk downhill in all lengths at once, with steps that halve."""
    at: Values = np.array(start)
    least = error(start)
    whole = np.array([name not in ("power", "scale") for name in form.searched])
    moves = [np.array(way) for way in itertools.product((-1, 0, 1), repeat=len(at)) if any(way)]
    widths: Values = np.where(whole, np.maximum(at / 8, 1.0), at / 4)
    smallest = np.where(whole, 0.5, _SMALLEST * np.maximum(at, 1e-3))  # the last steps of counts are then by 1
    for move in range(_MOST_MOVES):
        if least == 0 or (widths < smallest).all() or (move > _PATIENCE and least > hopeless):
            break
        steps = np.where(whole, np.maximum(widths.round(), 1.0), widths)
        tried = [np.maximum(at + way * steps, np.where(whole, 1.0, 1e-6)) for way in moves]
        errors = [error(lengths.tolist()) for lengths in tried]
        best = int(np.argmin(errors)) if errors else 0
        if errors and errors[best] < least:
            at, least = tried[best], errors[best]
        else:
            widths = widths / 2
    found: list[float] = at.tolist()
    return found, least
