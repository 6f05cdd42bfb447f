"""The shapes of a ramp, in portable arithmetic: from `start` at position 0 to `stop` at position `length`, both exact.

A shape S falls from 1 to 0 while progress p = position / length goes from 0 to 1; q = 1 - p:

    value = stop + (start - stop) S(p)

    linear         q                            polynomial   q**power
    cosine         (1 + cos(pi p)) / 2          power        1 - p**power
    1-sqrt         1 - sqrt(p)                  exponential  (e**(-rate p) - e**-rate) / (1 - e**-rate)
    rex            q / (1/2 + q/2)              log          1 - ln(1 + position) / ln(1 + length)
    tanh           (1 - tanh(low q + high p)) / 2, scaled to reach 1 and 0

and two that are no blend of the ends: `geometric`, start (stop / start)**p, and `inverse_sqrt`,
start / sqrt(1 + p ((start / stop)**2 - 1)).

A value is computed from the nearer end, so it keeps its relative accuracy near a small `stop` too: 4 ULP, for
`polynomial` and `power` with a power that is no multiple of 1/2, and for `log`, 16 ULP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Literal, NamedTuple

import numpy as np

from scheduler import portable
from scheduler.schedule import Values

Shape = Literal[
    "linear",
    "cosine",
    "1-sqrt",
    "polynomial",
    "power",
    "exponential",
    "geometric",
    "inverse_sqrt",
    "log",
    "tanh",
    "rex",
]
BLOCK = 8192
"""Values computed at once: a shape needs several arrays of this length beside the result."""

_LN2 = Decimal(2).ln()
_LN2_HIGH = float(Decimal(math.ldexp(math.floor(math.ldexp(float(_LN2), 32)), -32)))  # exact times a small whole number
_LN2_LOW = float(_LN2 - Decimal(_LN2_HIGH))
_ATANH = [1.0 / (2 * k + 1) for k in range(12)]
_NEAR = 0.3  # nearer to 1 than this, ln is taken of the difference
_EXPM1 = [1.0 / math.factorial(k + 1) for k in range(20)]
_EXP = [1.0 / math.factorial(k) for k in range(16)]


class Curve(NamedTuple):
    """A shape: its two halves, each from positions, and the first position of the second."""

    risen: Callable[[Values], Values]
    """1 - S, accurate where it is small."""
    falling: Callable[[Values], Values]
    """S, accurate where it is small."""
    halfway: int
    """About where S is 1/2: before it the values are made from 1 - S, from it on from S."""


def blend(out: Values, first: int, start: float, stop: float, curve: Curve) -> None:
    """Fill with stop + (start - stop) S: from the nearer end, block by block."""
    half = min(max(curve.halfway - first, 0), len(out))
    _from_end(out[:half], first, start, stop - start, curve.risen)
    _from_end(out[half:], first + half, stop, start - stop, curve.falling)


def _from_end(out: Values, first: int, anchor: float, span: float, share: Callable[[Values], Values]) -> None:
    for begin in range(0, len(out), BLOCK):
        block = out[begin : begin + BLOCK]
        np.multiply(share(np.arange(first + begin, first + begin + len(block), dtype=np.float64)), span, out=block)
        block += anchor


def inverse_sqrt(out: Values, first: int, start: float, stop: float, length: int) -> None:
    """start / sqrt(1 + p ((start / stop)**2 - 1))."""
    growth = float(portable.quotient(start, stop) ** 2 - 1)
    for begin in range(0, len(out), BLOCK):
        block = out[begin : begin + BLOCK]
        position = np.arange(first + begin, first + begin + len(block), dtype=np.float64)
        np.divide(start, np.sqrt(1.0 + position / length * growth), out=block)


def one_minus_sqrt(length: int) -> Curve:
    """1 - sqrt(p), as q / (1 + sqrt(p)) where it is small."""
    return Curve(
        risen=lambda position: np.sqrt(position / length),
        falling=lambda position: (length - position) / length / (1.0 + np.sqrt(position / length)),
        halfway=length // 4,
    )


def rex(length: int) -> Curve:
    """q / (1/2 + q/2) = 2 q / (1 + q), and p / (1 + q), both multiplied by the length."""
    return Curve(
        risen=lambda position: position / (2.0 * length - position),
        falling=lambda position: 2.0 * (length - position) / (2.0 * length - position),
        halfway=2 * length // 3,
    )


def polynomial(length: int, exponent: float) -> Curve:
    """q**exponent."""
    return Curve(
        risen=lambda position: one_minus_power((length - position) / length, position / length, exponent),
        falling=lambda position: power((length - position) / length, exponent),
        halfway=length - _half_power(length, exponent),
    )


def rising_power(length: int, exponent: float) -> Curve:
    """1 - p**exponent."""
    return Curve(
        risen=lambda position: power(position / length, exponent),
        falling=lambda position: one_minus_power(position / length, (length - position) / length, exponent),
        halfway=_half_power(length, exponent),
    )


def _half_power(length: int, exponent: float) -> int:
    """Where (position / length)**exponent is 1/2."""
    with localcontext(prec=40):
        return int(length * (-_LN2 / Decimal(exponent)).exp())


def logarithm(length: int) -> Curve:
    """1 - ln(1 + position) / ln(1 + length)."""
    with localcontext(prec=40):
        whole = float(Decimal(1 + length).ln())
    return Curve(
        risen=lambda position: log(1.0 + position) / whole,
        falling=lambda position: log1p((length - position) / (1.0 + position)) / whole,
        halfway=math.isqrt(1 + length),
    )


def hyperbolic(length: int, low: float, high: float) -> Curve:
    """(1 - tanh(low q + high p)) / 2 = 1 / (1 + g), g = e**(2 (low q + high p)), scaled to run from 1 to 0."""
    rate = 2.0 * (high - low)
    with localcontext(prec=40):
        first, last = (2 * Decimal(low)).exp(), (2 * Decimal(high)).exp()
        middle = ((1 + (1 + first) / (2 + first + last) * (Decimal(rate).exp() - 1)).ln()) / Decimal(rate)
    begin, end = float(first), float(last)

    def exponential(position: Values, start: float, stop: float) -> Values:
        out = np.empty(len(position))
        portable.exponential(out, int(position[0]), start, stop, length, rate=rate)
        return out

    def risen(position: Values) -> Values:
        grown = exponential(position, 0.0, 1.0)
        return grown * (1.0 + end) / (1.0 + (begin + (end - begin) * grown))

    def falling(position: Values) -> Values:
        grown = exponential(position, 0.0, 1.0)
        return exponential(position, 1.0, 0.0) * (1.0 + begin) / (1.0 + (begin + (end - begin) * grown))

    return Curve(risen, falling, int(middle * length))


# -- elementary functions of whole arrays, from + - * / and sqrt ------------------------------------------------------


def power(base: Values, exponent: float) -> Values:
    """base**exponent for bases 0 or more: by products and roots for multiples of 1/2, else by log and exp."""
    doubled = 2.0 * exponent
    if doubled.is_integer() and abs(doubled) <= 64:
        return _half_integer_power(base, int(doubled))
    with np.errstate(divide="ignore"):
        logarithms = np.where(base > 0, log(np.where(base > 0, base, 1.0)), -np.inf)
    return np.where(base > 0, exp(np.maximum(exponent * np.where(base > 0, logarithms, 0.0), -745.0)), 0.0)


def _half_integer_power(base: Values, doubled: int) -> Values:
    result = np.sqrt(base) if doubled % 2 else np.ones_like(base)
    factor, exponent = base, abs(doubled) // 2
    with np.errstate(over="ignore", under="ignore"):  # a factor may overflow beyond the last that is needed
        while exponent:
            if exponent & 1:
                result = result * factor
            factor = factor * factor
            exponent >>= 1
    return result if doubled >= 0 else 1.0 / result


def one_minus_power(base: Values, rest: Values, exponent: float) -> Values:
    """1 - base**exponent for bases 0 to 1 and rest = 1 - base: accurate where it is small, too."""
    if (2.0 * exponent).is_integer() and exponent <= 32:
        return _one_minus_half_integer_power(base, rest, int(2.0 * exponent))
    logarithm = np.where(rest < _NEAR, log1p(-np.minimum(rest, _NEAR)), log(np.maximum(base, 1e-300)))
    argument = np.maximum(exponent * logarithm, -1.0)
    return np.where(argument > -1.0, -argument * portable.polynomial(argument, _EXPM1), 1.0 - power(base, exponent))


def _one_minus_half_integer_power(base: Values, rest: Values, doubled: int) -> Values:
    """1 - r**n = (1 - r) (1 + r + ... + r**(n - 1)), r the base or its root: all terms have one sign."""
    if doubled % 2 == 0:
        return rest * portable.polynomial(base, [1.0] * (doubled // 2))
    root = np.sqrt(base)
    return rest / (1.0 + root) * portable.polynomial(root, [1.0] * doubled)


def log1p(number: Values) -> Values:
    """ln(1 + number) for numbers above -1."""
    ratio = number / (2.0 + number)
    return np.where(
        np.abs(number) <= _NEAR, 2.0 * ratio * portable.polynomial(ratio * ratio, _ATANH), log(1.0 + number)
    )


def log(number: Values) -> Values:
    """ln of positive numbers: exponent * ln 2 + 2 artanh((m - 1) / (m + 1)), the mantissa m near 1."""
    mantissa, exponent = np.frexp(number)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, 2.0 * mantissa, mantissa)
    exponent = exponent - small
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    return exponent * _LN2_HIGH + (2.0 * ratio * portable.polynomial(ratio * ratio, _ATANH) + exponent * _LN2_LOW)


def exp(number: Values) -> Values:
    """e**number: 2**k times the series of the rest, which is at most ln(2) / 2."""
    whole = np.rint(number / float(_LN2))
    rest = (number - whole * _LN2_HIGH) - whole * _LN2_LOW
    return np.ldexp(portable.polynomial(rest, _EXP), whole.astype(np.int64))
