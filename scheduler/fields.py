"""The types of a schedule's parameters: their ranges, and how numbers of other libraries become Python's."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field

from scheduler.numerics.rates import MAX_RATE
from scheduler.texts import abbreviate

Values = NDArray[np.float64]
"""One float64 per step, shape [n]."""

if TYPE_CHECKING:
    Floats = memoryview[float]
else:  # Python cannot subscript it before 3.14, and others read the annotations of our classes
    Floats = memoryview

MAX_STEP = 10**10
"""Largest step count a schedule accepts: past it the portable arithmetic has not been proven."""


def coerce_int(value: object) -> object:
    """Turn 10_000.0 and NumPy integers into int; leave bool and everything else to be refused."""
    if isinstance(value, (bool, np.bool_, str)):
        return value
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else value
    try:
        return operator.index(value)  # type: ignore[arg-type]  # refuses what is not an integer, which is the question
    except TypeError:
        return value


def coerce_float(value: object) -> object:
    """Turn ints and NumPy numbers into float; leave bool and everything else to be refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return value
    try:
        return float(value) + 0.0  # -0.0 becomes 0.0, which has the same JSON and other bits
    except OverflowError:
        return value


_ATOMS = (int, float, str, bool, type(None))
_TEXTS = (str, bytes, bytearray, memoryview)


def plain(data: Any) -> Any:
    """Data with dicts and lists in place of other libraries' mappings and sequences, such as OmegaConf's.

    Everything else stays the object that it is, schedules inside of the data too.
    """
    if type(data) in _ATOMS:
        return data
    if isinstance(data, Mapping):
        return {name: plain(value) for name, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, _TEXTS):
        items = [plain(item) for item in data]
        return tuple(items) if isinstance(data, tuple) else items
    return data


def resolve_types(kind: Any) -> None:
    """Give the fields of a dataclass their types in place of the names of those, for tools that read them there.

    Where a name is known only inside of a function, the names stay.
    """
    with suppress(NameError):
        types = get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):
            field.type = types[field.name]


Rate = Annotated[float, Field(ge=0.0, le=MAX_RATE), BeforeValidator(coerce_float)]
"""A learning rate, or a factor of one: finite, not negative, at most `scheduler.numerics.rates.MAX_RATE`."""

PositiveRate = Annotated[float, Field(ge=1e-100, le=MAX_RATE), BeforeValidator(coerce_float)]
"""A learning rate that something is divided by."""

Factor = Annotated[float, Field(gt=0.0, le=1e12), BeforeValidator(coerce_float)]
"""A positive multiplier without a unit."""

Decay = Annotated[float, Field(gt=0.0, le=1.0), BeforeValidator(coerce_float)]
"""A factor that is applied repeatedly: at most 1, so that the result cannot grow without bound."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0), BeforeValidator(coerce_float)]
"""A share of a whole, 0 to 1."""

NonNegative = Annotated[float, Field(ge=0.0, le=1e6), BeforeValidator(coerce_float)]
"""A plain number, finite and not negative: a ratio, a power, a number of waves."""

StepCount = Annotated[int, Field(ge=1, le=MAX_STEP), BeforeValidator(coerce_int)]
"""A number of optimizer steps, at least 1."""

Steps = Annotated[int, Field(ge=0, le=MAX_STEP), BeforeValidator(coerce_int)]
"""A number of optimizer steps, 0 included."""

Duration = Annotated[float, Field(ge=0.0, le=MAX_STEP), BeforeValidator(coerce_float), AfterValidator(coerce_int)]
"""A length in optimizer steps that need not be whole, 0 included; an int where it is whole."""

PositiveDuration = Annotated[
    float, Field(ge=0.001, le=MAX_STEP), BeforeValidator(coerce_float), AfterValidator(coerce_int)
]
"""A length in optimizer steps that need not be whole and that something is divided by."""


def share_of(steps: int, ratio: float) -> int:
    """A share of a number of steps, rounded up to a whole one: how transformers computes its `warmup_ratio`.

    Raises `ValueError` for a ratio that is not from 0 to 1. The product is that of floats, as it is there: 0.06 of 100
    steps are 6, but 0.07 of them 8, since 100 * 0.07 is 7.000000000000001.

    Example: `WarmupWithDecay(5e-4, share_of(100_000, 0.1), 100_000)` warms up for 10,000 steps.
    """
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"ratio must be from 0 to 1, got {ratio}")
    return math.ceil(step_index(steps, "steps") * ratio)


MANY = (np.ndarray, list, tuple, range)
Many = NDArray[Any] | Sequence[Any]
"""Several numbers, as an array or a sequence that is one of `MANY`."""


def is_tensor_of_several(value: object) -> TypeGuard[Many]:
    """Whether it is an array of another library's, such as a tensor, and not a single number."""
    return hasattr(value, "__array__") and getattr(value, "ndim", 0) > 0


def is_many(value: object) -> TypeGuard[Many]:
    """Whether it is an array or a sequence of any library's, and not a single number."""
    return (isinstance(value, MANY) and np.ndim(value) > 0) or is_tensor_of_several(value)


def integers(values: Many, name: str) -> NDArray[np.integer[Any]]:
    """Several numbers as an array of integers. Raises `TypeError`, with `name`, where they are none."""
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {abbreviate(values)}")
    return array


def step_index(step: object, name: str = "step") -> int:
    """A step as an int: `TypeError` where it is none, `ValueError` where it is negative or absurd.

    `name` is what the errors call it.
    """
    try:
        index = operator.index(step)  # type: ignore[arg-type]  # refuses what is not an integer, which is the question
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {step!r}") from None
    if not 0 <= index <= MAX_STEP:
        raise ValueError(f"{name} must be from 0 to {MAX_STEP}, got {index}")
    return index
