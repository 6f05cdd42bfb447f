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

A value is computed from the nearer end, so it keeps its relative accuracy near a small `stop` too: 4 ULP, for `log` and
for a power that is no multiple of 1/2 8 ULP. Above 4 a power multiplies the rounding of p: 2 power ULP, 4 above 32.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Literal, NamedTuple

import numpy as np

from scheduler.fields import Values
from scheduler.numerics.double_double import quotient
from scheduler.numerics.power_law import Law, horner, power_law

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

_LN2 = Decimal(2).ln()
_LN2_HIGH = float(Decimal(math.ldexp(math.floor(math.ldexp(float(_LN2), 32)), -32)))  # exact times a small whole number
_LN2_LOW = float(_LN2 - Decimal(_LN2_HIGH))
_ATANH = [1.0 / (2 * k + 1) for k in range(12)]
_EXPM1 = [1.0 / math.factorial(k + 1) for k in range(20)]
_EXP = [1.0 / math.factorial(k) for k in range(16)]


class Curve(NamedTuple):
    """A shape: 1 - S and S, each accurate where it is small, and the first position where S is the smaller."""

    risen: Law
    falling: Law
    halfway: int


def blend(out: Values, first: int, start: float, stop: float, length: int, curve: Curve) -> None:
    """Fill with stop + (start - stop) S, from the nearer end."""
    half = min(max(curve.halfway, 1, first) - first, len(out))  # position 0 is the start, exactly
    power_law(out[:half], first, start, stop - start, curve.risen)
    power_law(out[half:], first + half, stop, start - stop, curve.falling, origin=length)


def inverse_sqrt(out: Values, first: int, start: float, stop: float, length: int) -> None:
    """start / sqrt(1 + p ((start / stop)**2 - 1))."""
    growth = float(quotient(start, stop) ** 2 - 1)
    law = Law(lambda position: 1.0 / np.sqrt(1.0 + position / length * growth), -length / growth, -0.5)
    power_law(out, first, 0.0, start, law)


def rex(length: int) -> Curve:
    """q / (1/2 + q/2) = 2 q / (1 + q), and p / (1 + q), both multiplied by the length."""
    return Curve(
        risen=Law(lambda position: position / (2.0 * length - position), 2.0 * length, -1.0, -1.0),
        falling=Law(lambda position: 2.0 * (length - position) / (2.0 * length - position), 2.0 * length, -1.0, 2.0),
        halfway=2 * length // 3,
    )


def polynomial(length: int, exponent: float) -> Curve:
    """q**exponent."""

    def risen(position: Values) -> Values:
        return one_minus_power((length - position) / length, position / length, exponent)

    return Curve(
        risen=Law(risen, length, exponent, -exponent),
        falling=Law(lambda position: power((length - position) / length, exponent), length, exponent),
        halfway=length - _half_power(length, exponent),
    )


def rising_power(length: int, exponent: float) -> Curve:
    """1 - p**exponent."""

    def falling(position: Values) -> Values:
        return one_minus_power(position / length, (length - position) / length, exponent)

    return Curve(
        risen=Law(lambda position: power(position / length, exponent), 0.0, exponent),
        falling=Law(falling, 0.0, exponent, -exponent),
        halfway=_half_power(length, exponent),
    )


def _half_power(length: int, exponent: float) -> int:
    """The position at which (position / length)**exponent is 1/2."""
    with localcontext(prec=40):
        return int(length * (-_LN2 / Decimal(exponent)).exp())


def logarithm(length: int) -> Curve:
    """1 - ln(1 + position) / ln(1 + length)."""
    with localcontext(prec=40):
        whole = float(Decimal(1 + length).ln())
    return Curve(
        risen=Law(lambda position: log(1.0 + position) / whole, -1.0, 0.0, 1.0 / whole),
        falling=Law(lambda position: log1p((length - position) / (1.0 + position)) / whole, -1.0, 0.0, -1.0 / whole),
        halfway=math.isqrt(1 + length),
    )


# -- elementary functions of whole arrays, from + - * / and sqrt ------------------------------------------------------


def power(base: Values, exponent: float) -> Values:
    """base**exponent for bases 0 or more: by products and roots, and log and exp beyond a multiple of 1/2."""
    doubled = min(max(round(2.0 * exponent), -64), 64)
    nearest = _half_integer_power(base, doubled)
    rest = exponent - doubled / 2
    if rest == 0:
        return nearest
    return np.where(base > 0, nearest * exp(rest * log(np.where(base > 0, base, 1.0))), 0.0)


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
    positive = np.maximum(base, 1e-300)
    lost = np.where(rest < 0.5, ((1.0 - base) - rest) / positive, 0.0)  # where 1 - base is exact
    argument = exponent * (log(positive) + lost)
    near = np.maximum(argument, -1.0)
    far = np.where(base > 0, 1.0 - exp(argument), 1.0)
    return np.where(argument > -1.0, -near * horner(near, _EXPM1), far)


def _one_minus_half_integer_power(base: Values, rest: Values, doubled: int) -> Values:
    """1 - r**n = (1 - r) (1 + r + ... + r**(n - 1)), r the base or its root: all terms have one sign."""
    if doubled % 2 == 0:
        return rest * horner(base, [1.0] * (doubled // 2))
    root = np.sqrt(base)
    return rest / (1.0 + root) * horner(root, [1.0] * doubled)


def log1p(number: Values) -> Values:
    """ln(1 + number) for numbers above -1: that of the rounded sum, and what the rounding lost."""
    rounded = 1.0 + number
    return log(rounded) + (number - (rounded - 1.0)) / rounded


def log(number: Values) -> Values:
    """ln of positive numbers: exponent * ln 2 + 2 artanh((m - 1) / (m + 1)), the mantissa m near 1."""
    mantissa, exponent = np.frexp(number)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, 2.0 * mantissa, mantissa)
    exponent = exponent - small
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    return exponent * _LN2_HIGH + (2.0 * ratio * horner(ratio * ratio, _ATANH) + exponent * _LN2_LOW)


def exp(number: Values) -> Values:
    """e**number: 2**k times the series of the rest, which is at most ln(2) / 2; below -745 as at -745."""
    number = np.maximum(number, -745.0)
    whole = np.rint(number / float(_LN2))
    rest = (number - whole * _LN2_HIGH) - whole * _LN2_LOW
    return np.ldexp(horner(rest, _EXP), whole.astype(np.int64))
