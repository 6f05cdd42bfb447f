"""Canonical JSON: RFC 8785."""

from __future__ import annotations

import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from scheduler.canonical import canonical_hash, canonical_json

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_equals_the_reference_implementation(value: object) -> None:
    """Any JSON value becomes the same bytes as through the rfc8785 package."""
    assert canonical_json(value).encode() == rfc8785.dumps(value)  # type: ignore[arg-type]  # its JSON type is private


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (5e-324, "5e-324"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (0.1 + 0.2, "0.30000000000000004"),
        ({"b": [1, None], "a": "\u20ac\n"}, '{"a":"\u20ac\\n","b":[1,null]}'),
    ],
)
def test_known_texts(value: object, text: str) -> None:
    """The examples of RFC 8785 and ECMAScript's rule for numbers."""
    assert canonical_json(value) == text


def test_the_hash_is_of_the_text() -> None:
    """SHA-256 of `{}` is what any tool says it is."""
    assert canonical_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (math.nan, ValueError, "cannot hold nan"),
        (math.inf, ValueError, "cannot hold inf"),
        (2**53, ValueError, "beyond 2"),
        ({1: 2}, TypeError, "keys are strings, got 1"),
        ({0: 2}, TypeError, "keys are strings, got 0"),
        ([object()], TypeError, "cannot hold a object"),
    ],
)
def test_what_json_cannot_hold_is_refused(value: object, error: type[Exception], message: str) -> None:
    """There is no canonical text of NaN, of an integer that a double would round, or of a stranger."""
    with pytest.raises(error, match=message):
        canonical_json(value)


@pytest.mark.parametrize("value", ["\ud800", {"a": ["x\udfff"]}, {"\ud800": 1}], ids=ascii)
def test_half_of_a_surrogate_pair_is_no_text(value: object) -> None:
    """A text that UTF-8 cannot write has no canonical JSON and no hash, and the error says why."""
    with pytest.raises(ValueError, match="has half of a surrogate pair, at character"):
        canonical_json(value)
    with pytest.raises(ValueError, match="has half of a surrogate pair"):
        canonical_hash(value)
