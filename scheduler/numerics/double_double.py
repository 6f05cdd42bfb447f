"""Numbers of about 106 bits, each an unevaluated sum of two float64, and exact powers from `decimal`."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np

from scheduler.fields import Values

Pair = tuple[Values, Values]
"""A double-double: upper and lower parts, whose unevaluated sum is the number."""

DIGITS = 60
"""Decimal digits of the constants: twice what a double-double holds."""


def powers(ratio: Decimal, count: int) -> Pair:
    """ratio**0 .. ratio**(count - 1) as double-doubles, by doubling: relative error about count * 2**-100."""
    high, low = np.ones(1), np.zeros(1)
    while len(high) < count:
        more_high, more_low = multiply((high, low), as_pair(whole_power(ratio, len(high))))
        high, low = np.concatenate((high, more_high)), np.concatenate((low, more_low))
    return high[:count], low[:count]


def whole_power(ratio: Decimal, exponent: int) -> Decimal:
    """ratio**exponent by squaring: products only, which decimal rounds correctly on every platform."""
    result = Decimal(1)
    with localcontext(prec=DIGITS):
        while exponent:
            if exponent & 1:
                result *= ratio
            ratio *= ratio
            exponent >>= 1
        return result


def quotient(over: float, under: float) -> Decimal:
    """over / under to 60 digits."""
    with localcontext(prec=DIGITS):
        return Decimal(over) / Decimal(under)


def root(value: Decimal | float, degree: int) -> Decimal:
    """value**(1 / degree) to 60 digits (decimal's ln and exp are correctly rounded)."""
    with localcontext(prec=DIGITS):
        return (Decimal(value).ln() / degree).exp()


def as_pair(number: Decimal) -> tuple[float, float]:
    """A number as a double-double."""
    high = float(number)
    with localcontext(prec=DIGITS):
        return high, float(number - Decimal(high))


def multiply(left: Pair, right: Pair | tuple[float, float]) -> Pair:
    """The product of two double-doubles (Dekker): relative error about 2**-102."""
    product = left[0] * right[0]
    left_high, left_low = _split(left[0])
    right_high, right_low = _split(right[0])
    error = ((left_high * right_high - product) + left_high * right_low + left_low * right_high) + left_low * right_low
    error = error + (left[0] * right[1] + left[1] * right[0])
    high = product + error
    return high, error - (high - product)


def _split(number: Values | float) -> tuple[Values | float, Values | float]:
    """A float64 as the sum of two with 26 bits each (Veltkamp)."""
    scaled = 134217729.0 * number
    high = scaled - (scaled - number)
    return high, number - high
