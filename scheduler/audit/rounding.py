"""Round numbers: of those that fit equally well, the one that a person would have typed."""

from __future__ import annotations

import math


def roundest(low: int, high: int) -> int:
    """The whole number from `low` to `high` with the fewest significant digits, the nearest to the middle of those."""
    if low >= high:
        return low
    middle = (low + high) / 2
    for power in range(len(str(high)), -1, -1):
        unit = 10**power
        for part in (unit, unit // 2, unit // 4):
            if part and -(-low // part) * part <= high:
                nearest = round(middle / part) * part
                return int(min(max(nearest, -(-low // part) * part), high // part * part))
    return low


def roundest_float(low: float, high: float) -> float:
    """The float from `low` to `high` with the fewest significant digits, the nearest to the middle of those."""
    if not low < high:
        return low
    middle = low + (high - low) / 2
    for digits in range(1, 17):
        size = abs(middle) or abs(high)
        unit = 10.0 ** (math.floor(math.log10(size)) - digits + 1)
        for value in (middle, middle - unit, middle + unit):
            found = float(f"{value:.{digits - 1}e}")
            if low <= found <= high:
                return found
    return middle
