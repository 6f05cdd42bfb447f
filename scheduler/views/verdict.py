"""The verdict of a comparison in words: equal, rounding only, the same curve later or times a factor, or another one.

The rules, for whoever says the same in another language. a and b are the values of A and B in the steps 0 to n - 1, and
the peak is the largest absolute value of both.

1. Two values are close where they differ by at most 1e-9 of the larger one: what another formula or a recurrence
   leaves. Where terms of the peak's size cancel, fewer digits are right. So values that differ by at most 2^-46 of the
   peak are close, too, if they differ by at most an eighth of the larger one, or if both are residue: what is left of
   0. A residue is 0 itself, or at most 2^-50 of the peak in size, cut off from the curve: the nearest value before it
   that is another one is 0 or at least 64 times as large, and so is the nearest after it. A tail that falls to such
   values step by step is none; its values count like all others. Everything that is not close is a difference.
2. `equal`: the same bits in every step. `rounding`: every step is close, and not all have the same bits.
3. A relation is looked for in all steps, then in the window from the first step that is not close to the last one. Of
   a window of fewer than 3 steps nothing is said but where it is.
4. `scaled`: b is close to c * a in every step of the window; the peak of rule 1 is here b where a is largest. c is the
   ratio there, written with as few digits as are close to it, and neither 0 nor infinite.
5. `shifted`: b[t] is close to a[t - k] in every step t of the window for which t - k is in the window too, and below n.
   k is later where it is positive, and at most half of the window and 1,000,000 steps. Those steps must hold half of
   all differences; in a window smaller than all steps they must be 3 at least, and b must change there. The smallest
   absolute k that does is taken, of two the later.
6. In all steps, then in the window: `scaled` goes before `shifted`. Where neither holds, the curve is `different`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import Values
from scheduler.numerics.pieces import BLOCK
from scheduler.views.difference import Difference, difference

_CLOSE = 1e-9  # of the larger value: twins of a million steps are apart by 4e-11
_NOTHING = 2.0**-46  # of the peak: what a cancellation may take from a value
_EIGHTH = 8  # a cosine of 20 million steps ends 30 ULP of its peak above 0, give or take 2
_RESIDUE = 2.0**-50  # of the peak: 4 ULP, what a cancellation may leave of 0
_CUT_OFF = 64  # so many times larger is what a residue's neighbours are; a decay by 10 is a tail
_LEAST = 3  # steps of a window that a relation is looked for in
_FURTHEST = 1_000_000  # steps of a shift
_PROBES = 16  # steps that a shift is tried with before it is checked in all steps
_MOST_CHECKED = 64  # shifts that the probes allow and that are checked in all steps

Relation = Literal["equal", "rounding", "scaled", "shifted", "different"]


@dataclass(frozen=True)
class Verdict:
    """How one column of B relates to that of A: see the rules above. `str()` says it in words."""

    relation: Relation
    difference: Difference
    """Where and by how much the values differ."""
    first: int = 0
    """First step of the relation."""
    last: int = 0
    """Last step of the relation."""
    exact: bool = True
    """Whether the relation holds bit for bit."""
    rest_exact: bool = True
    """Whether the steps before and after it are equal bit for bit, not only close."""
    factor: float = 1.0
    """B is so many times A, where they are scaled."""
    shift: int = 0
    """B is so many steps later than A, earlier where it is negative."""

    def __str__(self) -> str:
        return self.said_of("B")

    def said_of(self, name: str) -> str:
        """The verdict in words, in which the side beside A is called `name`."""
        match self.relation:
            case "equal":
                return "equal bit for bit"
            case "rounding":
                return f"the same curve, rounding only: {_rounding(self.difference)}"
            case "scaled":
                words = f"{name} is the same curve times {repr(self.factor).removesuffix('.0')}"
            case "shifted":
                words = f"{name} is the same curve {_steps(self.shift)}"
            case "different":
                return f"{name} is a different curve {self._place}{self._rest}"
        precision = "bit for bit" if self.exact else "to rounding"
        return f"{words} {self._place}, {precision}{self._rest}".replace(" ,", ",")

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON data; the difference is left out."""
        numbers = {"factor": self.factor, "shift": self.shift, "first": self.first, "last": self.last}
        return {"relation": self.relation, **numbers, "exact": self.exact, "rest_exact": self.rest_exact}

    @property
    def _place(self) -> str:
        """The steps of the relation; nothing where it is all of them."""
        end = self.difference.steps - 1
        if self.relation != "different" and (self.first, self.last) == (0, end):
            return ""
        if self.first == self.last:
            return f"in step {self.first:,} only"
        return f"from step {self.first:,} on" if self.last == end else f"in steps {self.first:,} to {self.last:,}"

    @property
    def _rest(self) -> str:
        before, after = self.first > 0, self.last < self.difference.steps - 1
        if not (before or after):
            return ""
        where = "elsewhere" if before and after else "before that" if before else "after that"
        return f"; {'equal' if self.rest_exact else 'equal to rounding'} {where}"


def verdict(a: Values, b: Values, found: Difference | None = None) -> Verdict:
    """Say how B's column relates to A's, both finite float64 of shape [n]. `found` is their difference, where known.

    Raises `ValueError` where their lengths differ. A million steps take well below a second.
    """
    found = difference(a, b) if found is None else found
    if found.equal:
        return Verdict("equal", found)
    pair = _Pair(a, b)
    if not len(pair.different):
        return Verdict("rounding", found, last=len(a) - 1, exact=False)
    first, last = int(pair.different[0]), int(pair.different[-1])
    for window in dict.fromkeys([(0, len(a) - 1), (first, last)]):
        if window[1] - window[0] + 1 >= _LEAST or window == (0, len(a) - 1):
            for relation in (_scaled, _shifted):
                if (said := relation(pair, found, *window)) is not None:
                    return said
    return Verdict("different", found, first, last, exact=False, rest_exact=_same_outside(a, b, first, last))


class _Pair:
    """Two columns, and where they are not close."""

    def __init__(self, a: Values, b: Values) -> None:
        self.a, self.b = np.ascontiguousarray(a), np.ascontiguousarray(b)
        peak = float(max(np.abs(a).max(), np.abs(b).max()))
        self.floor = _NOTHING * peak
        self.residue_a, self.residue_b = _residue(self.a, peak), _residue(self.b, peak)
        both = self.residue_a & self.residue_b
        self.different = np.concatenate(
            [part.start + np.flatnonzero(~_close(a[part], b[part], self.floor, both[part])) for part in _blocks(len(a))]
        )


def _residue(values: Values, peak: float) -> NDArray[np.bool_]:
    """Which values are what a cancellation leaves of 0: see the rules."""
    residue = np.zeros(len(values), dtype=bool)
    for part in _blocks(len(values)):
        residue[part] = np.abs(values[part]) <= _RESIDUE * peak
    small = np.flatnonzero(residue)
    if not len(small):
        return residue
    begins = np.ones(len(small), dtype=bool)  # of runs of one value
    begins[1:] = (np.diff(small) > 1) | (values[small[1:]] != values[small[:-1]])
    starts = np.flatnonzero(begins)
    lengths = np.diff(np.append(starts, len(small)))
    first, last = small[starts], small[starts + lengths - 1]
    before = np.where(first > 0, np.abs(values[first - 1]), 0.0)
    after = np.where(last < len(values) - 1, np.abs(values[(last + 1) % len(values)]), 0.0)
    far = _CUT_OFF * np.abs(values[first])
    residue[small] = np.repeat(((before == 0) | (before >= far)) & ((after == 0) | (after >= far)), lengths)
    return residue


def _scaled(pair: _Pair, found: Difference, first: int, last: int) -> Verdict | None:
    a, b = pair.a[first : last + 1], pair.b[first : last + 1]
    at = int(np.argmax(np.abs(a)))
    with np.errstate(over="ignore"):
        ratio = float(b[at] / a[at]) if a[at] else 0.0
    floor, both = _NOTHING * abs(float(b[at])), (pair.residue_a & pair.residue_b)[first : last + 1]
    if ratio == 0.0 or not math.isfinite(ratio) or not _all_close(a, b, floor, both, ratio):
        return None
    factor = _short(ratio)
    exact = all(_same(a[part] * factor, b[part]) for part in _blocks(len(a)))
    rest = _same_outside(pair.a, pair.b, first, last)
    return Verdict("scaled", found, first, last, exact=exact, rest_exact=rest, factor=factor)


def _shifted(pair: _Pair, found: Difference, first: int, last: int) -> Verdict | None:
    for shift in _candidates(pair, first, last):
        begin, stop = first + max(shift, 0), min(last, len(pair.a) - 1 + shift) + 1
        a, b = pair.a[begin - shift : stop - shift], pair.b[begin:stop]
        both = pair.residue_a[begin - shift : stop - shift] & pair.residue_b[begin:stop]
        if _all_close(a, b, pair.floor, both):
            rest = _same_outside(pair.a, pair.b, first, last)
            return Verdict("shifted", found, first, last, exact=_same(a, b), rest_exact=rest, shift=shift)
    return None


def _candidates(pair: _Pair, first: int, last: int) -> Iterator[int]:
    """The shifts that a few telling steps allow, the smallest first."""
    furthest = min((last - first + 1) // 2, _FURTHEST)
    shifts = np.arange(-furthest, furthest + 1)
    allowed = shifts != 0
    for step in _probes(pair, first, last):
        of_a = step - shifts
        known = (step >= first + np.maximum(shifts, 0)) & (of_a >= 0) & (of_a < len(pair.a))
        from_a = of_a[known]
        both = pair.residue_a[from_a] & pair.residue_b[step]
        allowed[known] &= _close(pair.a[from_a], pair.b[step], pair.floor, both)
    kept = shifts[allowed]
    order = np.lexsort((kept < 0, np.abs(kept)))
    likely = (shift for shift in kept[order].tolist() if _is_telling(pair, shift, first, last))
    for _, shift in zip(range(_MOST_CHECKED), likely, strict=False):
        yield shift


def _probes(pair: _Pair, first: int, last: int) -> list[int]:
    """Steps that tell shifts apart: at the largest change of b, and spread over the differences and the window."""
    changes = np.abs(np.diff(pair.b[first : last + 1]))
    steepest = first + int(np.argmax(changes)) if len(changes) else first
    spread = pair.different[np.linspace(0, len(pair.different) - 1, _PROBES).astype(int)]
    even = np.linspace(first, last, _PROBES).astype(int)
    return [*dict.fromkeys([steepest, min(steepest + 1, last), *spread.tolist(), *even.tolist()])]


def _is_telling(pair: _Pair, shift: int, first: int, last: int) -> bool:
    """Whether a shift that holds would explain enough: see the rules."""
    begin, end = first + max(shift, 0), min(last, len(pair.a) - 1 + shift)
    inside = np.searchsorted(pair.different, end, side="right") - np.searchsorted(pair.different, begin)
    if 2 * inside < len(pair.different):
        return False
    if (first, last) == (0, len(pair.a) - 1):
        return True
    b, residue = pair.b[begin : end + 1], pair.residue_b[begin : end + 1]
    return len(b) >= _LEAST and not _close(b, b[:1], pair.floor, residue & residue[:1]).all()


def _close(x: Values, y: Values | float, floor: float, residue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which values are close: see rule 1. `residue` says where both are."""
    with np.errstate(over="ignore", invalid="ignore"):  # a product with the factor may be infinite
        apart, size = np.abs(x - y), np.maximum(np.abs(x), np.abs(y))
        close: NDArray[np.bool_] = (apart <= _CLOSE * size) | ((apart <= floor) & ((_EIGHTH * apart <= size) | residue))
    return close


def _all_close(x: Values, y: Values, floor: float, residue: NDArray[np.bool_], factor: float = 1.0) -> bool:
    """Whether `x` times the factor is close to `y`, looked at up to the first block that is not."""
    with np.errstate(over="ignore"):
        return all(_close(x[part] * factor, y[part], floor, residue[part]).all() for part in _blocks(len(x)))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(begin, min(begin + BLOCK, n)) for begin in range(0, n, BLOCK))


def _same(x: Values, y: Values) -> bool:
    """Whether all bits are the same."""
    return bool((x.view(np.int64) == y.view(np.int64)).all())


def _same_outside(a: Values, b: Values, first: int, last: int) -> bool:
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return _same(a[:first], b[:first]) and _same(a[last + 1 :], b[last + 1 :])


def _short(value: float) -> float:
    """The value in as few digits as are close to it."""
    texts = (float(f"{value:.{digits}g}") for digits in range(1, 17))
    return next((text for text in texts if abs(text - value) <= _CLOSE * abs(value)), value)


def _steps(shift: int) -> str:
    count = "one step" if abs(shift) == 1 else f"{abs(shift):,} steps"
    return f"{count} {'later' if shift > 0 else 'earlier'}"


def ulps(found: Difference) -> str:
    """The largest difference in ULP, short."""
    return f"{found.ulp:,}" if found.ulp < 10**6 else f"{found.ulp:.3g}"


def _rounding(found: Difference) -> str:
    """How large the rounding is."""
    if found.largest == 0:
        return "only signs of zeros differ"
    if found.zeros:
        counted = "" if found.ulp_at is None else f"at most {ulps(found)} ULP; "
        times = f"in {found.zeros:,} step{'s' if found.zeros > 1 else ''} one of them is 0"
        return f"{counted}{times}, the difference at most {found.largest:.2g}"
    if found.relative > _CLOSE:
        return f"at most {found.largest:.2g}, next to nothing beside the largest value"
    return f"at most {ulps(found)} ULP, {found.relative:.2g} of the value"
