"""Functions of arrays that have the C library's bits, and the check of the platform."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import ScheduleWarning
from scheduler.fields import Values
from scheduler.numerics import libm

NUMBERS = st.lists(st.floats(0.0, 700.0), max_size=40)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """A process in which the platform has not been checked yet."""
    libm.check_platform.cache_clear()
    yield
    libm.check_platform.cache_clear()


@pytest.mark.parametrize(
    ("ours", "python"), [(libm.exp, math.exp), (libm.tanh, math.tanh)], ids=lambda function: function.__name__
)
@given(numbers=NUMBERS)
def test_each_value_has_pythons_bits(
    ours: Callable[[Values, Values], None], python: Callable[[float], float], numbers: list[float]
) -> None:
    """exp and tanh of an array are Python's of each value, in place too."""
    values = np.array(numbers)
    ours(values, values)
    assert values.tolist() == [python(number) for number in numbers]


@given(numbers=st.lists(st.floats(5e-324, 1e300), max_size=40))
def test_log_has_pythons_bits(numbers: list[float]) -> None:
    """Log of an array is Python's of each value."""
    out = np.empty(len(numbers))
    libm.log(np.array(numbers), out)
    assert out.tolist() == [math.log(number) for number in numbers]


@given(shares=st.lists(st.floats(0.0, 1.0), max_size=40), number=st.floats(0.0, 5.0))
def test_power_has_pythons_bits(shares: list[float], number: float) -> None:
    """Power is Python's `**`, of values to a number and of a number to values."""
    values, out = np.array(shares), np.empty(len(shares))
    libm.power(values, number, out)
    assert out.tolist() == [share**number for share in shares]
    libm.power(number, values, out)
    assert out.tolist() == [number**share for share in shares]


@pytest.mark.usefixtures("unchecked")
def test_a_platform_with_other_bits_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NumPy's cos differs from the C library's, the first check warns, saying what it means, and no later one."""

    def cos(values: Values) -> Values:
        return np.nextafter(np.cos(values), 2.0)

    monkeypatch.setitem(libm._VECTORISED, "cos", (cos, math.cos))
    with pytest.warns(ScheduleWarning, match=r"computes cos with other bits .* \(8192 of 8192 values\).* not exact"):
        libm.check_platform()
    libm.check_platform()


@pytest.mark.usefixtures("unchecked")
def test_this_platform_is_exact() -> None:
    """Here NumPy's cos and sin are the C library's, so that the twins are exact."""
    with warnings.catch_warnings(action="error"):
        libm.check_platform()


def test_the_check_waits_for_the_first_twin() -> None:
    """Importing the twins checks nothing; computing one does."""
    script = """
import json
from scheduler.numerics import libm
from scheduler.builtin import StepLR
checks = [libm.check_platform.cache_info().currsize]
StepLR(0.1, 3).values(1)
print(json.dumps([*checks, libm.check_platform.cache_info().currsize]))
"""
    command = [sys.executable, "-W", "error", "-c", script]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(finished.stdout) == [0, 1]
