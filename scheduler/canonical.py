"""Canonical JSON (RFC 8785): one text for one value, so that a hash of it is an identity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from scheduler.texts import abbreviate, lone_surrogate

_MAX_SAFE_INTEGER = 2**53 - 1  # JSON numbers are doubles: RFC 8785 allows no integer that a double would round

T = TypeVar("T")


def canonical_json(value: Any) -> str:
    """The RFC 8785 text of JSON data: keys sorted by UTF-16, shortest numbers, no spaces.

    Raises `ValueError` for NaN, infinities, integers beyond 2**53 - 1 and half of a surrogate pair, `TypeError` for
    what JSON cannot hold.
    """
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(_text(value), ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > _MAX_SAFE_INTEGER:
            raise ValueError(f"integer {value} is beyond 2**53 - 1, the largest that JSON can hold exactly")
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"JSON keys are strings, got {key!r}")
        plain = all(map(str.isascii, value))  # whose order by UTF-16 is that of Python
        keys = sorted(value) if plain else sorted(value, key=lambda key: _text(key).encode("utf-16-be"))
        return "{" + ",".join(f"{canonical_json(key)}:{canonical_json(value[key])}" for key in keys) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(canonical_json(item) for item in value) + "]"
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


def canonical_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _text(value: T) -> T:
    """The value, if it is no text that UTF-8 cannot write."""
    if isinstance(value, str) and (place := lone_surrogate(value)) is not None:
        raise ValueError(f"text {abbreviate(value)} has half of a surrogate pair, at character {place}")
    return value


def _number(value: float) -> str:
    """A double as ECMAScript writes it: Python's shortest digits, with the exponent placed by its rules."""
    if not math.isfinite(value):
        raise ValueError(f"JSON cannot hold {value}")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    head = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{head}e{point - 1:+d}"
