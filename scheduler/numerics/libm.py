"""The C library's functions over arrays, value by value: the bits that Python's `math` gives.

NumPy has its own exp, log, power and tanh, whose last bits differ from the C library's in up to a quarter of all
values, and differ again between its releases and CPUs. Its cos and sin are the C library's; `check_platform` proves it
where it runs. A twin that steps like Python code needs Python's bits, so it takes these.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from itertools import repeat

import numpy as np

from scheduler.fields import Values
from scheduler.messages.warnings import ScheduleWarning

_VECTORISED: dict[str, tuple[Callable[[Values], Values], Callable[[float], float]]] = {
    "cos": (np.cos, math.cos),
    "sin": (np.sin, math.sin),
}
_LISTED = 4096  # values at once: a list of floats is read faster than an array, and is four times as large
_CHECKED = 4096  # angles of each size


def power(base: Values | float, exponent: Values | float, out: Values) -> None:
    """Write `base ** exponent` into `out` (shape [m]); either may be one number for all values, neither negative."""
    for begin in range(0, len(out), _LISTED):
        part = slice(begin, begin + _LISTED)
        bases, exponents = (
            repeat(given) if isinstance(given, float) else given[part].tolist() for given in (base, exponent)
        )
        out[part] = np.fromiter(map(math.pow, bases, exponents), np.float64, len(out[part]))


def exp(values: Values, out: Values) -> None:
    """Write e to the power of each value into `out`, which may be `values`."""
    _each(math.exp, values, out)


def log(values: Values, out: Values) -> None:
    """Write the natural logarithm of each value into `out`, which may be `values`."""
    _each(math.log, values, out)


def tanh(values: Values, out: Values) -> None:
    """Write the hyperbolic tangent of each value into `out`, which may be `values`."""
    _each(math.tanh, values, out)


def _each(function: Callable[[float], float], values: Values, out: Values) -> None:
    for begin in range(0, len(out), _LISTED):
        part = slice(begin, begin + _LISTED)
        out[part] = np.fromiter(map(function, values[part].tolist()), np.float64, len(out[part]))


@cache
def check_platform() -> None:
    """Compare NumPy's cos and sin with the C library's on a few thousand angles, once per process.

    Gives a `ScheduleWarning` where a bit differs: tables of the twins computed here are then not those of stepping.
    """
    for name, (vectorised, scalar) in _VECTORISED.items():
        if differing := _differing(vectorised, scalar):
            warnings.warn(
                f"NumPy {np.__version__} computes {name} with other bits than the C library on this machine "
                f"({differing} of {2 * _CHECKED} values): the twins of torch and other libraries are not exact here",
                ScheduleWarning,
                stacklevel=2,
            )


def _differing(vectorised: Callable[[Values], Values], scalar: Callable[[float], float]) -> int:
    """Number of values that differ, among angles of the first half turn and of many turns."""
    angles = np.concatenate([np.linspace(0.0, math.pi, _CHECKED), np.linspace(0.0, 1e6, _CHECKED)])
    expected = np.empty_like(angles)
    _each(scalar, angles, expected)
    return int(np.count_nonzero(vectorised(angles).view(np.int64) != expected.view(np.int64)))
