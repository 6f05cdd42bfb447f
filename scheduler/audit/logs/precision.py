"""How exactly the numbers of a log are written, and which numbers may stand behind them.

The precision is found from the numbers alone: all of them float32, float16 or bfloat16, or with at most so many
significant digits or decimal places. A rate agrees with a logged number if it rounds to that at the log's precision.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from scheduler.fields import Values

ROUNDING = 1e-12
"""How far float64 values of one formula may lie apart, as a share of the largest: other operations, other libraries."""

_DOUBLE = 15  # significant digits from which on a number was not rounded for reading
_FLOAT32 = (7, 9)  # float32 numbers as NumPy and torch write them: more significant digits than the first, as a rule
_FEW_DIGITS, _FEW_NUMBERS = 3, 10  # fewer digits in fewer different numbers: round numbers, nothing was rounded
_NUMBER = re.compile(r"[-+]?(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d+))?")

Half = Literal["float16", "bfloat16"]
_HALVES: Mapping[Half, int] = MappingProxyType({"float16": 11, "bfloat16": 8})
"""The floats of two bytes, and the significant bits that they have."""
_SMALLEST: Mapping[Half, float] = MappingProxyType({"float16": 2.0**-14, "bfloat16": 2.0**-126})
"""The least of them that has all its bits: below, they lie as far apart as there."""
_LARGEST: Mapping[Half, float] = MappingProxyType({"float16": 65504.0, "bfloat16": 3.3895e38})
_LEAST_FILLED = 0.3  # share whose last bit is 1: half of all, a quarter for a line of 256 rates from 1.0 to 0

Kind = Literal["float64", "float32", "float16", "bfloat16", "digits", "places"]


@dataclass(frozen=True)
class Precision:
    """The precision of a log.

    Args:
        kind: `float64` exact; `float32`, `float16`, `bfloat16`; rounded to significant `digits` or to decimal `places`.
        count: how many digits or places; 0 for the floats.
    """

    kind: Kind
    count: int = 0

    def __str__(self) -> str:
        match self.kind:
            case "digits":
                return f"{self.count} significant digit{'s' if self.count > 1 else ''}"
            case "places":
                return f"{self.count} decimal place{'s' if self.count > 1 else ''}"
        return self.kind

    def bounds(self, values: Values) -> tuple[Values, Values]:
        """The least and the largest rate that rounds to each value, both of the shape of `values`.

        For float64 they leave room for the rounding of other operations (`ROUNDING`).
        """
        with np.errstate(invalid="ignore", over="ignore"):
            if self.kind == "float32":
                return _float32_bounds(values)
            if self.kind == "float16" or self.kind == "bfloat16":
                half = _spacing(values, self.kind) / 2 + np.abs(values) * 2.0**-24
                return values - half, values + half
            half = self._half(values)
            return values - half, values + half

    def _half(self, values: Values) -> Values:
        finite = np.abs(values[np.isfinite(values)])
        largest = float(finite.max()) if len(finite) else 0.0
        if self.kind == "float64":
            return np.full(len(values), ROUNDING * largest)
        if self.kind == "places":
            half = np.full(len(values), 0.5 * 10.0**-self.count)
        else:
            sizes = np.abs(np.where((values == 0) | ~np.isfinite(values), 1.0, values))
            half = np.where(values == 0, 0.0, 0.5 * 10.0 ** (np.floor(np.log10(sizes) + 1e-12) - (self.count - 1)))
        # a float32 rate that was rounded once more; and a tie, which may have been rounded either way
        return half * (1 + 1e-9) + np.abs(np.where(np.isfinite(values), values, 0.0)) * 2.0**-24 + ROUNDING * largest


def find_precision(words: Sequence[str], values: Values) -> Precision:
    """The precision of numbers as they are written; `values` are the same as floats."""
    with np.errstate(over="ignore", invalid="ignore"):
        near = values.astype(np.float32).astype(np.float64)  # NumPy writes a float32 with as few digits as tell it
        is_float32 = bool(np.all((near == values) | ~np.isfinite(values)))
    for kind in _HALVES:
        if _is_half(near, kind):
            return Precision(kind)
    written = {word for word, value in zip(words, values.tolist(), strict=True) if value and math.isfinite(value)}
    if not written:
        return Precision("float64")
    counts = {word: _counts(word) for word in written}
    digits = max(count for count, _ in counts.values())
    if digits > _FLOAT32[1] and is_float32:
        return Precision("float32")
    zeros = {word for word, value in zip(words, values.tolist(), strict=True) if value == 0 and _is_padded(word)}
    is_padded = bool(zeros) or any(map(_is_padded, written))
    is_short = not is_padded and all(_is_short_float32(word, count) for word, (count, _) in counts.items())
    if _FLOAT32[0] < digits <= _FLOAT32[1] and is_short:
        return Precision("float32")
    if digits >= _DOUBLE or (digits < _FEW_DIGITS and len(written) < _FEW_NUMBERS and not is_padded):
        return Precision("float64")
    places = max(count for _, count in counts.values())
    filled_digits = sum(count == digits for count, _ in counts.values())
    filled_places = sum(count == places for _, count in counts.values())
    if any(_counts(word)[1] == places for word in zeros):  # 0.0000 has no digits that could have been kept
        filled_digits = 0
    return Precision("digits", digits) if filled_digits >= filled_places or places < 1 else Precision("places", places)


def _is_half(values: Values, kind: Half) -> bool:
    """Whether numbers are floats of two bytes, and so many with a last bit that this is no chance."""
    some = np.unique(np.abs(values[np.isfinite(values) & (values != 0)]))
    if len(some) < _FEW_NUMBERS or some.max() > _LARGEST[kind]:
        return False
    steps = some / _spacing(some, kind)
    if (steps != np.rint(steps)).any():
        return False
    filled = steps[some >= _SMALLEST[kind]] % 2 == 1
    return bool(len(filled) >= _FEW_NUMBERS and filled.mean() >= _LEAST_FILLED)


def _spacing(values: Values, kind: Half) -> Values:
    """How far the floats of two bytes lie apart at each value: shape and dtype of `values`."""
    exponents = np.frexp(np.where(np.isfinite(values), np.maximum(np.abs(values), _SMALLEST[kind]), 1.0))[1]
    return np.asarray(np.ldexp(1.0, exponents - _HALVES[kind]), dtype=np.float64)


def _counts(word: str) -> tuple[int, int]:
    """Significant digits and decimal places of a number as it is written."""
    match = _NUMBER.fullmatch(word.strip().replace("_", ""))
    if match is None:
        return _DOUBLE, 0
    whole, fraction, exponent = match[1] or "", match[2] or "", int(match[3] or 0)
    digits = f"{whole}{fraction}".lstrip("0") if fraction else whole.strip("0")
    return len(digits), len(fraction) - exponent


def _is_padded(word: str) -> bool:
    """Whether a number ends in a zero that says how many digits were kept: 1.0e-3 and 0.00100, but not 1.0."""
    match = _NUMBER.fullmatch(word.strip())
    if match is None or not (match[2] or "").endswith("0"):
        return False
    return len(match[2]) > 1 or match[3] is not None


def _is_short_float32(word: str, digits: int) -> bool:
    """Whether a number is written as NumPy writes a float32: as short as identifies it."""
    value = float(word)
    return digits <= _FLOAT32[1] and float(str(np.float32(value))) == value


def _float32_bounds(values: Values) -> tuple[Values, Values]:
    near = values.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf)).astype(np.float64)
    above = np.nextafter(near, np.float32(np.inf)).astype(np.float64)
    exact = near.astype(np.float64)
    return (exact + below) / 2, (exact + above) / 2
